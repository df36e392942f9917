"""CSV: a row per score (`metric,seed,score[,item]`), a row per seed, or a column per seed; in any common dialect."""

import csv
import io
import reprlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from seedband.determinism.seeds import MAX_ROOT_SEED
from seedband.errors import Problem
from seedband.scorefiles import names
from seedband.scorefiles.reading import Cell, Document, Reading, Wanted, few, is_name, short
from seedband.scorefiles.tables import ANY, Line, Table, is_selected, reading

LONG = ("metric", "seed", "score")
ITEM = "item"
COLUMNS = "metric,seed,score[,item], or seed and a column for each metric"
#: Seeds that stand as columns, at least.
MIN_SEED_COLUMNS = 2


class _Row(NamedTuple):
    """One row of a CSV, with the number that an editor shows."""

    where: str
    fields: list[str]


class CsvTables:
    """CSV and its dialects."""

    endings = (".csv", ".tsv")
    files = ("scores.csv", "metrics.csv", "results.csv", "scores.tsv", "metrics.tsv", "results.tsv")
    summary = (
        "A table: `metric,seed,score[,item]`, or a row per seed and a column per metric, or a column per seed. "
        "Commas, semicolons (with decimal commas) or tabs; UTF-8 or UTF-16; lines from `#` on are comments."
    )
    seeds = "column `seed`, or `--seed-column`"

    def recognises(self, document: Document) -> bool:
        """Every file with such an ending."""
        return document.ending in self.endings

    def read(self, document: Document, wanted: Wanted) -> Reading:
        """The scores of a CSV."""
        rows = _csv_rows(document.text)
        header = next(rows, _Row("row 1", []))
        if isinstance(header, Problem):
            return Reading("a table", [header])
        header = _named(header)
        by_seed = _seed_columns(header.fields)
        if mistakes := list(_column_mistakes(header, by_seed, wanted)):
            return Reading("a table", mistakes)
        if _is_long(header.fields) and not by_seed:
            return _long(header, rows, wanted)
        good, bad = _sorted_out(header, rows)
        table = _by_seed(header, good, by_seed, wanted) if by_seed else _wide(header, good, document.text)
        if isinstance(table, Problem):
            return Reading("a table", [table])
        found = reading(document, table, wanted)
        return replace(found, entries=[*bad, *found.entries])


def _named(header: _Row) -> _Row:
    """The header with a name for every column that has none, as an index that pandas wrote has none."""
    fields = [name or f"column {number}" for number, name in enumerate(header.fields, start=1)]
    known = {"metric": "metric", "seed": "seed", "score": "score", "value": "score"}
    plain = [known.get(name.lower(), name) for name in fields]
    is_long = all(plain.count(name) == 1 for name in LONG)
    return _Row(header.where, plain if is_long else fields)


def _delimiter(text: str) -> str:
    """The separator of columns in the first line that is no comment."""
    line = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    plain = "".join(line.split('"')[::2])
    return "\t" if "\t" in plain else ";" if ";" in plain and plain.count(";") >= plain.count(",") else ","


def _csv_rows(text: str) -> Iterator[_Row | Problem]:
    """The rows that are neither blank nor comments, each with the line on which it starts.

    A quote gone wrong ends them.
    """
    delimiter = _delimiter(text)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t"
    )
    line = 1
    try:
        for fields in reader:
            stripped = [field.strip() for field in fields]
            if any(stripped) and not _is_comment(stripped):
                yield _Row(f"row {line}", stripped)
            line = reader.line_num + 1
    except csv.Error as error:
        yield Problem(f"row {line}", str(error), "CSV, quoted as spreadsheets do")


def _is_comment(fields: Sequence[str]) -> bool:
    return fields[0].startswith("#") and (fields[0] != "#" or len(fields) == 1)


def _is_long(columns: Collection[str]) -> bool:
    return "metric" in columns or (ITEM in columns and "score" in columns)


def _seed_columns(columns: Sequence[str]) -> Mapping[str, int]:
    """Columns whose names are seeds, where the table has no column of seeds."""
    found = {name: seed for name in columns if (seed := names.seed_of(name)) is not None}
    is_wide = any(name.lower() == "seed" for name in columns)
    return {} if is_wide or len(found) < MIN_SEED_COLUMNS or len(found) == len(columns) else found


def _column_mistakes(header: _Row, by_seed: Mapping[str, int], wanted: Wanted) -> Iterator[Problem]:
    columns = header.fields
    is_long = _is_long(columns) and not by_seed
    missing = [name for name in LONG if name not in columns] if is_long else []
    unknown = [name for name in columns if not is_name(name) or (is_long and name not in (*LONG, ITEM, *wanted.where))]
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if missing:
        yield Problem(header.where, f"no column {few(map(repr, missing))}", COLUMNS)
    if unknown:
        hint = f"--where '{unknown[0]}={ANY}' leaves it out" if is_long and is_name(unknown[0]) else ""
        yield Problem(header.where, f"unknown column {few(map(reprlib.repr, unknown))}", COLUMNS, hint)
    if twice:
        yield Problem(header.where, f"column {few(map(reprlib.repr, twice))} twice", "every column once")
    if columns == ["seed"]:
        yield Problem(header.where, "no metric", COLUMNS)


def _fields_mistake(row: _Row, columns: Sequence[str]) -> Problem:
    return Problem(row.where, f"{len(row.fields)} fields", f"{len(columns)}, one for each column")


def _long(header: _Row, rows: Iterator[_Row | Problem], wanted: Wanted) -> Reading:
    left = {name: f"{value} alone" for name, value in wanted.where.items()}
    entries = list(_long_entries(header.fields, rows, wanted))
    return Reading("a table with a row per score", entries, seeds_from="column 'seed'", plain=True, left=left)


def _long_entries(columns: Sequence[str], rows: Iterator[_Row | Problem], wanted: Wanted) -> Iterator[Cell | Problem]:
    for row in rows:
        if isinstance(row, Problem):
            yield row
        elif len(row.fields) != len(columns):
            yield _fields_mistake(row, columns)
        elif is_selected(values := dict(zip(columns, row.fields, strict=True)), wanted):
            yield from _long_cells(row.where, values)


def _long_cells(where: str, values: Mapping[str, str]) -> Iterator[Cell | Problem]:
    seed = names.seed_of(values["seed"])
    if seed is None:
        yield Problem(where, f"seed {reprlib.repr(values['seed'])}", f"a whole number, 0 to {MAX_ROOT_SEED}")
    if not is_name(values["metric"]):
        yield Problem(where, f"metric {reprlib.repr(values['metric'])}", "a name that can be printed")
    text = values["score"]
    number = names.number_of(text)
    yield Cell(
        values["metric"], -1 if seed is None else seed, values.get(ITEM, ""), text if number is None else number, where
    )


def _sorted_out(header: _Row, rows: Iterator[_Row | Problem]) -> tuple[list[_Row], list[Problem]]:
    """Rows with a field for each column, and mistakes."""
    good, bad = [], []
    for row in rows:
        if isinstance(row, Problem):
            bad.append(row)
        elif len(row.fields) == len(header.fields):
            good.append(row)
        else:
            bad.append(_fields_mistake(row, header.fields))
    return good, bad


def _wide(header: _Row, rows: Sequence[_Row], text: str) -> Table:
    delimiter = _delimiter(text)
    lines = [Line(row.where, dict(zip(header.fields, row.fields, strict=True))) for row in rows]
    return Table(
        what="a table with a row per seed",
        columns=header.fields,
        lines=lines,
        decimal_comma=_has_decimal_commas(rows, delimiter),
        head=header.where,
        strict=delimiter == "," and "seed" in header.fields,
    )


def _has_decimal_commas(rows: Sequence[_Row], delimiter: str) -> bool:
    """Check whether a comma stands for the point: never beside commas that separate, or points."""
    pointed = any("." in field and names.number_of(field) is not None for row in rows for field in row.fields)
    return delimiter != "," and not pointed


def _by_seed(header: _Row, rows: Sequence[_Row], seeds: Mapping[str, int], wanted: Wanted) -> Table | Problem:
    """The table turned round: a row per metric becomes a column."""
    others = [name for name in header.fields if name not in seeds]
    kept = [dict(zip(header.fields, row.fields, strict=True)) for row in rows]
    kept = [row for row in kept if is_selected(row, wanted)]
    titles = [name for name in others if name not in wanted.where and not names.is_aggregate(name)]
    if len(titles) != 1:
        found = few(map(reprlib.repr, titles)) if titles else "no column of metrics"
        return Problem(header.where, found, "one column that names the metrics, beside a column per seed")
    metrics = [row[titles[0]] for row in kept]
    if twice := [name for name, count in Counter(metrics).items() if count > 1]:
        return Problem(
            f"column {reprlib.repr(titles[0])}",
            f"{few(map(short, twice))} twice",
            "every metric once, or --where COLUMN=VALUE",
        )
    lines = [
        Line(f"column {name}", {row[titles[0]]: row[name] for row in kept} | dict(wanted.where), seed)
        for name, seed in seeds.items()
    ]
    left = {name: "sums others up" for name in others if names.is_aggregate(name)}
    return Table(
        what="a table with a column per seed",
        columns=[*metrics, *wanted.where],
        lines=lines,
        seeds_from="the header",
        decimal_comma=_has_decimal_commas(
            rows, "" if any("," in field for row in rows for field in row.fields) else ","
        ),
        head=header.where,
        left=left,
    )
