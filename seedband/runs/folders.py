"""Folders of sweeps: where a run lies, what it left on record, and what makes two runs one recipe."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen, Predicate

from seedband.bands.band import load_band
from seedband.bands.band_file import a_root_seed_as_text
from seedband.determinism.seeds import MAX_ROOT_SEED
from seedband.errors import Refused, UsageError
from seedband.models.model_folders import CHECKPOINT
from seedband.runs.layout import (
    LOGS,
    REPORTED_SWEEP,
    RUN,
    SWEEP,
    TRAINED,
    seed_folder,
    seed_folders,
    trace_path,
    training_files,
)
from seedband.runs.run import EnvironmentRecord, Evaluation, Run
from seedband.storage import atomic_files, file_hashes, json_files
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

    model: Mapping[str, Any]
    data: _DataSection
    train: Mapping[str, Any]
    gate: Mapping[str, Any]


@dataclass(frozen=True)
class _Pins:
    threads: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class _Initializer:
    name: str
    shape: tuple[int, ...]
    distribution: str


@dataclass(frozen=True)
class RunFile:
    """run.json, as far as commands rely on it."""

    seed: RootSeed
    streams: Mapping[str, int]
    status: Literal["finished", "failed"]
    failure: str
    evaluations: tuple[Evaluation, ...]
    signature: Mapping[str, Any] | None
    checkpoint_sha256: str | None
    witnesses: Mapping[str, str | None]
    initializers: tuple[_Initializer, ...]
    recipe: _Recipe
    provenance: _Provenance
    environment: EnvironmentRecord
    pins: _Pins
    train_seconds: Annotated[Number, Ge(0), Le(1e9)]
    items_sha256: str | None = None


@dataclass(frozen=True)
class _Crash:
    message: str
    log: PathText


@dataclass(frozen=True)
class SweepFile:
    """sweep.json, as far as commands rely on it."""

    seeds: Annotated[tuple[RootSeed, ...], MinLen(1)]
    median_seed: RootSeed | None
    band: PathText | None
    band_sha256: str | None
    recipe: _Recipe
    provenance: _Provenance
    band_before_sha256: str | None = None
    band_seeds: tuple[RootSeed, ...] = ()
    crashed: Mapping[Annotated[str, Predicate(a_root_seed_as_text)], _Crash] = field(default_factory=dict)
    reproduced: Mapping[str, Any] = field(default_factory=dict)


def read_run(folder: Path) -> Run:
    """A finished run from its folder.

    Raises:
        UsageError: No run.json: the run is not finished.
        Refused: run.json was edited, is of an unknown version, or does not hold together.
    """
    run, record = read_record(folder / RUN, "run", RunFile)
    if found := _contradiction(run):
        raise Refused(f"{folder / RUN}: not a run that holds together: {found}")
    return Run(run.seed, folder, run.status, run.failure, run.evaluations, run.witnesses, record)


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
    """What no run that was trained has on record; empty when there is nothing."""
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


def read_sweep(folder: Path) -> dict[str, Any]:
    """sweep.json of a sweep.

    Raises:
        UsageError: The folder holds no sweep.
        Refused: The file was edited, or is of an unknown version.
    """
    refuse_reported(folder)
    if not (folder / SWEEP).is_file():
        raise UsageError(f"{folder}: no sweep (it has no {SWEEP})")
    return read_record(folder / SWEEP, "sweep", SweepFile)[1]


def with_seeds(before: Mapping[str, Any], seeds: Sequence[int], *, band: bool) -> dict[str, list[int]]:
    """Which seeds a sweep's record names once these were asked for, and which of them its band is of.

    Seeds that were asked for without a band are candidates in the same folder, and no part of the baseline.

    Args:
        before: The record as it stands; empty where there is none.
        seeds: Asked for now.
        band: Whether with a band.
    """
    known, baseline = before.get("seeds", ()), before.get("band_seeds", ())
    return {
        "seeds": list(dict.fromkeys([*known, *seeds])),
        "band_seeds": list(dict.fromkeys([*baseline, *(seeds if band else ())])),
    }


def refuse_one_seed(before: Mapping[str, Any], seeds: Iterable[int], finished: Container[int]) -> None:
    """Turn away a band of one seed, before anything is trained for it.

    Args:
        before: The sweep's record as it stands; empty where there is none.
        seeds: Asked for now.
        finished: Seeds that are there.

    Raises:
        Refused: With these the band would have one seed.
    """
    if len({*seeds, *(seed for seed in before.get("band_seeds", ()) if seed in finished)}) < 2:  # noqa: PLR2004
        raise Refused("one seed has no spread: a band needs at least 2", hint="--seeds 4; or --no-band for a candidate")


def refuse_reported(folder: Path) -> None:
    """Turn a sweep away whose training command reported its scores.

    Raises:
        Refused: It is one.
    """
    if (folder / REPORTED_SWEEP).is_file():
        raise Refused(
            f"{folder}: its training command reported its own scores, so there are no checkpoints and no items here",
            hint=f"its scores are in {folder / 'scores.csv'}; seedband check {folder} judges them by a band",
        )


def band_path(folder: Path) -> Path:
    """Where the band of a sweep lies.

    Raises:
        UsageError: The folder holds no sweep, or the sweep has no band.
        Refused: Another band lies there now.
    """
    record = read_sweep(folder)
    if record["band"] is None:
        raise UsageError(f"{folder}: this sweep has no band", hint="sweep at least 2 seeds, without --no-band")
    path: Path = folder / record["band"]
    if not path.is_file():
        raise UsageError(f"{path}: no such file; it is the band of {folder}", hint="sweep again to write it")
    json_files.check_size(path, json_files.MAX_JSON_BYTES)
    if file_hashes.file_sha256(path) != record["band_sha256"]:
        raise Refused(f"{path} is no longer the band that {folder} wrote", hint="restore it, or sweep again")
    return path


def sweep_folder(path: Path) -> Path:
    """The folder of a sweep, itself or as the band that it wrote names it.

    Raises:
        UsageError: Neither a sweep nor the band of one that still lies where it did.
    """
    if path.is_dir():
        read_sweep(path)
        return path
    band = load_band(path)
    if "runs" not in band.provenance:
        raise UsageError(f"{path}: was made from bare scores, there are no runs to look into")
    folder: Path = band.folder / band.provenance["runs"]
    if not (folder / SWEEP).is_file():
        raise UsageError(f"{folder}: no sweep; {path} was made from it", hint="name the folder of the sweep")
    return folder


def finished_runs(folder: Path) -> list[Run]:
    """Every finished run of a sweep, by seed."""
    refuse_reported(folder)
    runs = [read_run(run) for run in seed_folders(folder) if (run / RUN).exists()]
    for run in runs:
        if run.folder.name != seed_folder(folder, run.seed).name:
            raise Refused(f"{run.folder / RUN}: is the run of seed {run.seed}", hint="every seed has its own folder")
    return sorted(runs, key=lambda run: run.seed)


def clear(folder: Path) -> None:
    """Remove what a sweep left when it was killed; the folder's lock must be held.

    Half-written files, jobs, training checkpoints of runs that are finished; and the checkpoint of a run that is not,
    which may be of another method than the one that is trained next, unless it is trained and waits to be scored.
    """
    for job in (folder / LOGS).glob("*.job.json"):
        job.unlink(missing_ok=True)
    for place in (folder, folder / LOGS, *seed_folders(folder)):
        atomic_files.remove_parts(place)
    # Without a trace it is no run of ours, whatever it is called.
    for run in (place for place in seed_folders(folder) if trace_path(place).is_file()):
        if (run / RUN).is_file():
            stale = [*training_files(run), run / TRAINED]
        else:
            stale = [] if (run / TRAINED).is_file() else [run / name for name in CHECKPOINT]
        for path in stale:
            path.unlink(missing_ok=True)
