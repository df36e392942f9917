"""The cohort split: how seeds differ item by item, over all items and slice by slice, and what noise that makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from seedband.bands.metric_band import MetricBand
from seedband.bands.stats.cohorts import SeedTest, holm, seeds_differ
from seedband.bands.stats.items import Components, Table, churn, components, is_binary, item_floor, standard_error
from seedband.bands.stats.limits import sample_sd
from seedband.counts import counted
from seedband.errors import Refused, UsageError
from seedband.runs import folders, score_table, sweep_file
from seedband.runs.run import Run

#: Fewer clusters than this say next to nothing about how clusters differ.
MIN_CLUSTERS = 10


@dataclass(frozen=True)
class Cohort:
    """The items of one slice under every seed.

    Attributes:
        name: Value of the slice column; "all" for all items.
        n_items: How many there are.
        rates: Per seed, the share of failed items where items are scored 0 or 1, else their mean score.
        test: Whether the seeds differ beyond chance on these items.
        p_adjusted: Its p-value after Holm's correction over the slices.
        band: Lower and upper edge of the slice's own noise band, of what `rates` are.
    """

    name: str
    n_items: int
    rates: tuple[float, ...]
    test: SeedTest
    p_adjusted: float
    band: tuple[float, float]


@dataclass(frozen=True)
class Split:
    """One metric, taken apart.

    Attributes:
        metric: Its name.
        by: "seed", or the slice column.
        seeds: Healthy root seeds, in the order of every `rates`.
        binary: Whether its items are scored 0 or 1.
        cohorts: All items that have a score under every seed first, then slice by slice.
        parts: Variance of seeds, items and their interaction.
        seed_sd: Standard deviation of the score over seeds.
        churn: Share of items on which two seeds differ; for graded items, to the last digit.
        floor: Smallest standard deviation of the score that the items allow.
        item_se: Standard error of the score over items, were they drawn anew.
        clustered_se: The same with the items of a slice drawn together; None by seed, and with fewer than 10 slices.
    """

    metric: str
    by: str
    seeds: tuple[int, ...]
    binary: bool
    cohorts: tuple[Cohort, ...]
    parts: Components
    seed_sd: float
    churn: float
    floor: float
    item_se: float
    clustered_se: float | None


def split(path: str | Path, by: str) -> list[Split]:
    """The cohort split of a sweep, for every metric that scores items.

    Args:
        path: Folder of a sweep, or the band that it wrote.
        by: "seed", or a slice column of the recipe.

    Raises:
        UsageError: No sweep, or no such column.
        Refused: Fewer than two healthy seeds, no metric with items, or items that are not those on record.
    """
    folder = sweep_file.sweep_folder(Path(path))
    runs = [run for run in folders.finished_runs(folder) if run.status == "finished"]
    if len(runs) < 2:  # noqa: PLR2004
        raise Refused(f"{folder}: {counted(len(runs), 'healthy seed')}; a split over seeds needs at least 2")
    slices = None if by == "seed" else _slices(folder, runs[0], by)
    tables = {entry.metric: score_table.item_scores(runs, entry.metric) for entry in runs[0].evaluations}
    found = [_split(metric, by, runs, np.array(table), slices) for metric, table in tables.items() if table is not None]
    if not found:
        raise Refused(f"{folder}: no metric scores items one by one")
    return found


def _slices(folder: Path, run: Run, by: str) -> list[str]:
    """The slice of every item."""
    known = sweep_file.read_sweep(folder).recorded.slices
    if by not in known:
        raise UsageError(
            f"--by {by}: no such slice; there are {', '.join(['seed', *known])}",
            hint=f'slices = ["{by}"] under [data] keeps a column of the eval data',
        )
    items = score_table.read_items(run)
    if f"slice:{by}" not in items.columns:
        raise Refused(f"{run.folder}: its items have no column {by!r}", hint=f"remove {run.folder}, sweep again")
    return [str(value) for value in items[f"slice:{by}"]]


def _split(metric: str, by: str, runs: Sequence[Run], table: Table, slices: list[str] | None) -> Split:
    scored = [bool(np.isfinite(column).all()) for column in table.T]
    table, slices = table[:, scored], None if slices is None else list(compress(slices, scored))
    if table.shape[1] < 2:  # noqa: PLR2004
        raise Refused(
            f"{metric}: {counted(table.shape[1], 'item has', 'items have')} a score under every seed, it takes 2"
        )
    binary = is_binary(table)
    names = [] if slices is None else slices
    chosen = {name: np.array([value == name for value in names]) for name in sorted(set(names))}
    tests = [seeds_differ(table[:, mask]) for mask in chosen.values()]
    adjusted = holm([test.p_value for test in tests]) if tests else ()
    overall = seeds_differ(table)
    cohorts = [_cohort("all", table, overall, overall.p_value, binary=binary)]
    for (name, mask), test, p in zip(chosen.items(), tests, adjusted, strict=True):
        cohorts.append(_cohort(name, table[:, mask], test, p, binary=binary))
    means = table.mean(axis=0)
    return Split(
        metric=metric,
        by=by,
        seeds=tuple(run.seed for run in runs),
        binary=binary,
        cohorts=tuple(cohorts),
        parts=components(table),
        seed_sd=sample_sd(table.mean(axis=1).tolist()),
        churn=churn(table),
        floor=item_floor(table),
        item_se=standard_error(means),
        clustered_se=standard_error(means, slices) if slices is not None and len(chosen) >= MIN_CLUSTERS else None,
    )


def _cohort(name: str, table: Table, test: SeedTest, p_adjusted: float, *, binary: bool) -> Cohort:
    means = table.mean(axis=1)
    rates = tuple(float(rate) for rate in (1 - means if binary else means))
    edges = MetricBand(name, rates, tuple(range(len(rates))))
    return Cohort(name, table.shape[1], rates, test, p_adjusted, (edges.lower, edges.upper))
