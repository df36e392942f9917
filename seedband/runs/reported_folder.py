"""The folder of a sweep whose command reports its own scores: its record, its finished seeds, their score file."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen

from seedband.errors import Refused
from seedband.runs import layout, reported_run
from seedband.runs.layout import REPORTED, REPORTED_SWEEP, SCORES_FILE, seed_folders
from seedband.runs.reported_run import Reported
from seedband.storage import atomic_files
from seedband.storage.validation import read_record


@dataclass(frozen=True)
class _Data:
    """What the recipe calls the data of which the scores are; nothing else is known of it."""

    name: str
    version: str


@dataclass(frozen=True)
class ReportedSweep:
    """reported-sweep.json of a sweep, as far as commands rely on it."""

    seeds: Annotated[tuple[int, ...], MinLen(1)]
    identity: Mapping[str, Any]
    data: _Data
    metrics: Mapping[str, Any]
    band_seeds: tuple[int, ...] = ()
    crashed: Mapping[str, str] = field(default_factory=dict)


def read(folder: Path) -> tuple[ReportedSweep, dict[str, Any]]:
    """reported-sweep.json of such a sweep, and all that it holds.

    Raises:
        UsageError: It is not there.
        Refused: It was edited, or does not hold together.
    """
    return read_record(folder / REPORTED_SWEEP, "reported-sweep", ReportedSweep)


def is_reported(path: Path) -> bool:
    """Whether a folder is a sweep of a command that reports its own scores."""
    return (path / REPORTED_SWEEP).is_file()


def refuse_parts(paths: Sequence[Path]) -> None:
    """Turn away what is no candidate: a seed of such a sweep, or such a sweep beside others.

    Raises:
        Refused: One of them is.
    """
    for path in paths:
        if is_reported(path.absolute().parent):
            told = f"{path} is one seed of a sweep whose command reported its own scores"
            raise Refused(told, hint=f"its seeds are judged together: seedband check {path.parent}")
        if is_reported(path) and len(paths) > 1:
            told = f"{path} is a sweep whose command reported its own scores, and is judged alone"
            raise Refused(told, hint=f"seedband check {path}; further seeds are swept into this very folder")


def finished_seeds(folder: Path) -> list[Reported]:
    """What every finished seed has on record, by seed."""
    found = []
    for path in (run / REPORTED for run in seed_folders(folder) if (run / REPORTED).exists()):
        entry = reported_run.read(path.parent)
        if path.parent.name != layout.seed_folder(folder, entry.seed).name:
            raise Refused(f"{path}: is of seed {entry.seed}", hint="every seed has its own folder")
        found.append(entry)
    return sorted(found, key=lambda entry: entry.seed)


def check_distinct(folder: Path, found: Sequence[Reported]) -> None:
    """Where scores are all that is known, only the same under every seed tells of a seed that nobody reads."""
    if len(found) > 1 and all(entry.scores == found[0].scores for entry in found):
        seeds = ", ".join(str(entry.seed) for entry in found)
        raise Refused(
            f"{folder}: seeds {seeds} gave identical scores on every metric: your script seems to ignore --seed",
            hint="give the seed to everything that draws; a metric of few items needs more of them",
        )


def check_scores_file(path: Path, found: Sequence[Reported]) -> None:
    """What is judged is what the seeds have on record, sealed: the score file has no seal of its own."""
    if not path.is_file() or path.read_bytes() != _scores_text(found).encode():
        told = f"{path} is missing or not what the seeds beside it have on record in their {REPORTED}"
        raise Refused(
            told, hint="sweep again to write it anew; scores of your own go into a file of their own: --scores"
        )


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
