"""Slice tables: every metric of a band with its slices, and what a verdict says of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seedband.bands.band import Band
from seedband.bands.metric_band import MetricBand
from seedband.bands.stats.variance import NO_PRIOR
from seedband.bands.verdict import SliceVerdict
from seedband.errors import Refused
from seedband.runs import slices, sweep_file
from seedband.runs.cohorts import Cohort, Split, split
from seedband.storage.json_files import JsonObject


@dataclass(frozen=True)
class SliceRow:
    """Some of the items under every seed.

    Attributes:
        value: That the items share.
        n_items: How many there are.
        rates: Per seed: the share of failed items, or the mean score.
        edges: Lower and upper edge of their own band, of what `rates` are.
        p_seeds: Whether seeds differ on them beyond chance, after Holm's correction; None without the items.
        candidates: The candidates' rates on them, in the order trained; empty without candidates.
        p_candidates: Whether the candidates are worse on them, after Holm's correction; None without candidates.
    """

    value: str
    n_items: int
    rates: tuple[float, ...]
    edges: tuple[float, float]
    p_seeds: float | None = None
    candidates: tuple[float, ...] = ()
    p_candidates: float | None = None


@dataclass(frozen=True)
class SliceTable:
    """A metric, split by a column of the eval data.

    Attributes:
        metric: Its name.
        column: By which the items are split.
        fails: Whether rates are shares of failed items, rather than scores.
        seeds: Root seeds, in the order of every `rates`.
        rows: Slice by slice.
        overall: All items, where they are at hand.
    """

    metric: str
    column: str
    fails: bool
    seeds: tuple[int, ...]
    rows: tuple[SliceRow, ...]
    overall: SliceRow | None = None


def slice_tables_of(band: Band, folder: Path | None) -> list[SliceTable]:
    """Every metric with slices: from the items where they are at hand, else from what the band keeps.

    Raises:
        Refused: There are none.
    """
    columns = [] if folder is None else sweep_file.read_sweep(folder).recorded.slices
    tables = [_of_split(part) for column in columns if folder for part in split(folder, column)]
    tables = tables or _of_record(band)
    if not tables:
        raise Refused("no slices on record: `slices` under [data] names columns of the eval data")
    return tables


def _of_split(part: Split) -> SliceTable:
    overall, *rows = [_row(cohort) for cohort in part.cohorts]
    return SliceTable(part.metric, part.by, part.binary, part.seeds, tuple(rows), overall)


def _row(cohort: Cohort) -> SliceRow:
    return SliceRow(cohort.name, cohort.n_items, cohort.rates, cohort.band, cohort.p_adjusted)


def _of_record(band: Band) -> list[SliceTable]:
    """The slices that band.json keeps: scores, without the items that would tell whether seeds differ."""
    rows: dict[tuple[str, str], list[SliceRow]] = {}
    for entry in slices.on_record(band):
        for name, known in entry.metrics.items():
            if name not in band.metrics or len(known.scores) != len(band.seeds):
                continue
            edges = slices.own_band(band.metrics[name], known)
            row = SliceRow(entry.value, int(known.n_items), tuple(known.scores), (edges.lower, edges.upper))
            rows.setdefault((name, entry.column), []).append(row)
    return [
        SliceTable(name, column, fails=False, seeds=band.seeds, rows=tuple(found))
        for (name, column), found in rows.items()
    ]


def _own_band(metric: MetricBand, known: JsonObject) -> MetricBand:
    noise = {"floor": known["floor"], "resolution": known["resolution"], "prior": NO_PRIOR}
    return replace(metric, scores=tuple(known["scores"]), **noise)


def with_candidates(table: SliceTable, judged: Sequence[SliceVerdict]) -> SliceTable:
    """A table with what the verdict says of its slices."""
    own = {entry.value: entry for entry in judged if (entry.metric, entry.column) == (table.metric, table.column)}
    rows = []
    for row in table.rows:
        entry = own.get(row.value)
        if entry is None:
            rows.append(row)
            continue
        rates = tuple(1 - score if table.fails else score for score in entry.scores)
        rows.append(replace(row, candidates=rates, p_candidates=entry.p_adjusted))
    return replace(table, rows=tuple(rows))
