"""sweep.json: which seeds a sweep was asked for, its band, and what became of runs that are not finished."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated

from annotated_types import MinLen, Predicate

from seedband.bands.band import load_band
from seedband.bands.band_file import a_root_seed_as_text
from seedband.errors import Refused, UsageError
from seedband.recipe.identity import RecordedRecipe
from seedband.runs.layout import REPORTED_SWEEP, SWEEP
from seedband.runs.run_file import RAW, RootSeed, _Provenance, _Recipe, recorded_in
from seedband.storage import file_hashes, json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import PathText, read_record


@dataclass(frozen=True)
class Crash:
    """Why a run crashed, and where its log is."""

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
    crashed: Mapping[Annotated[str, Predicate(a_root_seed_as_text)], Crash] = field(default_factory=dict)
    reproduced: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RecordedSweep:
    """sweep.json of a sweep.

    Attributes:
        folder: Of the sweep.
        seeds: Root seeds, in the order asked for.
        band_seeds: Those of them that were asked for with a band.
        median_seed: Root seed of the median run; None without a band.
        band: Where its band is, as seen from the folder; None without a band.
        band_sha256: Of that band's text.
        band_before_sha256: Of what was in the band's place before.
        crashed: Root seed → why its run crashed, of runs that are not finished.
        reproduced: Root seed → what became of training it again.
        recorded: Its recipe.
    """

    folder: Path
    seeds: tuple[int, ...] = ()
    band_seeds: tuple[int, ...] = ()
    median_seed: int | None = None
    band: str | None = None
    band_sha256: str | None = None
    band_before_sha256: str | None = None
    crashed: Mapping[str, Crash] = field(default_factory=dict)
    reproduced: JsonObject = field(default_factory=dict)
    recorded: RecordedRecipe

    def asked(self, seeds: Sequence[int], *, band: bool) -> "RecordedSweep":
        """The record once these seeds are asked for, with a band or without.

        Seeds that are asked for without a band are candidates in the same folder, and no part of the baseline.
        """
        baseline = [*self.band_seeds, *(seeds if band else ())]
        return replace(self, seeds=merged(self.seeds, seeds), band_seeds=merged(baseline, ()))

    def wrote(self, path: Path, sha256: str) -> bool:
        """Tell a file that the sweep wrote as its band, or found in its place and was about to replace."""
        same = self.band is not None and (self.folder / self.band).resolve() == path.resolve()
        return same and sha256 in (self.band_sha256, self.band_before_sha256)


def merged(known: Sequence[int], seeds: Sequence[int]) -> tuple[int, ...]:
    """Seeds on record with those asked for now, in the order in which they came."""
    return tuple(dict.fromkeys([*known, *seeds]))


def read_sweep(folder: Path) -> RecordedSweep:
    """sweep.json of a sweep.

    Raises:
        UsageError: The folder holds no sweep.
        Refused: The file was edited, or is of an unknown version.
    """
    refuse_reported(folder)
    if not (folder / SWEEP).is_file():
        raise UsageError(f"{folder}: no sweep (it has no {SWEEP})")
    sweep, record = read_record(folder / SWEEP, "sweep", SweepFile)
    typed = {entry.name: getattr(sweep, entry.name) for entry in fields(sweep) if entry.name not in RAW}
    return RecordedSweep(**typed, folder=folder, recorded=recorded_in(record))


def refuse_one_seed(baseline: Iterable[int], seeds: Iterable[int], finished: Container[int]) -> None:
    """Turn away a band of one seed, before anything is trained for it.

    Args:
        baseline: Seeds that were asked for with a band before.
        seeds: Asked for now.
        finished: Seeds that are there.

    Raises:
        Refused: With these the band would have one seed.
    """
    if len({*seeds, *(seed for seed in baseline if seed in finished)}) < 2:  # noqa: PLR2004
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
    """The path of a sweep's band.

    Raises:
        UsageError: The folder holds no sweep, or the sweep has no band.
        Refused: Another band lies there now.
    """
    record = read_sweep(folder)
    if record.band is None:
        raise UsageError(f"{folder}: this sweep has no band", hint="sweep at least 2 seeds, without --no-band")
    path = folder / record.band
    if not path.is_file():
        raise UsageError(f"{path}: no such file; it is the band of {folder}", hint="sweep again to write it")
    json_files.check_size(path, json_files.MAX_JSON_BYTES)
    if file_hashes.file_sha256(path) != record.band_sha256:
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
