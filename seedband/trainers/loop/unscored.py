"""What training leaves until it is scored: trained.json, and the files that go with it.

A process that ended before it had scored left a checkpoint that took minutes or hours. It is taken over only where it
is of this very run: same recipe, data, base, versions and machine, and every file as its hash says.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from seedband.determinism.pins import flipped, read_back
from seedband.errors import SeedbandError
from seedband.events import Emit
from seedband.models.model_folders import CHECKPOINT
from seedband.runs.layout import ITEMS, TRAINED, training_files
from seedband.runs.run import EnvironmentRecord
from seedband.storage import file_hashes
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import read_record
from seedband.trainers import SeedRun, TrainedRun


@dataclass(frozen=True)
class _Trained:
    failure: str
    truncated: Mapping[str, object]
    witnesses: Mapping[str, str | None]
    initializers: tuple[Mapping[str, object], ...]
    steps: int
    attention: str
    environment: EnvironmentRecord
    pins: Mapping[str, object]
    pins_flipped: tuple[str, ...]
    train_seconds: float
    padding: int = 1


@dataclass(frozen=True)
class _TrainedFile:
    """trained.json: what training left, until it is scored."""

    identity: str
    files: Mapping[str, str]
    seed: int
    streams: Mapping[str, int]
    record: _Trained


def record_of(trained: TrainedRun, process: Mapping[str, Mapping[str, object]], seconds: float) -> dict[str, object]:
    """What training gave, as run.json will have it."""
    return {
        "failure": trained.failure,
        "truncated": {"train": asdict(trained.truncated)},
        "witnesses": dict(trained.witnesses),
        "initializers": list(trained.initializers),
        "steps": trained.steps,
        "attention": trained.attention,
        "environment": dict(process["environment"]),
        "pins": dict(process["pins"]),
        "pins_flipped": flipped(process["pins"], read_back()),
        "train_seconds": seconds,
        "padding": trained.padding,
    }


def take_over(run: SeedRun, identity: str, emit: Emit) -> JsonObject | None:
    """What a process that ended before it had scored left of this very run; anything else is removed."""
    folder = Path(run.folder)
    if not (folder / TRAINED).is_file():
        return None
    try:
        left, content = read_record(folder / TRAINED, "trained", _TrainedFile)
        same = (left.identity, left.seed, left.streams) == (identity, run.seed, run.streams)
        why = "" if same else "is of another recipe, data, base, version or machine"
        if same and hashes_of_files(folder) != left.files:
            why = "is damaged: its files do not fit their hashes"
    except SeedbandError as error:
        why = f"is damaged: {error}"
    if not why:
        record: JsonObject = content["record"]
        return record
    emit("warning", run.seed, {"text": f"seed {run.seed}: the checkpoint that waits to be scored {why}: trained anew"})
    for name in (TRAINED, *CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
    return None


def hashes_of_files(folder: Path) -> dict[str, str]:
    """Hash of every file that training left in a run's folder."""
    others = {TRAINED, ITEMS, *(path.name for path in training_files(folder))}
    left = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return {path.name: file_hashes.file_sha256(path) for path in sorted(left) if path.name not in others}
