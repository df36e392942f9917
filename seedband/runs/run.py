"""Runs and sweeps, as they stand on record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from seedband.bands.comparability import Signature
from seedband.determinism.environment_record import EnvironmentRecord
from seedband.recipe.identity import RecordedRecipe
from seedband.runs.layout import SCORES
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import Number, read_record


@dataclass(frozen=True)
class Evaluation:
    """One metric of one checkpoint.

    Attributes:
        metric: Name of the metric.
        score: In the metric's unit; None when it could not be computed.
        n_items: Items that count in it.
        n_unscored: Items without a score.
        trivial_score: What the trivial predictor scores; None where nobody knows.
        failure: Why there is no score; empty when there is one.
        crashed: Whether the evaluator itself failed: it can be asked again.
        backend: What really ran, where the evaluator told.
        details: What else it told: calls, costs, disagreement.
    """

    metric: str
    score: Number | None
    n_items: int
    n_unscored: int
    trivial_score: Number | None
    failure: str = ""
    crashed: bool = False
    backend: str = ""
    details: Mapping[str, Number | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pins:
    """What the process of a run was pinned to."""

    threads: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Initializer:
    """How a new tensor was drawn."""

    name: str
    shape: tuple[int, ...]
    distribution: str


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What scoring a checkpoint gives: scores.json.

    Attributes:
        evaluations: One per metric; none where its weights are not finite.
        signature: What its scores depend on; None where there are none.
        checkpoint_sha256: Of its weights.
        items_sha256: Of its items.parquet; None where there is none.
        truncated: How many eval rows were cut to the length that the model takes, and by how much.
        failure: Why a checkpoint failed to train; empty otherwise.
    """

    evaluations: tuple[Evaluation, ...] = ()
    signature: Signature | None = None
    checkpoint_sha256: str | None = None
    items_sha256: str | None = None
    truncated: JsonObject | None = None
    failure: str = ""

    def as_dict(self) -> JsonObject:
        """The same as JSON."""
        return {**asdict(self), "signature": self.signature, "truncated": self.truncated}


def read_scored(folder: Path) -> Scored:
    """Read the scores that scoring left in a folder."""
    return read_record(folder / SCORES, "scores", Scored)[0]


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """What a seed of a sweep came to.

    Attributes:
        seed: Root seed.
        folder: Where it lies.
        status: "finished", or "failed" when it failed to train (a result, not a crash).
        failure: Why it failed to train; empty otherwise.
        evaluations: One per metric; empty when its weights could not be scored.
    """

    seed: int
    folder: Path
    status: Literal["finished", "failed"] = "finished"
    failure: str = ""
    evaluations: tuple[Evaluation, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run(SeedResult):
    """One finished run: run.json, which is written last.

    Attributes:
        witnesses: What proves its draws and its course, as hashes.
        streams: Stream → its seed.
        signature: What its scores depend on; None when its weights could not be scored.
        checkpoint_sha256: Of its weights; None where it left none.
        items_sha256: Of its items.parquet; None when it was not scored.
        initializers: How its new tensors were drawn.
        recorded: Its recipe.
        environment: Where it was trained.
        pins: What its process was pinned to.
        train_seconds: How long its training took.
        record: The whole run.json.
    """

    witnesses: Mapping[str, str | None]
    streams: Mapping[str, int]
    signature: Signature | None
    checkpoint_sha256: str | None
    items_sha256: str | None
    initializers: tuple[Initializer, ...]
    recorded: RecordedRecipe
    environment: EnvironmentRecord
    pins: Pins
    train_seconds: float
    record: JsonObject


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Attributes:
        folder: Where it lies.
        runs: Every run, by root seed.
        median_seed: Root seed of the median run; None without a band.
        band_path: Where its band was written; None without a band.
    """

    folder: Path
    runs: tuple[SeedResult, ...]
    median_seed: int | None
    band_path: Path | None
