"""Slices: the band and the verdict on parts of the items, which advise and never gate.

A recipe names columns under `data.slices`; each of their values is a slice. band.json keeps the mean score of every
slice under every seed, so that `check` can say where a candidate is worse without the runs at hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from seedband.bands.band import Band
from seedband.bands.metric_band import MetricBand
from seedband.bands.stats.cohorts import holm
from seedband.bands.stats.items import item_floor, resolution
from seedband.bands.stats.variance import NO_PRIOR
from seedband.bands.verdict import Candidate, SliceScores, SliceVerdict
from seedband.storage.json_files import JsonObject

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

#: A column of more values than this is split by `show --by` only: band.json stays small.
MAX_VALUES = 50
PREFIX, SCORE = "slice:", "score:"


@dataclass(frozen=True)
class SliceMetric:
    """One metric on one slice, under every seed of a band.

    Attributes:
        scores: Mean over its items, seed by seed.
        n_items: Items that count: those that have a score under every seed.
        unscored: Ids of those that do not.
        floor: Smallest standard deviation that the items allow.
        resolution: Smallest step that the score can take.
    """

    scores: Sequence[float]
    n_items: int
    unscored: Sequence[str]
    floor: float
    resolution: float


@dataclass(frozen=True)
class SliceRow:
    """One slice of a band's items.

    Attributes:
        column: Slice column.
        value: Its value on the slice.
        n_items: Items of the slice.
        metrics: Metric → its scores on the slice.
    """

    column: str
    value: str
    n_items: int
    metrics: Mapping[str, SliceMetric]


def on_record(band: Band) -> list[SliceRow]:
    """The slices that a band keeps."""
    return [
        SliceRow(row["column"], row["value"], row["n_items"], {name: _read(m) for name, m in row["metrics"].items()})
        for row in band.provenance.get("slices", ())
    ]


def of_runs(tables: "Sequence[pd.DataFrame]") -> list[SliceRow]:
    """Slices as band.json keeps them.

    An item counts where it has a score under every seed: else seeds would be compared on other items each.

    Args:
        tables: items.parquet of every healthy run, in the order of the band's scores.

    Returns:
        A row a slice.
    """
    rows = []
    first = tables[0]
    metrics = [str(name).removeprefix(SCORE) for name in first.columns if name.startswith(SCORE)]
    for column in (str(name) for name in first.columns if name.startswith(PREFIX)):
        values = sorted(set(first[column]))
        if not metrics or len(values) > MAX_VALUES:
            continue
        for value in values:
            parts = [table[(first[column] == value).to_numpy()] for table in tables]
            known = {name: metric for name in metrics if (metric := _metric(name, parts)) is not None}
            rows.append(SliceRow(column.removeprefix(PREFIX), value, len(parts[0]), known))
    return rows


def of_candidate(items: "pd.DataFrame", band: Band) -> SliceScores:
    """Column → value → metric → mean over the items that count in the band's slice; none where one lacks a score.

    Args:
        items: items.parquet of the candidate.
        band: That it is held against.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in on_record(band):
        column, value = row.column, row.value
        if f"{PREFIX}{column}" not in items:
            continue
        group = items[items[f"{PREFIX}{column}"] == value]
        for name, entry in row.metrics.items():
            if f"{SCORE}{name}" not in items:
                continue
            scores = group.loc[~group["item"].isin(entry.unscored), f"{SCORE}{name}"]
            if len(scores) == entry.n_items and np.isfinite(scores).all():
                found.setdefault(column, {}).setdefault(value, {})[name] = float(scores.mean())
    return found


def judge(band: Band, candidates: Sequence[Candidate]) -> tuple[SliceVerdict, ...]:
    """Judge candidates slice by slice, by the t rule; corrected after Holm over a metric's slices.

    Nothing where a candidate has no slices on record, or the band has none.
    """
    verdicts, rows = [], on_record(band)
    for metric in band.metrics.values():
        found = [verdict for row in rows if (verdict := _verdict(row, metric, candidates)) is not None]
        adjusted = holm([verdict.p_value for verdict in found])
        verdicts += [replace(verdict, p_adjusted=p) for verdict, p in zip(found, adjusted, strict=True)]
    return tuple(verdicts)


def _verdict(row: SliceRow, metric: MetricBand, candidates: Sequence[Candidate]) -> SliceVerdict | None:
    column, value, entry = row.column, row.value, row.metrics.get(metric.name)
    scores = [entry.slices.get(column, {}).get(value, {}).get(metric.name) for entry in candidates]
    known = tuple(score for score in scores if score is not None)
    if entry is None or not known or len(known) < len(scores):
        return None
    band = own_band(metric, entry)
    p_value = band.baseline.p_value([band.sign * score for score in known])
    if p_value is None:  # all seeds alike, and no scale to say how far is far
        return None
    return SliceVerdict(
        metric.name, column, value, entry.n_items, known, band.mean, band.lower, band.upper, p_value, p_value
    )


def own_band(metric: MetricBand, known: SliceMetric) -> MetricBand:
    """The band of a metric on one slice; what history says of the variance, it says of all items together."""
    own = replace(metric, floor=known.floor, resolution=known.resolution, prior=NO_PRIOR)
    return replace(own, scores=tuple(known.scores))


def _metric(name: str, tables: "Sequence[pd.DataFrame]") -> SliceMetric | None:
    """One metric on one slice; None where no item has a score under every seed."""
    items: NDArray[np.float64] = np.array([table[f"{SCORE}{name}"] for table in tables], dtype=np.float64)
    counts = np.isfinite(items).all(axis=0)
    if not counts.any():
        return None
    whole = items[:, counts]
    return SliceMetric(
        scores=whole.mean(axis=1).tolist(),
        n_items=int(counts.sum()),
        unscored=np.array(tables[0]["item"])[~counts].tolist(),
        floor=item_floor(whole),
        resolution=resolution(whole),
    )


def _read(entry: JsonObject) -> SliceMetric:
    names = [field.name for field in fields(SliceMetric)]
    return SliceMetric(**{name: entry[name] for name in names})
