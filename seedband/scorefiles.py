"""Score files: what any other trainer measured, as evidence for a band or a verdict.

A long CSV (`metric,seed,score[,item]`), a wide CSV (`seed` and a column for each metric) or JSON
(`{"metric": [scores]}`, seeds 0, 1, …). A file is read whole or not at all: what is malformed is a UsageError that
lists every mistake, and what is well-formed and still no evidence (NaN, scores twice, scores missing) is Refused.
"""

import csv
import hashlib
import io
import json
import re
import reprlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seedband import store
from seedband.errors import Problem, Refused, UsageError
from seedband.evidence import MAX_SCORE
from seedband.seeding import MAX_ROOT_SEED
from seedband.stats.limits import mean

LONG = ("metric", "seed", "score")
ITEM = "item"
COLUMNS = "metric,seed,score[,item], or seed and a column for each metric"
#: Mistakes listed of one file; the rest is counted.
MAX_LISTED = 20
#: Seeds or items named in one mistake; the rest is counted.
MAX_NAMED = 5

_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_ABSENT = object()


class ScoreFile(NamedTuple):
    """The scores of one file.

    Attributes:
        path: Where they come from.
        seeds: Root seeds, in the order of the file; those named as failed are left out.
        scores: For every metric, one score per seed, shape (n,).
        items: For the metrics that have them, the score of every item, shape (n, n_items).
        item_ids: Names of the items, in the order that the file first names them; empty without items.
        failed_seeds: Seeds of the file that were named as failed; their scores are not read.
        sha256: Of the file.
    """

    path: Path
    seeds: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]
    items: Mapping[str, tuple[tuple[float, ...], ...]]
    item_ids: tuple[str, ...]
    failed_seeds: tuple[int, ...]
    sha256: str

    @property
    def items_sha256(self) -> str | None:
        """SHA-256 of the names of the items, whatever their order; None without items."""
        return store.digest(sorted(self.item_ids)) if self.item_ids else None

    def of(self, seeds: Collection[int]) -> "ScoreFile":
        """The scores of some of its seeds alone."""
        kept = [row for row, seed in enumerate(self.seeds) if seed in seeds]
        return self._replace(
            seeds=tuple(self.seeds[row] for row in kept),
            scores={metric: tuple(scores[row] for row in kept) for metric, scores in self.scores.items()},
            items={metric: tuple(table[row] for row in kept) for metric, table in self.items.items()},
        )


class _Cell(NamedTuple):
    """One score as it was found; `item` is empty for a seed's own score."""

    metric: str
    seed: int
    item: str
    score: Any
    where: str

    @property
    def name(self) -> str:
        return f"{self.metric} of seed {self.seed}" + (f", item {self.item}" if self.item else "")


class _Row(NamedTuple):
    """One row of a CSV, with the number that an editor shows."""

    where: str
    fields: list[str]


#: metric → seed → item → its one cell; the item "" is the seed's own score.
_Table = dict[str, dict[int, dict[str, _Cell]]]


def read_scores(path: Path, failed: Collection[int] = ()) -> ScoreFile:
    """Read a score file.

    In a long CSV, rows with an item are scores of that item; a seed's score is then their mean, unless a row of the
    same metric and seed without an item gives it.

    Args:
        path: A .csv or .json file, UTF-8.
        failed: Root seeds that failed to train; nothing is expected of their scores.

    Raises:
        UsageError: No such file, another format, or mistakes in it, each with its row.
        Refused: No scores, NaN or infinity, a score twice, seeds without a metric or an item that others have.
    """
    content = _content(path)
    entries = list(_entries(path, content))
    mistakes = [problem for entry in entries if (problem := _malformed(entry, failed)) is not None]
    if mistakes:
        raise UsageError(f"{path}: {count(mistakes, 'mistake')}", problems=mistakes[:MAX_LISTED])
    found = [entry for entry in entries if isinstance(entry, _Cell)]
    cells = [cell for cell in found if cell.seed not in failed]
    seeds = tuple(dict.fromkeys(cell.seed for cell in cells if cell.score is not _ABSENT))
    item_ids = tuple(dict.fromkeys(cell.item for cell in cells if cell.item))
    if not seeds:
        raise Refused(f"{path}: holds no score" + (" but those of failed seeds" if found and failed else ""))
    table, refusals = _tabulated(cells)
    refusals += _incomplete(table, seeds, item_ids)
    if refusals:
        raise Refused(f"{path}: refused for {count(refusals, 'reason')}", problems=refusals[:MAX_LISTED])
    return ScoreFile(
        path=path,
        seeds=seeds,
        scores={metric: tuple(_score(rows[seed]) for seed in seeds) for metric, rows in table.items()},
        items={
            metric: tuple(tuple(rows[seed][item].score for item in item_ids) for seed in seeds)
            for metric, rows in table.items()
            if _has_items(rows)
        },
        item_ids=item_ids,
        failed_seeds=tuple(dict.fromkeys(cell.seed for cell in found if cell.seed in failed)),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _content(path: Path) -> bytes:
    try:
        store.check_size(path, store.MAX_JSON_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _entries(path: Path, content: bytes) -> Iterator[_Cell | Problem]:
    """Every score of the file, and every mistake of form."""
    readers = {".csv": _csv_cells, ".json": _json_cells}
    if path.suffix.lower() not in readers:
        raise UsageError(f"{path}: unknown extension {path.suffix!r}", hint="score files are .csv or .json")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}", hint="save it as UTF-8") from error
    if not text.strip():
        raise Refused(f"{path}: is empty")
    return readers[path.suffix.lower()](text)


def _csv_cells(text: str) -> Iterator[_Cell | Problem]:
    rows = _csv_rows(text)
    header = next(rows, _Row("row 1", []))
    if isinstance(header, Problem):
        yield header
        return
    if mistakes := list(_column_mistakes(header)):
        yield from mistakes
        return
    columns, read = header.fields, _long_cells if _is_long(header.fields) else _wide_cells
    for row in rows:
        if isinstance(row, Problem):
            yield row
        elif len(row.fields) != len(columns):
            yield Problem(row.where, f"{len(row.fields)} fields", f"{len(columns)}, one for each column")
        else:
            yield from read(row.where, dict(zip(columns, row.fields, strict=True)))


def _csv_rows(text: str) -> Iterator[_Row | Problem]:
    """The rows that are not blank, each with the line on which it starts; a quote gone wrong ends them."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    line = 1
    try:
        for fields in reader:
            stripped = [field.strip() for field in fields]
            if any(stripped):
                yield _Row(f"row {line}", stripped)
            line = reader.line_num + 1
    except csv.Error as error:
        yield Problem(f"row {line}", str(error), "CSV, quoted as spreadsheets do")


def _is_long(columns: Collection[str]) -> bool:
    return any(name in columns for name in ("metric", "score", ITEM))


def _column_mistakes(header: _Row) -> Iterator[Problem]:
    columns = header.fields
    needed = LONG if _is_long(columns) else ("seed",)
    missing = [name for name in needed if name not in columns]
    unknown = [name for name in columns if not _is_name(name) or (_is_long(columns) and name not in (*LONG, ITEM))]
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if missing:
        yield Problem(header.where, f"no column {few(map(repr, missing))}", COLUMNS)
    if unknown:
        yield Problem(header.where, f"unknown column {few(map(reprlib.repr, unknown))}", COLUMNS)
    if twice:
        yield Problem(header.where, f"column {few(map(reprlib.repr, twice))} twice", "every column once")
    if columns == ["seed"]:
        yield Problem(header.where, "no metric", COLUMNS)


def _long_cells(where: str, values: Mapping[str, str]) -> Iterator[_Cell | Problem]:
    if (seed := _seed(values["seed"])) < 0:
        yield Problem(where, f"seed {reprlib.repr(values['seed'])}", f"a whole number, 0 to {MAX_ROOT_SEED}")
    if not _is_name(values["metric"]):
        yield Problem(where, f"metric {reprlib.repr(values['metric'])}", "a name that can be printed")
    yield _Cell(values["metric"], seed, values.get(ITEM, ""), _score_or_text(values["score"]), where)


def _wide_cells(where: str, values: Mapping[str, str]) -> Iterator[_Cell | Problem]:
    if (seed := _seed(values["seed"])) < 0:
        yield Problem(where, f"seed {reprlib.repr(values['seed'])}", f"a whole number, 0 to {MAX_ROOT_SEED}")
    for metric, text in values.items():
        if metric != "seed":
            yield _Cell(metric, seed, "", _score_or_text(text), where)


def _score_or_text(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) else text


def _is_name(text: str) -> bool:
    """Whether a text can stand for a metric in a line of output."""
    return bool(text) and text.isprintable()


def _seed(text: str) -> int:
    """A root seed, or -1 for what is none."""
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ROOT_SEED))
    return int(text) if plain and int(text) <= MAX_ROOT_SEED else -1


def _json_cells(text: str) -> Iterator[_Cell | Problem]:
    """A cell for every score; an empty list still names its metric."""
    try:
        # An object becomes a tuple of pairs, so that a key given twice shows; every number becomes a float.
        value = json.loads(text, parse_int=float, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        yield Problem("the file", "no JSON", f"one JSON object ({error})")
        return
    if not isinstance(value, tuple):
        yield Problem("the file", _shown(value), "an object: metric → list of scores")
        return
    counts = Counter(key.strip() for key, _ in value)
    for metric, scores in ((key.strip(), scores) for key, scores in value):
        where = f"key {reprlib.repr(metric)}"
        if not _is_name(metric):
            yield Problem(where, "no metric", "a name that can be printed")
        if counts[metric] > 1:
            yield Problem(where, "it twice", "every metric once")
        if not isinstance(scores, list):
            yield Problem(where, _shown(scores), "a list of one score a seed")
            continue
        for seed, score in enumerate(scores or [_ABSENT]):
            yield _Cell(metric, seed, "", score, f"{where}, seed {seed}")


def _malformed(entry: _Cell | Problem, failed: Collection[int]) -> Problem | None:
    """The mistake of form in an entry, if there is one."""
    if isinstance(entry, Problem):
        return entry
    if isinstance(entry.score, float) or entry.score is _ABSENT or entry.seed in failed:
        return None
    hint = _hint(entry) if entry.score in ("", None) else ""
    return Problem(entry.where, f"{_shown(entry.score)} for {entry.metric or 'a score'}", "a number", hint)


def _hint(cell: _Cell) -> str:
    return f"where that run failed to train, seedband band takes --failed {cell.seed}; a candidate has failed then"


def _tabulated(cells: Sequence[_Cell]) -> tuple[_Table, list[Problem]]:
    """All cells in their places, and those that are no evidence: not finite, or there already."""
    table: _Table = {}
    refusals = []
    for cell in cells:
        rows = table.setdefault(cell.metric, {})
        if cell.score is _ABSENT:
            continue
        first = rows.setdefault(cell.seed, {}).setdefault(cell.item, cell)
        if first is not cell:
            refusals.append(Problem(cell.where, f"{cell.name} again, after {first.where}", "each score once"))
        if not abs(cell.score) <= MAX_SCORE:
            refusals.append(Problem(cell.where, f"{cell.name} is {cell.score}", "a finite score", _hint(cell)))
    return table, refusals


def _incomplete(table: _Table, seeds: Sequence[int], items: Sequence[str]) -> list[Problem]:
    """Scores that some seeds have and others lack."""
    refusals = []
    for metric, rows in table.items():
        if missing := [str(seed) for seed in seeds if seed not in rows]:
            refusals.append(Problem(metric, f"no score of seed {few(missing)}", "every metric for every seed"))
        if not _has_items(rows):
            continue
        bare = [str(seed) for seed, cells in rows.items() if "" not in cells]
        if bare and len(bare) < len(rows):
            found = f"only items of seed {few(bare)}, where other seeds have a score of their own"
            refusals.append(Problem(metric, found, "a row without item for every seed, or for none"))
        for seed, cells in rows.items():
            if lacking := [item for item in items if item not in cells]:
                found = f"no score of item {few(lacking)}"
                refusals.append(Problem(f"{metric} of seed {seed}", found, "the items of all other seeds and metrics"))
    return refusals


def _has_items(rows: Mapping[int, Mapping[str, _Cell]]) -> bool:
    return any(item for cells in rows.values() for item in cells)


def _score(cells: Mapping[str, _Cell]) -> float:
    """A seed's score: its own, or the mean of its items."""
    return cells[""].score if "" in cells else mean([cell.score for cell in cells.values()])


def _shown(value: object) -> str:
    """What stands where a score should, for people."""
    if isinstance(value, str):
        return reprlib.repr(value) if value else "nothing"
    kinds = {tuple: "an object", list: "a list", float: "a number", bool: "true or false"}
    return kinds.get(type(value), "null")


def few(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - MAX_NAMED} more" if len(listed) > MAX_NAMED else ""
    return ", ".join(listed[:MAX_NAMED]) + more


def count(problems: Sequence[Problem], word: str) -> str:
    """How many problems there are, and how many of them are listed."""
    more = f", these {MAX_LISTED} and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
    return f"{len(problems)} {word}{'' if len(problems) == 1 else 's'}{more}"
