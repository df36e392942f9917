"""Runs and sweeps, as they stand on record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seedband.recipe.identity import RecordedRecipe
from seedband.storage.validation import Number


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
class EnvironmentRecord:
    """Where a run was trained."""

    versions: Mapping[str, str]
    device: str
    hardware: Mapping[str, Any]
    fingerprint: str


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
    signature: Mapping[str, Any] | None
    checkpoint_sha256: str | None
    items_sha256: str | None
    initializers: tuple[Initializer, ...]
    recorded: RecordedRecipe
    environment: EnvironmentRecord
    pins: Pins
    train_seconds: float
    record: Mapping[str, Any]


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
