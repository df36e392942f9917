"""Rows and columns: which column holds the seeds, which are metrics, which rows are of the band's own group."""

import re
import reprlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from seedband.determinism.seeds import MAX_ROOT_SEED
from seedband.errors import Problem, UsageError
from seedband.scorefiles import names
from seedband.scorefiles.reading import Cell, Document, Reading, Wanted, chosen, few, is_name, short

#: Text columns that tell runs apart without making groups of them.
_HARMLESS = re.compile(
    r"(.*_)?(date|time|timestamp|created|updated|host|hostname|node|machine|gpu|device|user|author|path|dir|folder|file"
    r"|note|notes|comment|comments|tag|tags|id|uuid|sha|commit|hash|ckpt|checkpoint|link|url|alias)(_.*)?"
)
ANY = "*"


class Line(NamedTuple):
    """One row of a table; `seed` where its place in the file names it."""

    where: str
    values: Mapping[str, object]
    seed: int | None = None


@dataclass(frozen=True)
class Table:
    """Rows of a file.

    Attributes:
        what: See `Reading`; so are `directions` and `left`.
        columns: In the order of the file.
        lines: Its rows.
        seeds_from: Where the seeds of lines that have one stand.
        decimal_comma: Whether `0,871` is a number.
        head: What a mistake about the columns is about.
        strict: Whether nothing needs to be told of a file that is read whole.
        skipped: Rows that are none → why.
    """

    what: str
    columns: Sequence[str]
    lines: Sequence[Line]
    seeds_from: str = ""
    decimal_comma: bool = False
    head: str = "the file"
    strict: bool = False
    left: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, bool] = field(default_factory=dict)


def reading(document: Document, table: Table, wanted: Wanted) -> Reading:
    """The scores of a table, what was left of it, and every mistake in it."""
    mistakes = list(_unknown(table, wanted))
    seed_column = None if mistakes else _seed_column(table, wanted)
    if isinstance(seed_column, Problem):
        mistakes.append(seed_column)
    if mistakes:
        return Reading(table.what, mistakes)
    assert not isinstance(seed_column, Problem)
    lines = [line for line in table.lines if is_selected(line.values, wanted)]
    if table.lines and not lines:
        raise UsageError(f"{document.path}: no row of {_told(wanted.where)}", hint=_choices(table, wanted))
    seeded, left, mistakes = _seeded(lines, seed_column)
    one_run = seed_column is None and len(seeded) == 1 and seeded[0].seed is None
    if not one_run and any(line.seed is None for line in seeded):
        mistakes.append(_no_seed(table))
    if seed_column is None and not table.lines:
        mistakes.append(_no_seed(table))
    left |= table.left
    if not mistakes:
        mistakes += _groups(table, seeded, seed_column, wanted)
    columns = [name for name in table.columns if name != seed_column]
    metrics, others = _metrics(table, columns, seeded, left, wanted)
    cells = [] if mistakes and not table.strict else list(_cells(table, seeded, metrics, wanted))
    return Reading(
        table.what,
        [*mistakes, *cells],
        seeds_from=table.seeds_from or f"column {reprlib.repr(seed_column)}" * (seed_column is not None),
        plain=table.strict,
        seed=seeded[0].seed if len(seeded) == 1 else None,
        one_run=one_run,
        unseeded=_no_seed(table),
        left=left,
        others=others,
        directions=table.directions,
    )


def _unknown(table: Table, wanted: Wanted) -> Iterator[Problem]:
    """Flags that name a column which is not there."""
    known = few(map(reprlib.repr, table.columns))
    for column in wanted.where:
        if column not in table.columns:
            yield Problem(f"--where {column}", "no such column", f"one of {known}")
    for metric in wanted.metrics:
        if metric not in table.columns:
            yield Problem(f"--metric {metric}", "no such metric", f"one of {known}")


def _seed_column(table: Table, wanted: Wanted) -> str | Problem | None:
    """The column of the seeds; None where the file has none, a mistake where it may be several."""
    if wanted.seed_column is not None:
        given = wanted.seed_column or next((name for name in table.columns if name.startswith("column ")), "")
        if given in table.columns:
            return given
        return Problem(
            f"--seed-column {wanted.seed_column}", "no such column", f"one of {few(map(reprlib.repr, table.columns))}"
        )
    if table.lines and all(line.seed is not None for line in table.lines):
        return None
    for fits in (lambda name: name.strip().lower() == "seed", names.is_plain_seed_column, names.is_seed_column):
        found = [name for name in table.columns if fits(name)]
        if len(found) > 1:
            told = f"--seed-column, one of {few(map(reprlib.repr, found))}"
            return Problem(table.head, f"{len(found)} columns that may hold the seeds", told)
        if found:
            return found[0]
    telling = [name for name in table.columns if _all_named_seeds(table, name)]
    return telling[0] if len(telling) == 1 else None


def _all_named_seeds(table: Table, column: str) -> bool:
    values = [line.values.get(column) for line in table.lines if not _sums_up(line)]
    return bool(values) and all(map(names.is_named_seed, values))


def _no_seed(table: Table) -> Problem:
    expected = "a column or field of that name, a path that says it (seed_3, run-3), or --seed-column NAME"
    return Problem(table.head, "no column 'seed'", expected)


def is_selected(values: Mapping[str, object], wanted: Wanted) -> bool:
    """Check whether a row is of the group that was asked for."""
    return all(value == ANY or _equals(values.get(column), value) for column, value in wanted.where.items())


def _equals(value: Any, text: str) -> bool:
    one, other = names.number_of(value), names.number_of(text)
    return str(value).strip() == text.strip() or (one is not None and one == other)


def _told(where: Mapping[str, str]) -> str:
    return ", ".join(f"{column}={value}" for column, value in where.items())


def _choices(table: Table, wanted: Wanted) -> str:
    listed = {
        column: few(dict.fromkeys(short(line.values.get(column)) for line in table.lines)) for column in wanted.where
    }
    return "; ".join(f"{column} is {values}" for column, values in listed.items())


def _seeded(lines: Sequence[Line], column: str | None) -> tuple[list[Line], dict[str, str], list[Problem]]:
    """Lines with their seeds, rows that are left and why, and rows whose seed is none."""
    kept, left, mistakes = [], {}, []
    for line in lines:
        value = line.values.get(column) if column is not None else None
        seed = line.seed if column is None else names.seed_of(value)
        if seed is None and _sums_up(line):
            told = next(short(value) for value in line.values.values() if names.is_aggregate(value))
            left[f"{line.where} ({told})"] = "sums others up"
        elif seed is None and column is not None:
            found = f"seed {reprlib.repr(value)}"
            mistakes.append(Problem(line.where, found, f"a whole number, 0 to {MAX_ROOT_SEED}"))
        else:
            kept.append(line._replace(seed=seed))
    return kept, left, mistakes


def _sums_up(line: Line) -> bool:
    return any(names.is_aggregate(value) for value in line.values.values())


def _groups(table: Table, lines: Sequence[Line], seed_column: str | None, wanted: Wanted) -> Iterator[Problem]:
    """Columns that split the rows into several recipes, of which a band can have one."""
    free = [
        name
        for name in table.columns
        if name not in wanted.where and name != seed_column and not wanted.is_asked_for(name)
    ]
    seeds = Counter(line.seed for line in lines)
    twice = [seed for seed, count in seeds.items() if count > 1]
    texts = [name for name in free if _is_text(lines, name, decimal_comma=table.decimal_comma)]
    if not twice:
        found = [name for name in texts if not _HARMLESS.fullmatch(names.words(name)) and _recurs(lines, name)]
    else:
        settings = [name for name in free if name not in texts and names.higher_is_better(name) is None]
        found = [name for name in (*texts, *settings) if _recurs(lines, name) and _splits(lines, name, twice)]
        found = found or [name for name in texts if _splits(lines, name, twice)]
    for name in found[:1]:
        values = list(dict.fromkeys(short(line.values.get(name)) for line in lines))
        message = f"{few(values)}" + (f", with seed {few(map(str, twice))} in each" if twice else "")
        flag = f"--where {name}={values[0]}" if " " not in f"{name}{values[0]}" else f"--where '{name}={values[0]}'"
        expected = f"one group: {flag}" + ("" if twice else f" (--where '{name}={ANY}' takes all as one)")
        yield Problem(f"column {reprlib.repr(name)}", message, expected)


def _recurs(lines: Sequence[Line], column: str) -> bool:
    """Check whether a column has several values, and few of them."""
    counts = Counter(str(line.values.get(column)) for line in lines if not names.is_missing(line.values.get(column)))
    return len(counts) > 1 and max(counts.values()) > 1


def _splits(lines: Sequence[Line], column: str, twice: Collection[int | None]) -> bool:
    pairs = Counter((line.seed, str(line.values.get(column))) for line in lines if line.seed in twice)
    return max(pairs.values()) < max(Counter(line.seed for line in lines).values())


def _is_text(lines: Sequence[Line], column: str, *, decimal_comma: bool) -> bool:
    return not any(
        names.number_of(value, decimal_comma=decimal_comma) is not None
        or names.is_percentage(value, decimal_comma=decimal_comma)
        for value in (line.values.get(column) for line in lines)
    )


def _metrics(
    table: Table, columns: Sequence[str], lines: Sequence[Line], left: dict[str, str], wanted: Wanted
) -> tuple[list[str], tuple[str, ...]]:
    """The metrics, and those that nobody has a use for; what is none goes to `left`."""
    healthy = [line for line in lines if line.seed not in wanted.failed]
    reasons = {name: _no_scores(table, name, healthy, wanted) for name in columns}
    found = [name for name, why in reasons.items() if not why]
    if not found and "text" in reasons.values() and not left:
        # Nothing but text: then it is the scores that are wrong.
        reasons = {name: why for name, why in reasons.items() if why != "text"}
        found = [name for name in columns if name not in reasons]
    left |= {name: why for name, why in reasons.items() if why}
    kept, unread, others = chosen(found, wanted)
    left |= unread
    return kept, others


def _no_scores(table: Table, name: str, lines: Sequence[Line], wanted: Wanted) -> str:
    """The reason why a column holds no scores; empty where it does."""
    if wanted.is_asked_for(name):
        return ""
    if name in wanted.where:
        return "all of it" if wanted.where[name] == ANY else f"{wanted.where[name]} alone"
    if lines and all(names.is_missing(line.values.get(name)) for line in lines):
        return "empty"
    return "text" if lines and _is_text(lines, name, decimal_comma=table.decimal_comma) else ""


def _cells(table: Table, lines: Sequence[Line], metrics: Sequence[str], wanted: Wanted) -> Iterator[Cell]:
    comma = table.decimal_comma
    healthy = [line for line in lines if line.seed not in wanted.failed]
    for name in metrics:
        # One unit a column: where only some scores have the sign, the others would be a hundred times larger.
        percent = wanted.percent and all(
            names.is_percentage(line.values.get(name), decimal_comma=comma) for line in healthy
        )
        for line in lines:
            value = line.values.get(name)
            number = names.share_of(value, decimal_comma=comma) if percent else None
            number = names.number_of(value, decimal_comma=comma) if number is None else number
            yield Cell(name, line.seed or 0, "", value if number is None else number, line.where)


def flattened(value: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Nested tables as one, with dotted names."""
    flat: dict[str, object] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= flattened(inner, f"{above}{key.strip()}.")
        else:
            flat[f"{above}{key.strip()}"] = inner
    return flat


def of_lines(table: Table) -> Table:
    """The table with every column that one of its lines has."""
    columns = dict.fromkeys(name for line in table.lines for name in line.values)
    left = {**table.left, **{reprlib.repr(name): "cannot be printed" for name in columns if not is_name(name)}}
    return replace(table, columns=[name for name in columns if is_name(name)], left=left)
