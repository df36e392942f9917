"""Slices: the band and the verdict on parts of the items, which advise and never gate.

A recipe names columns under `data.slices`; each of their values is a slice. band.json keeps the mean score of every
slice under every seed, so that `check` can say where a candidate is worse without the runs at hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seedband.bands.band import Band
from seedband.bands.metric_band import MetricBand
from seedband.bands.stats.cohorts import holm
from seedband.bands.stats.items import item_floor, resolution
from seedband.bands.stats.variance import NO_PRIOR
from seedband.bands.verdict import Candidate, SliceScores, SliceVerdict

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

#: A column of more values than this is split by `show --by` only: band.json stays small.
MAX_VALUES = 50
PREFIX, SCORE = "slice:", "score:"


def of_runs(tables: "Sequence[pd.DataFrame]") -> list[dict[str, Any]]:
    """What band.json keeps of the slices.

    An item counts where it has a score under every seed: else seeds would be compared on other items each.

    Args:
        tables: items.parquet of every healthy run, in the order of the band's scores.

    Returns:
        A row a slice: its column, value, number of items, and for every metric the scores under the seeds, how many
        items count in them, the ids of those that do not, the floor that the items set and its resolution.
    """
    rows: list[dict[str, Any]] = []
    first = tables[0]
    metrics = [str(name).removeprefix(SCORE) for name in first.columns if name.startswith(SCORE)]
    for column in (str(name) for name in first.columns if name.startswith(PREFIX)):
        values = sorted(set(first[column]))
        if not metrics or len(values) > MAX_VALUES:
            continue
        for value in values:
            parts = [table[(first[column] == value).to_numpy()] for table in tables]
            known = {name: metric for name in metrics if (metric := _metric(name, parts)) is not None}
            row = {"column": column.removeprefix(PREFIX), "value": value, "n_items": len(parts[0]), "metrics": known}
            rows.append(row)
    return rows


def of_candidate(items: "pd.DataFrame", band: Band) -> SliceScores:
    """Column → value → metric → mean over the items that count in the band's slice; none where one lacks a score.

    Args:
        items: items.parquet of the candidate.
        band: That it is held against.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in band.provenance.get("slices", ()):
        column, value = row["column"], row["value"]
        if f"{PREFIX}{column}" not in items:
            continue
        group = items[items[f"{PREFIX}{column}"] == value]
        for name, entry in row["metrics"].items():
            if f"{SCORE}{name}" not in items:
                continue
            scores = group.loc[~group["item"].isin(entry["unscored"]), f"{SCORE}{name}"]
            if len(scores) == entry["n_items"] and np.isfinite(scores).all():
                found.setdefault(column, {}).setdefault(value, {})[name] = float(scores.mean())
    return found


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
        metric.name, column, value, entry["n_items"], known, band.mean, band.lower, band.upper, p_value, p_value
    )


def _metric(name: str, tables: "Sequence[pd.DataFrame]") -> dict[str, Any] | None:
    """One metric on one slice; None where no item has a score under every seed."""
    items: NDArray[np.float64] = np.array([table[f"{SCORE}{name}"] for table in tables], dtype=np.float64)
    counts = np.isfinite(items).all(axis=0)
    if not counts.any():
        return None
    whole = items[:, counts]
    return {
        "scores": whole.mean(axis=1).tolist(),
        "n_items": int(counts.sum()),
        "unscored": np.array(tables[0]["item"])[~counts].tolist(),
        "floor": item_floor(whole),
        "resolution": resolution(whole),
    }
