"""run.json: the record of a finished run, checked where it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from seedband.bands.comparability import Signature
from seedband.determinism.environment_record import EnvironmentRecord
from seedband.determinism.seeds import MAX_ROOT_SEED
from seedband.errors import Refused
from seedband.recipe.identity import RecordedRecipe
from seedband.runs.layout import RUN, seed_folder
from seedband.runs.run import Evaluation, Initializer, Pins, Run
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import Number, PathText, read_record

RootSeed = Annotated[int, Ge(0), Le(MAX_ROOT_SEED)]


@dataclass(frozen=True)
class _Base:
    reference: PathText
    sha256: str
    files_sha256: str
    revision: str | None


@dataclass(frozen=True)
class _Rows:
    path: PathText
    sha256: str


@dataclass(frozen=True)
class _Data:
    train: _Rows
    eval: _Rows


@dataclass(frozen=True)
class _Provenance:
    base: _Base
    data: _Data
    folder: PathText = "."


@dataclass(frozen=True)
class _DataSection:
    slices: tuple[str, ...]


@dataclass(frozen=True)
class _Recipe:
    """As much of a recipe as is looked into without reading it as one: another release may know other keys."""

    model: JsonObject
    data: _DataSection
    train: JsonObject
    gate: JsonObject


@dataclass(frozen=True)
class RunFile:
    """run.json, as far as commands rely on it."""

    seed: RootSeed
    streams: Mapping[str, int]
    status: Literal["finished", "failed"]
    failure: str
    evaluations: tuple[Evaluation, ...]
    signature: Signature | None
    checkpoint_sha256: str | None
    witnesses: Mapping[str, str | None]
    initializers: tuple[Initializer, ...]
    recipe: _Recipe
    provenance: _Provenance
    environment: EnvironmentRecord
    pins: Pins
    train_seconds: Annotated[Number, Ge(0), Le(1e9)]
    items_sha256: str | None = None


#: Parts of a record that stay as they were written: a recipe of another release may have other keys.
RAW = ("recipe", "provenance")


def recorded_in(record: JsonObject) -> RecordedRecipe:
    """The recipe of a record that was checked."""
    return RecordedRecipe(record["recipe"], record["provenance"])


def read_run(folder: Path) -> Run:
    """A finished run from its folder.

    Raises:
        UsageError: No run.json: the run is not finished.
        Refused: run.json was edited, is of an unknown version, or does not hold together.
    """
    run, record = read_record(folder / RUN, "run", RunFile)
    if found := _contradiction(run):
        raise Refused(f"{folder / RUN}: not a run that holds together: {found}")
    typed = {field.name: getattr(run, field.name) for field in fields(run) if field.name not in RAW}
    return Run(**typed, folder=folder, recorded=recorded_in(record), record=record)


def read_seed(folder: Path, seed: int) -> Run:
    """The run of a seed of a sweep.

    Raises:
        UsageError: It is not finished.
        Refused: What lies there does not hold together, or is the run of another seed.
    """
    run = read_run(seed_folder(folder, seed))
    if run.seed != seed:
        raise Refused(f"{run.folder / RUN}: seed: found {run.seed}, expected {seed}, as its folder says")
    return run


def _contradiction(run: RunFile) -> str:
    """A contradiction in the record of a run; empty when there is none."""
    if run.status == "failed":
        return "" if run.failure else "failure: found nothing, expected why a failed run failed"
    needed = {
        "evaluations": run.evaluations,
        "signature": run.signature,
        "checkpoint_sha256": run.checkpoint_sha256,
        "items_sha256": run.items_sha256,
    }
    lacking = [name for name, value in needed.items() if not value]
    return f"{lacking[0]}: found nothing, expected what a finished run left" if lacking else ""
