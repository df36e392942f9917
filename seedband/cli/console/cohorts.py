"""The cohort split for people: fail rates per seed and slice, their tests, and where the noise comes from."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seedband.cli.console.bands import print_whole
from seedband.cli.console.output import plain, print_json, print_lines
from seedband.counts import counted

if TYPE_CHECKING:
    from seedband.runs.cohorts import Cohort, Split

#: A p-value of at most this much is told as a difference.
LEVEL = 0.05


def print_splits(splits: Sequence["Split"], *, as_json: bool = False) -> None:
    """A table per metric, its tests, and its noise by source."""
    if as_json:
        print_json({"splits": [_split_json(split) for split in splits]})
        return
    for split in splits:
        print_whole(_by_seed(split) if split.by == "seed" else _by_slice(split))
        print_lines([*_tests(split), *_noise(split), ""])


def _split_json(split: "Split") -> dict[str, object]:
    sds = {"same_items_sd": split.parts.same_items_sd, "new_items_sd": split.parts.new_items_sd}
    cohorts = [{**asdict(cohort), "test": cohort.test._asdict()} for cohort in split.cohorts]
    return {**asdict(split), "cohorts": cohorts, "parts": {**split.parts._asdict(), **sds}}


def _by_seed(split: "Split") -> Any:
    from rich.table import Table

    table = Table("seed", _title(split))
    table.columns[1].justify = "right"
    for seed, rate in zip(split.seeds, split.cohorts[0].rates, strict=True):
        table.add_row(str(seed), _shown(split, rate))
    return table


def _by_slice(split: "Split") -> Any:
    from rich.markup import escape
    from rich.table import Table

    seeds = [f"seed {seed}" for seed in split.seeds]
    table = Table(escape(plain(split.by)), "items", *seeds, "band", "p", title=_title(split), title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for cohort in split.cohorts:
        rates = [_shown(split, rate) for rate in cohort.rates]
        band = f"{_shown(split, cohort.band[0])} to {_shown(split, cohort.band[1])}"
        table.add_row(escape(plain(cohort.name)), str(cohort.n_items), *rates, band, f"{cohort.p_adjusted:.3g}")
    return table


def _title(split: "Split") -> str:
    from rich.markup import escape

    return escape(plain(f"{split.metric}: {'fail rate' if split.binary else 'mean'}"))


def _shown(split: "Split", rate: float) -> str:
    return f"{rate:.1%}" if split.binary else f"{rate:.4f}"


def _tests(split: "Split") -> list[str]:
    """Check whether the seeds differ item by item beyond chance, over all items and slice by slice."""
    overall, slices = split.cohorts[0], split.cohorts[1:]
    differ = "differ" if overall.p_adjusted <= LEVEL else "do not differ"
    lines = [f"{split.metric}: {_test(overall)}: seeds {differ} beyond chance on {counted(overall.n_items, 'item')}"]
    if slices:
        told = [plain(cohort.name) for cohort in slices if cohort.p_adjusted <= LEVEL]
        where = f"seeds differ on {', '.join(told)}" if told else f"seeds differ on no {split.by}"
        lines.append(f"{split.metric} per {split.by}, Holm-corrected over {len(slices)}: {where}")
    return lines


def _test(cohort: "Cohort") -> str:
    return f"{cohort.test.name} {cohort.test.statistic:.3g}, df {cohort.test.df:.0f}, p {cohort.test.p_value:.3g}"


def _noise(split: "Split") -> list[str]:
    """Print the noise of the score by source: seeds, items, and seeds on single items."""
    parts, name = split.parts, split.metric
    clustered = "" if split.clustered_se is None else f", clustered by {split.by} {split.clustered_se:.4f}"
    variances = (
        f"seeds {parts.seed_variance:.3g}, items {parts.item_variance:.3g}, "
        f"seeds on single items {parts.residual_variance:.3g}"
    )
    sds = f"{parts.same_items_sd:.4f} on these items, of {parts.new_items_sd:.4f} on {parts.n_items} new ones"
    churn = f"churn: two seeds differ on {split.churn:.1%} of the items, by itself an sd of {split.floor:.4f}"
    graded = f"churn: what single items move by themselves makes an sd of {split.floor:.4f}"
    return [
        f"{name} noise: seeds sd {split.seed_sd:.4f}; items standard error {split.item_se:.4f}{clustered}",
        f"{name} variance: {variances}; another seed has an sd of {sds}",
        f"{name} {churn if split.binary else graded}",
    ]
