"""The folder of a sweep whose command reports its own scores: its record, its finished seeds, their score file."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from annotated_types import MinLen

from seedband.errors import Refused
from seedband.recipe.parse import differing_keys
from seedband.runs import layout, reported_run
from seedband.runs.layout import REPORTED, REPORTED_SWEEP, SCORES_FILE, seed_folders
from seedband.runs.reported_run import Reported
from seedband.runs.sweep_file import merged
from seedband.storage import atomic_files, json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import read_record


@dataclass(frozen=True)
class ReportedData:
    """What the recipe calls the data of which the scores are; nothing else is known of it."""

    name: str
    version: str


@dataclass(frozen=True)
class ReportedSweep:
    """reported-sweep.json of a sweep, as far as commands rely on it."""

    seeds: Annotated[tuple[int, ...], MinLen(1)]
    identity: JsonObject
    data: ReportedData
    metrics: JsonObject
    band_seeds: tuple[int, ...] = ()
    crashed: Mapping[str, str] = field(default_factory=dict)

    def asked(self, seeds: Sequence[int], *, band: bool) -> "ReportedSweep":
        """The record once these seeds are asked for, with a band or without; see `RecordedSweep.asked`."""
        baseline = [*self.band_seeds, *(seeds if band else ())]
        return replace(self, seeds=merged(self.seeds, seeds), band_seeds=merged(baseline, ()))


def read(folder: Path) -> ReportedSweep:
    """reported-sweep.json of such a sweep.

    Raises:
        UsageError: It is not there.
        Refused: It was edited, or does not hold together.
    """
    return read_record(folder / REPORTED_SWEEP, "reported-sweep", ReportedSweep)[0]


def is_reported(path: Path) -> bool:
    """Check whether a folder is a sweep of a command that reports its own scores."""
    return (path / REPORTED_SWEEP).is_file()


class ReportedRecord:
    """reported-sweep.json of one sweep while its lock is held: read once, and written at every step.

    Args:
        folder: Of the sweep.
        new: The record of a sweep of which no seed was asked for yet.
        known: What is on record there; None for a folder without a record.
    """

    def __init__(self, folder: Path, new: ReportedSweep, known: ReportedSweep | None) -> None:
        if known is not None and differing_keys(known.identity, new.identity):
            known = None  # another recipe was begun here, and left nothing
        self._folder = folder
        self._content = new if known is None else replace(known, identity=new.identity, metrics=new.metrics)

    @property
    def content(self) -> ReportedSweep:
        """The record as it is."""
        return self._content

    def ask(self, seeds: Sequence[int], *, band: bool = False) -> None:
        """Put seeds on record that are asked for now, with a band or without."""
        self._write(self._content.asked(seeds, band=band))

    def crash(self, crashed: Mapping[int, str]) -> None:
        """Put on record why seeds crashed, until they are finished."""
        told = {str(seed): message for seed, message in crashed.items()}
        self._write(replace(self._content, crashed={**self._content.crashed, **told}))

    def _write(self, content: ReportedSweep) -> None:
        place = partial(layout.seed_folder, self._folder)
        left = {seed: told for seed, told in content.crashed.items() if not (place(int(seed)) / REPORTED).is_file()}
        self._content = replace(content, crashed=left)
        table = {
            "seeds": list(content.seeds),
            "band_seeds": list(content.band_seeds),
            "identity": content.identity,
            "data": asdict(content.data),
            "metrics": content.metrics,
            "crashed": left,
        }
        json_files.write_json(self._folder / REPORTED_SWEEP, "reported-sweep", table)


def reported_among(paths: Iterable[Path]) -> Path | None:
    """The first of these that is such a sweep: further scores of it are swept into its folder."""
    return next((path for path in paths if is_reported(path)), None)


def refuse_parts(paths: Sequence[Path]) -> None:
    """Turn away what is no candidate: a seed of such a sweep, or such a sweep beside others.

    Raises:
        Refused: One of them is.
    """
    for path in paths:
        if is_reported(path.absolute().parent):
            message = f"{path} is one seed of a sweep whose command reported its own scores"
            raise Refused(message, hint=f"its seeds are judged together: seedband check {path.parent}")
        if is_reported(path) and len(paths) > 1:
            message = f"{path} is a sweep whose command reported its own scores, and is judged alone"
            raise Refused(message, hint=f"seedband check {path}; further seeds are swept into this very folder")


def finished_seeds(folder: Path) -> list[Reported]:
    """The records of all finished seeds, by seed."""
    found = []
    for path in (run / REPORTED for run in seed_folders(folder) if (run / REPORTED).exists()):
        entry = reported_run.read(path.parent)
        if path.parent.name != layout.seed_folder(folder, entry.seed).name:
            raise Refused(f"{path}: is of seed {entry.seed}", hint="every seed has its own folder")
        found.append(entry)
    return sorted(found, key=lambda entry: entry.seed)


def check_distinct(folder: Path, found: Sequence[Reported]) -> None:
    """Refuse identical scores under every seed: the script ignores its seed, as far as scores can show."""
    if len(found) > 1 and all(entry.scores == found[0].scores for entry in found):
        seeds = ", ".join(str(entry.seed) for entry in found)
        raise Refused(
            f"{folder}: seeds {seeds} gave identical scores on every metric: your script seems to ignore --seed",
            hint="give the seed to everything that draws; a metric of few items needs more of them",
        )


def check_scores_file(path: Path, found: Sequence[Reported]) -> None:
    """Refuse a score file that is not what the seeds have on record: it has no seal of its own."""
    if not path.is_file() or path.read_bytes() != _scores_text(found).encode():
        message = f"{path} is missing or not what the seeds beside it have on record in their {REPORTED}"
        raise Refused(message, hint="sweep again to write it; scores of your own go into a file of their own: --scores")


def write_scores(folder: Path, found: Sequence[Reported]) -> None:
    """Put what all seeds have on record into one score file."""
    atomic_files.write_text(folder / SCORES_FILE, _scores_text(found))


def _scores_text(found: Sequence[Reported]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["metric", "seed", "score"])
    for entry in found:
        writer.writerows([metric, entry.seed, repr(score)] for metric, score in entry.scores.items())
    return text.getvalue()
