"""JSON: metric → list, columns, records, by seed, one run's scalars; nested, too."""

import json
import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from seedband.errors import Problem
from seedband.scorefiles import names
from seedband.scorefiles.reading import ABSENT, Cell, Document, Reading, Wanted, is_name, short, shown
from seedband.scorefiles.tables import Line, Table, flattened, of_lines, reading

#: Keys of what pandas calls "split".
_SPLIT = {"columns", "data"}
#: Column that stands for the keys above those of the seeds: `--where key=small`.
KEY = "key"
#: Objects in objects that are searched for scores.
MAX_DEPTH = 5


class JsonShapes:
    """JSON, whatever its shape."""

    endings = (".json", ".jsonl")
    files = ("scores.json", "metrics.json", "results.json", "scores.jsonl", "metrics.jsonl", "results.jsonl")
    summary = (
        "`{metric: [scores]}` (seeds 0, 1, …), columns with a list of seeds, records (a list, or an object a line), "
        'objects by seed (`{"0": {…}}`, `{"seed_0": {…}}`), or the scalars of one run; nested, too.'
    )
    seeds = "field or column `seed`, the keys, else the path"

    def recognises(self, document: Document) -> bool:
        """Every file with such an ending."""
        return document.ending in self.endings

    def read(self, document: Document, wanted: Wanted) -> Reading:
        """The scores of a JSON file."""
        if document.ending == ".jsonl" and (problem := _bad_line(document)):
            return Reading("records", [problem])
        value = _records_by_line(document) if document.ending == ".jsonl" else document.value
        if value is None or _is_lists(value):
            return Reading("lists of scores", list(_lists(document.text)), plain=True)
        table = _table(value, wanted)
        if table is None:
            return Reading("lists of scores", list(_lists(document.text)), plain=True)
        return reading(document, table, wanted)


def run_of(values: Mapping[str, object], what: str, **told: Any) -> Table:
    """The table of one run's scores."""
    return of_lines(Table(what, [], [Line("the file", flattened(values))], **told))


def _records_by_line(document: Document) -> list[Any] | None:
    lines = [line for line in document.text.splitlines() if line.strip()]
    values = [Document(document.path, line.encode("utf-8", "replace")).value for line in lines]
    return values if all(isinstance(value, dict) for value in values) else None


def _bad_line(document: Document) -> Problem | None:
    """The first line that is no object, after one that is; a plain object over several lines has none."""
    lines = [(number, line) for number, line in enumerate(document.text.splitlines(), 1) if line.strip()]
    values = [(number, Document(document.path, line.encode("utf-8", "replace")).value) for number, line in lines]
    if not values or not isinstance(values[0][1], dict):
        return None
    bad = next((number for number, value in values if not isinstance(value, dict)), None)
    return None if bad is None else Problem(f"line {bad}", "no JSON object", "an object on every line")


def _is_lists(value: Any) -> bool:
    """Check whether it is the plain form: metric → scores, without seeds."""
    if not isinstance(value, Mapping) or not value or any(map(names.is_seed_column, value)) or value.keys() >= _SPLIT:
        return False
    return all(isinstance(entry, list) and not any(isinstance(one, dict) for one in entry) for entry in value.values())


def _table(value: Any, wanted: Wanted) -> Table | None:
    """The table that a value is; None where it is none."""
    for shape in (_records, _split, _columns, _indexed, _by_seed, _metric_by_seed, _nested, _run):
        if table := shape(value, wanted):
            return table
    return None


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _records(value: Any, _: Wanted, title: str = "record") -> Table | None:
    if not _is_records(value):
        return None
    lines = [Line(f"{title} {number}", flattened(entry)) for number, entry in enumerate(value)]
    return of_lines(Table("records", [], lines))


def _split(value: Any, wanted: Wanted) -> Table | None:
    """Read the orientation that pandas calls "split": columns, index, data."""
    if not isinstance(value, Mapping) or not isinstance(value.get("columns"), list):
        return None
    columns, data = value["columns"], value.get("data")
    fits = isinstance(data, list) and all(isinstance(row, list) and len(row) == len(columns) for row in data)
    if not fits or not data:
        return None
    return _records([dict(zip(map(str, columns), row, strict=True)) for row in data], wanted, "row")


def _columns(value: Any, _: Wanted) -> Table | None:
    """A list for each column, the seeds among them."""
    if not isinstance(value, Mapping) or not any(
        names.is_seed_column(key) and isinstance(value[key], list) for key in value
    ):
        return None
    lists = {key.strip(): entry for key, entry in value.items() if isinstance(entry, list)}
    length = max(map(len, lists.values()))
    lines = [
        Line(f"place {row}", {key: entry[row] for key, entry in lists.items() if row < len(entry)})
        for row in range(length)
    ]
    left = {key: "no list" for key in value if not isinstance(value[key], list) and is_name(key)}
    return of_lines(Table("columns", [], lines, left=left)) if lines else None


def _indexed(value: Any, wanted: Wanted) -> Table | None:
    """Columns as pandas writes them: each an object of row → value."""
    if not isinstance(value, Mapping) or not all(isinstance(entry, Mapping) for entry in value.values()):
        return None
    if not any(map(names.is_seed_column, value)):
        return None
    rows = dict.fromkeys(row for entry in value.values() for row in entry)
    return _records([{key: entry.get(row) for key, entry in value.items()} for row in rows], wanted, "row")


def _is_by_seed(value: Any) -> bool:
    """Check whether the keys are seeds, those apart that sum others up."""
    if not isinstance(value, Mapping):
        return False
    seeds = [key for key in value if names.seed_of(key) is not None]
    return bool(seeds) and all(key in seeds or names.is_aggregate(key) for key in value)


def _by_seed(value: Any, wanted: Wanted, **above: str) -> Table | None:
    if not _is_by_seed(value):
        return None
    seeds = {key: seed for key in value if (seed := names.seed_of(key)) is not None}
    lines = []
    for key, seed in seeds.items():
        entry = value[key]
        if not isinstance(entry, Mapping):
            # A bare number has no name of its own.
            entry = {wanted.metrics[0] if len(wanted.metrics) == 1 else "score": entry}
        lines.append(Line(f"key {key!r}", {**above, **flattened(entry)}, seed))
    left = {key: "sums others up" for key in value if key not in seeds}
    return of_lines(Table("objects by seed", [], lines, seeds_from="the keys", left=left))


def _metric_by_seed(value: Any, wanted: Wanted) -> Table | None:
    """Metric → seed → score."""
    if not isinstance(value, Mapping) or not value:
        return None
    inner = {
        key: entry for key, entry in value.items() if _is_by_seed(entry) and not any(map(_is_table, entry.values()))
    }
    if not inner or any(isinstance(value[key], Mapping) for key in value.keys() - inner.keys()):
        return None
    seeds = dict.fromkeys(key for entry in inner.values() for key in entry if names.seed_of(key) is not None)
    turned = {seed: {key: entry[seed] for key, entry in inner.items() if seed in entry} for seed in seeds}
    return _by_seed(turned, wanted)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _nested(value: Any, wanted: Wanted, depth: int = 0) -> Table | None:
    """Scores of several seeds, one or more keys further down; several such keys are groups."""
    if not isinstance(value, Mapping) or depth > MAX_DEPTH:
        return None
    shapes: tuple[Callable[..., Table | None], ...] = (_records, _columns, _by_seed)
    found = {key: table for key, entry in value.items() for shape in shapes if (table := shape(entry, wanted))}
    if not found:
        deeper = {key: table for key, entry in value.items() if (table := _nested(entry, wanted, depth + 1))}
        return next(iter(deeper.values())) if len(deeper) == 1 else None
    first = next(iter(found.values()))
    if len(found) == 1:
        return first
    lines = [
        Line(f"{short(key)}, {line.where}", {KEY: key, **line.values}, line.seed)
        for key, table in found.items()
        for line in table.lines
    ]
    return of_lines(Table(first.what, [], lines, seeds_from=first.seeds_from))


def _run(value: Any, _: Wanted) -> Table | None:
    """The scalars of one run."""
    if not isinstance(value, Mapping):
        return None
    table = run_of(value, "the scores of one run")
    values = table.lines[0].values.values()
    return table if any(names.number_of(entry) is not None for entry in values if not isinstance(entry, str)) else None


def _lists(text: str) -> Iterator[Cell | Problem]:
    """A cell for every score of the plain form; an empty list still names its metric."""
    try:
        # An object becomes a tuple of pairs, so that a key given twice shows; every number becomes a float.
        value = json.loads(text, parse_int=float, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        yield Problem("the file", "no JSON", f"one JSON object ({error})")
        return
    if not isinstance(value, tuple):
        yield Problem("the file", shown(value), "an object: metric → list of scores")
        return
    counts = Counter(key.strip() for key, _ in value)
    for metric, scores in ((key.strip(), scores) for key, scores in value):
        yield from _list(metric, scores, counts[metric])


def _list(metric: str, scores: Sequence[Any], count: int) -> Iterator[Cell | Problem]:
    where = f"key {reprlib.repr(metric)}"
    if not is_name(metric):
        yield Problem(where, "no metric", "a name that can be printed")
    if count > 1:
        yield Problem(where, "it twice", "every metric once")
    if not isinstance(scores, list):
        yield Problem(where, shown(scores), "a list of one score a seed")
        return
    for seed, score in enumerate(scores or [ABSENT]):
        yield Cell(metric, seed, "", score, f"{where}, seed {seed}")
