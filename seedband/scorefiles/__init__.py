"""Score files: what any other trainer measured, as evidence for a band or a verdict.

Each format has a reader of its own, found by the content of the file (`registry`). A file is read whole or not at all:
what is malformed is a UsageError that lists every mistake, and what is well-formed and still no evidence (NaN, scores
twice, scores missing) is Refused. What a reader leaves, and where the seeds come from, is told.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from seedband.errors import Problem, Refused, UsageError
from seedband.scorefiles import names, places
from seedband.scorefiles.evidence import has_items, incomplete, malformed, score_of, tabulated
from seedband.scorefiles.file_seeds import COUNTED, seeded
from seedband.scorefiles.reading import ABSENT, Cell, Document, Reading, Wanted, chosen, few
from seedband.scorefiles.registry import reader_of
from seedband.storage import json_files

__all__ = [
    "MAX_LISTED",
    "ScoreFile",
    "Source",
    "Wanted",
    "count",
    "few",
    "label",
    "names",
    "places",
    "read_scores",
    "said",
]
#: Mistakes listed of one file; the rest is counted.
MAX_LISTED = 20


class Source(NamedTuple):
    """A file that scores were read from, and its SHA-256."""

    path: Path
    sha256: str


class ScoreFile(NamedTuple):
    """The scores of one file, or of several.

    Attributes:
        sources: Where they come from.
        seeds: Root seeds, in the order of the file; those named as failed are left out.
        scores: For every metric, one score per seed, shape (n,).
        items: For the metrics that have them, the score of every item, shape (n, n_items).
        item_ids: Names of the items, in the order that the file first names them; empty without items.
        failed_seeds: Seeds of the file that were named as failed; their scores are not read.
        directions: Metric → whether higher is better, where the file says it.
        others: Metrics of the file that nobody has a use for.
        names_seeds: Whether seeds are the file's own, rather than counted.
        one_run: Whether every file is of one run.
        notes: What was read and left, for people; empty for a plain file that is read whole.
    """

    sources: tuple[Source, ...]
    seeds: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]
    items: Mapping[str, tuple[tuple[float, ...], ...]]
    item_ids: tuple[str, ...]
    failed_seeds: tuple[int, ...]
    directions: Mapping[str, bool]
    others: tuple[str, ...] = ()
    names_seeds: bool = True
    one_run: bool = False
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Of its only file, or its first."""
        return self.sources[0].path

    @property
    def sha256(self) -> str:
        """Of its only file, or its first."""
        return self.sources[0].sha256

    @property
    def items_sha256(self) -> str | None:
        """SHA-256 of the names of the items, whatever their order; None without items."""
        return json_files.digest(sorted(self.item_ids)) if self.item_ids else None

    def of(self, seeds: Collection[int]) -> "ScoreFile":
        """The scores of some of its seeds alone."""
        kept = [row for row, seed in enumerate(self.seeds) if seed in seeds]
        return self._replace(
            seeds=tuple(self.seeds[row] for row in kept),
            scores={metric: tuple(scores[row] for row in kept) for metric, scores in self.scores.items()},
            items={metric: tuple(table[row] for row in kept) for metric, table in self.items.items()},
        )


def read_scores(paths: Path | Sequence[Path], failed: Collection[int] = (), wanted: Wanted | None = None) -> ScoreFile:
    """Read score files.

    In a long CSV, rows with an item are scores of that item; a seed's score is then their mean, unless a row of the
    same metric and seed without an item gives it.

    Args:
        paths: A file, or several, or a folder of them.
        failed: Root seeds that failed to train; nothing is expected of their scores.
        wanted: What was said of them.

    Raises:
        UsageError: No such file, another format, or mistakes in it, each with its row.
        Refused: No scores, NaN or infinity, a score twice, seeds without a metric or an item that others have.
    """
    wanted = replace(wanted or Wanted(), failed=frozenset(failed))
    files = places.files_of([paths] if isinstance(paths, Path) else paths)
    documents = [Document(path, _content(path)) for path in files]
    what = label(files)
    readings = {document.path: _reading(document, wanted) for document in documents}
    entries, mistakes, how = seeded(readings, wanted)
    mistakes += [problem for entry in entries if (problem := malformed(entry, failed)) is not None]
    if mistakes:
        raise UsageError(f"{what}: {count(mistakes, 'mistake')}", problems=mistakes[:MAX_LISTED])
    found = [entry for entry in entries if isinstance(entry, Cell)]
    cells = [cell for cell in found if cell.seed not in failed]
    seeds = tuple(dict.fromkeys(cell.seed for cell in cells if cell.score is not ABSENT))
    item_ids = tuple(dict.fromkeys(cell.item for cell in cells if cell.item))
    if not seeds:
        raise Refused(f"{what}: holds no score" + (" but those of failed seeds" if found and failed else ""))
    table, refusals = tabulated(cells)
    refusals += incomplete(table, seeds, item_ids)
    if refusals:
        raise Refused(f"{what}: refused for {count(refusals, 'reason')}", problems=refusals[:MAX_LISTED])
    return ScoreFile(
        sources=tuple(Source(document.path, hashlib.sha256(document.content).hexdigest()) for document in documents),
        seeds=seeds,
        scores={metric: tuple(score_of(rows[seed]) for seed in seeds) for metric, rows in table.items()},
        items={
            metric: tuple(tuple(rows[seed][item].score for item in item_ids) for seed in seeds)
            for metric, rows in table.items()
            if has_items(rows)
        },
        item_ids=item_ids,
        failed_seeds=tuple(dict.fromkeys(cell.seed for cell in found if cell.seed in failed)),
        directions={name: way for reading in readings.values() for name, way in reading.directions.items()},
        others=tuple(dict.fromkeys(name for reading in readings.values() for name in reading.others)),
        names_seeds=how != COUNTED,
        one_run=all(reading.one_run for reading in readings.values()),
        notes=tuple(_notes(readings, seeds, how)),
    )


def said(
    metrics: Sequence[str] | None, seed_column: str | None, where: Sequence[str] | None, *, percent: bool
) -> Wanted:
    """The flags of a command, as readers take them.

    Raises:
        UsageError: A `--where` that is no COLUMN=VALUE.
    """
    pairs = {}
    for text in where or ():
        column, equals, value = text.partition("=")
        if not equals or not column.strip():
            raise UsageError(f"--where {text}: expected COLUMN=VALUE", hint="--where model=small")
        pairs[column.strip()] = value.strip()
    return Wanted(tuple(metrics or ()), seed_column=seed_column, where=pairs, percent=percent)


def label(files: Sequence[Path]) -> str:
    """Score files in a message."""
    return f"{files[0]} and {len(files) - 1} more" if len(files) > 1 else str(files[0])


def _content(path: Path) -> bytes:
    try:
        json_files.check_size(path, json_files.MAX_JSON_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _reading(document: Document, wanted: Wanted) -> Reading:
    reader = reader_of(document)
    if reader is None:
        message = f"{document.path}: unknown extension {document.path.suffix!r}"
        raise UsageError(message, hint="score files are .csv, .tsv, .json or .jsonl")
    if not document.text.strip():
        raise Refused(f"{document.path}: is empty")
    return _selected(reader.read(document, wanted), wanted)


def _selected(reading: Reading, wanted: Wanted) -> Reading:
    """The reading without what is no metric, and what nobody asked for."""
    found = dict.fromkeys(entry.metric for entry in reading.entries if isinstance(entry, Cell))
    kept, left, others = chosen(list(found), wanted)
    entries = [entry for entry in reading.entries if isinstance(entry, Problem) or entry.metric in kept]
    left = {**reading.left, **left}
    if left and not entries:
        message = "no metric but " + few(f"{name} ({why})" for name, why in left.items())
        hint = "" if {*left.values()} <= {"empty", "text"} else "--metric NAME reads one of them all the same"
        entries = [Problem("the file", message, "a column or key of scores, which are numbers", hint)]
    return replace(reading, entries=entries, left=left, others=(*reading.others, *others))


def _notes(readings: Mapping[Path, Reading], seeds: Sequence[int], how: str) -> Iterator[str]:
    """A line for every format: what was read and left, and where the seeds come from."""
    formats = dict.fromkeys(reading.what for reading in readings.values() if reading.left or not reading.plain)
    for what in formats:
        of_it = {path: reading for path, reading in readings.items() if reading.what == what}
        left: dict[str, list[str]] = {}
        for name, why in {name: why for reading in of_it.values() for name, why in reading.left.items()}.items():
            left.setdefault(why, []).append(name)
        told = "; ".join(f"{few(listed)} ({why})" for why, listed in left.items())
        origin = "" if how == COUNTED else f", {len(seeds)} seed{'s' * (len(seeds) != 1)} from {how}"
        named = f" ({few(map(str, seeds))})" if origin else ""
        yield f"{label([*of_it])}: read as {what}{origin}{named}" + (f"; left out: {told}" if told else "")


def count(problems: Sequence[Problem], word: str) -> str:
    """Count problems, and say how many of them are listed."""
    more = f", these {MAX_LISTED} and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
    return f"{len(problems)} {word}{'' if len(problems) == 1 else 's'}{more}"
