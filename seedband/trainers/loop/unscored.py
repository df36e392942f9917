"""What training leaves until it is scored: trained.json, and the files that go with it.

A process that ended before it had scored left a checkpoint that took minutes or hours. It is taken over only where it
is of this very run: same recipe, data, base, versions and machine, and every file as its hash says.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from seedband.determinism.environment_record import EnvironmentRecord
from seedband.determinism.pins import flipped, read_back
from seedband.errors import SeedbandError
from seedband.events import Emit
from seedband.models.model_folders import CHECKPOINT
from seedband.runs.layout import ITEMS, TRAINED, training_files
from seedband.storage import file_hashes
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import read_record
from seedband.trainers import SeedRun, TrainedRun


class Process(NamedTuple):
    """The process that trains.

    Attributes:
        environment: Where its numbers are made.
        pins: What it was pinned to when it began.
    """

    environment: EnvironmentRecord
    pins: Mapping[str, object]


@dataclass(frozen=True)
class Unscored:
    """What training gave, as run.json will have it.

    Attributes:
        failure: Why it failed to train; empty otherwise.
        truncated: What was left out of the training rows.
        witnesses: What proves its draws and its course, as hashes.
        initializers: How every new tensor was drawn.
        steps: Optimizer steps taken.
        attention: The attention implementation in use.
        environment: Where its numbers were made.
        pins: What its process was pinned to.
        pins_flipped: Pins that changed while it ran.
        train_seconds: How long it took.
        padding: Version of how its rows were padded.
    """

    failure: str
    truncated: JsonObject
    witnesses: Mapping[str, str | None]
    initializers: tuple[JsonObject, ...]
    steps: int
    attention: str
    environment: EnvironmentRecord
    pins: Mapping[str, object]
    pins_flipped: tuple[str, ...]
    train_seconds: float
    padding: int = 1

    def as_dict(self) -> JsonObject:
        """The same as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _TrainedFile:
    """trained.json: what training left, until it is scored."""

    identity: str
    files: Mapping[str, str]
    seed: int
    streams: Mapping[str, int]
    record: Unscored


def record_of(trained: TrainedRun, process: Process, seconds: float) -> Unscored:
    """The result of training, as run.json will have it."""
    return Unscored(
        failure=trained.failure,
        truncated={"train": asdict(trained.truncated)},
        witnesses=dict(trained.witnesses),
        initializers=tuple(trained.initializers),
        steps=trained.steps,
        attention=trained.attention,
        environment=process.environment,
        pins=process.pins,
        pins_flipped=tuple(flipped(process.pins, read_back())),
        train_seconds=seconds,
        padding=trained.padding,
    )


def take_over(run: SeedRun, identity: str, emit: Emit) -> Unscored | None:
    """Take over what an ended process left of this very run, unscored; anything else is removed."""
    folder = Path(run.folder)
    if not (folder / TRAINED).is_file():
        return None
    try:
        left, _ = read_record(folder / TRAINED, "trained", _TrainedFile)
        same = (left.identity, left.seed, left.streams) == (identity, run.seed, run.streams)
        why = "" if same else "is of another recipe, data, base, version or machine"
        if same and hashes_of_files(folder) != left.files:
            why = "is damaged: its files do not fit their hashes"
    except SeedbandError as error:
        why = f"is damaged: {error}"
    if not why:
        return left.record
    emit("warning", run.seed, {"text": f"seed {run.seed}: the checkpoint that waits to be scored {why}: trained again"})
    for name in (TRAINED, *CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
    return None


def hashes_of_files(folder: Path) -> dict[str, str]:
    """Hash of every file that training left in a run's folder."""
    others = {TRAINED, ITEMS, *(path.name for path in training_files(folder))}
    left = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return {path.name: file_hashes.file_sha256(path) for path in sorted(left) if path.name not in others}
