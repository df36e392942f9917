"""timeline: every band and every verdict below a folder, in the order in which they were made.

A band has no time on record, for the same sweep gives the same bytes whenever it runs: its file's time counts. A report
of `check --report json` says when it was written.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from seedband.bands.band import Band, load_band
from seedband.bands.comparability import at
from seedband.counts import counted
from seedband.errors import Refused, SeedbandError, UsageError
from seedband.runs import sweep_file
from seedband.storage import json_files
from seedband.storage.validation import Number, checked

#: A file of ours says what it is within its first bytes.
PEEK_BYTES = 200
#: The newest form of a report that is read.
REPORT_VERSION = 1


@dataclass(frozen=True)
class Point:
    """One metric of a band or a verdict.

    Attributes:
        scores: Of the band's seeds, or of the candidates.
        band: Lower and upper edge; None for a verdict.
        limit: Beyond which a verdict stopped its candidates; None for a band, and where no scale places it.
        status: Of a verdict; empty for a band.
        eval_sha256: Eval data that a band is about; empty where that is not on record.
    """

    scores: tuple[float, ...]
    band: tuple[float, float] | None = None
    limit: float | None = None
    status: str = ""
    eval_sha256: str = ""

    @property
    def values(self) -> tuple[float, ...]:
        """Everything that has a place on the axis."""
        return (*self.scores, *(self.band or ()), *(() if self.limit is None else (self.limit,)))


@dataclass(frozen=True)
class Entry:
    """A band or a verdict.

    Attributes:
        path: Its file.
        kind: Which of the two.
        time: When it was made, UTC.
        on_record: Whether the file itself says so; else it is the file's time.
        status: Of a verdict; "band" for a band.
        message: What it says, in one line.
        primary: The metric that is shown first; empty where there was no verdict.
        metrics: Metric by metric.
    """

    path: Path
    kind: Literal["band", "verdict"]
    time: datetime
    on_record: bool
    status: str
    message: str
    primary: str
    metrics: Mapping[str, Point]


@dataclass(frozen=True)
class Timeline:
    """Bands and verdicts below a folder.

    Attributes:
        folder: The folder.
        entries: From the oldest to the newest.
        unread: File → why it is none of them.
    """

    folder: Path
    entries: tuple[Entry, ...]
    unread: Mapping[Path, str] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        """Every metric, those that are shown first in front."""
        first = [entry.primary for entry in reversed(self.entries) if entry.primary]
        return list(dict.fromkeys([*first, *(name for entry in self.entries for name in entry.metrics)]))


@dataclass(frozen=True)
class _Metric:
    status: Literal["pass", "fail", "suspect"]
    scores: tuple[Number, ...]
    limit: Number | None


@dataclass(frozen=True)
class _ReportFile:
    """A JSON report, as far as a timeline relies on it."""

    status: Literal["pass", "fail", "suspect", "refused", "error"]
    message: str
    primary: str = ""
    metrics: Mapping[str, _Metric] = field(default_factory=dict)
    time: str = ""


def timeline(folder: str | Path) -> Timeline:
    """Every band, sweep and JSON report below a folder.

    Raises:
        UsageError: No such folder, or nothing of the kind in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    entries: dict[Path, Entry] = {}
    unread: dict[Path, str] = {}
    for path, kind in _ours(folder):
        try:
            if kind == "report":
                entries[path.resolve()] = _verdict(path)
            else:
                place = sweep_file.band_path(path.parent) if kind == "sweep" else path
                entries.setdefault(place.resolve(), _band(load_band(place), path if kind == "sweep" else place, place))
        except SeedbandError as error:
            unread[path] = error.message
    if not entries:
        told = "".join(f"; {path}: {why}" for path, why in unread.items())
        raise UsageError(f"{folder}: no band, no sweep and no JSON report below it{told}", hint="check --report json=F")
    return Timeline(folder, tuple(sorted(entries.values(), key=lambda entry: (entry.time, str(entry.path)))), unread)


def _ours(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files of ours and what they are, by the first bytes; links are not followed."""
    for place, inner, names in os.walk(folder):
        inner.sort()
        for name in sorted(names):
            path = Path(place) / name
            if path.suffix == ".json" and path.is_file() and (kind := _kind(path)):
                yield path, kind


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(PEEK_BYTES)
    except OSError:
        return ""
    return next((kind for kind in ("band", "sweep", "report") if f'"seedband.{kind}"'.encode() in start), "")


def _band(band: Band, path: Path, place: Path) -> Entry:
    sha256 = at(band.provenance, "signature.eval_data.sha256") or band.provenance.get("items_sha256") or ""
    metrics = {
        name: Point(metric.scores, (metric.lower, metric.upper), eval_sha256=str(sha256))
        for name, metric in band.metrics.items()
    }
    failed = f", {len(band.failed_seeds)} failed to train" if band.failed_seeds else ""
    message = f"{counted(len(band.seeds), 'seed')}{failed}, rule {band.rule}, alpha {band.alpha:g}"
    time, on_record = _file_time(place), False
    return Entry(path, "band", time, on_record, "band", message, band.primary, metrics)


def _verdict(path: Path) -> Entry:
    content = json_files.parse_json(path)
    if content.get("version") != REPORT_VERSION:
        raise Refused(f"{path}: version {content.get('version')!r} of seedband.report is unknown")
    told = checked(content, _ReportFile, f"{path}: not a report that holds together")
    metrics = {
        name: Point(metric.scores, limit=metric.limit, status=metric.status)
        for name, metric in told.metrics.items()
        if metric.scores
    }
    on_record = _recorded(told.time)
    time = on_record or _file_time(path)
    return Entry(path, "verdict", time, on_record is not None, told.status, told.message, told.primary, metrics)


def _recorded(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def _file_time(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
