"""Slices: the band and the verdict on parts of the items, which advise and never gate.

A recipe names columns under `data.slices`; each of their values is a slice. band.json keeps the mean score of every
slice under every seed, so that `check` can say where a candidate is worse without the runs at hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seedband.band import Band
from seedband.metric_band import MetricBand
from seedband.records import Candidate, SliceScores
from seedband.stats.cohorts import holm
from seedband.stats.items import item_floor, resolution
from seedband.stats.variance import NO_PRIOR
from seedband.verdict import SliceVerdict

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

#: A column of more values than this is split by `show --by` only: band.json stays small.
MAX_VALUES = 50
PREFIX = "slice:"


def scores_by_slice(items: "pd.DataFrame") -> SliceScores:
    """Column → value → metric → mean over its items, of those that have a score."""
    metrics = [name for name in items.columns if name.startswith("score:")]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for column in filter(_is_slice, items.columns):
        groups = dict(list(items.groupby(column, sort=True)))
        if len(groups) <= MAX_VALUES and metrics:
            found[column.removeprefix(PREFIX)] = {str(value): _means(group, metrics) for value, group in groups.items()}
    return found


def of_runs(tables: "Sequence[pd.DataFrame]") -> list[dict[str, Any]]:
    """What band.json keeps of the slices.

    Args:
        tables: items.parquet of every healthy run, in the order of the band's scores.

    Returns:
        A row a slice: its column, value, number of items, and for every metric the scores under the seeds, the floor
        that its items set and its resolution.
    """
    first = tables[0]
    by_run = [scores_by_slice(table) for table in tables]
    rows = []
    for column, values in by_run[0].items():
        for value in values:
            mask = (first[f"{PREFIX}{column}"] == value).to_numpy()
            metrics = {
                name: _metric(name, [table[mask] for table in tables], [run[column][value].get(name) for run in by_run])
                for name in values[value]
            }
            known = {name: metric for name, metric in metrics.items() if metric is not None}
            rows.append({"column": column, "value": value, "n_items": int(mask.sum()), "metrics": known})
    return rows


def judge(band: Band, candidates: Sequence[Candidate]) -> tuple[SliceVerdict, ...]:
    """Where candidates lie among the seeds, slice by slice, by the t rule; corrected after Holm over a metric's slices.

    Nothing where a candidate has no slices on record, or the band has none.
    """
    verdicts = []
    for metric in band.metrics.values():
        found = [
            verdict
            for row in band.provenance.get("slices", ())
            if (verdict := _verdict(row, metric, candidates)) is not None
        ]
        adjusted = holm([verdict.p_value for verdict in found])
        verdicts += [replace(verdict, p_adjusted=p) for verdict, p in zip(found, adjusted, strict=True)]
    return tuple(verdicts)


def _verdict(row: Mapping[str, Any], metric: MetricBand, candidates: Sequence[Candidate]) -> SliceVerdict | None:
    column, value, entry = row["column"], row["value"], row["metrics"].get(metric.name)
    scores = [entry.slices.get(column, {}).get(value, {}).get(metric.name) for entry in candidates]
    known = tuple(score for score in scores if score is not None)
    if entry is None or not known or len(known) < len(scores):
        return None
    # What history says of the variance, it says of all items together.
    noise = {"floor": entry["floor"], "resolution": entry["resolution"], "prior": NO_PRIOR}
    band = replace(metric, scores=tuple(entry["scores"]), **noise)
    p_value = band.baseline.p_value([band.sign * score for score in known])
    if p_value is None:  # all seeds alike, and no scale to say how far is far
        return None
    return SliceVerdict(
        metric.name, column, value, row["n_items"], known, band.mean, band.lower, band.upper, p_value, p_value
    )


def _metric(name: str, tables: "Sequence[pd.DataFrame]", scores: Sequence[float | None]) -> dict[str, Any] | None:
    """One metric on one slice; None where it has no score under some seed."""
    if any(score is None for score in scores):
        return None
    items: NDArray[np.float64] = np.array([table[f"score:{name}"] for table in tables])
    whole = items[:, np.isfinite(items).all(axis=0)]
    if not whole.shape[1]:
        return None
    return {"scores": list(scores), "floor": item_floor(whole), "resolution": resolution(whole)}


def _means(items: "pd.DataFrame", metrics: Sequence[str]) -> dict[str, float]:
    means = items[list(metrics)].mean().dropna()
    return {str(name).removeprefix("score:"): float(score) for name, score in means.items()}


def _is_slice(column: str) -> bool:
    return column.startswith(PREFIX)
