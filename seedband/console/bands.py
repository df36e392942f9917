"""A band for people: the seeds on an axis, in a table, and what the band can and cannot tell."""

import shutil
from collections.abc import Sequence
from typing import Any

from seedband.band import Band, MetricBand
from seedband.console.output import print_json, print_lines, rich_console
from seedband.stats import looks, power


def digits(metric: MetricBand) -> int:
    """Decimals that show a hundredth of the metric's noise, at least 4."""
    sd = metric.floored_sd
    return next((d for d in range(4, 12) if sd >= 10.0 ** (1 - d)), 12) if sd > 0 else 4


def strip(metric: MetricBand, candidates: Sequence[float] = (), width: int | None = None) -> list[str]:
    """The seeds as dots on an axis with the band above them; candidates as crosses.

    Examples:
        >>> from seedband.band import fit_band
        >>> band = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]}).metrics["accuracy"]
        >>> for line in strip(band, [0.869], width=40): print(line)
        accuracy     ├───────────────────────────────────┤ band
                  ×  ●             ◆       ●             ●
                  0.8690                            0.8920
    """
    width = width or max(24, min(72, shutil.get_terminal_size((100, 24)).columns - len(metric.name) - 2))
    low, high = min([*metric.scores, *candidates]), max([*metric.scores, *candidates])
    scale = (width - 1) / (high - low) if high > low else 0.0
    place = {score: round((score - low) * scale) for score in [*metric.scores, *candidates, metric.lower, metric.upper]}
    edges = [" "] * width
    for column in range(place[metric.lower], place[metric.upper] + 1):
        edges[column] = "─"
    edges[place[metric.lower]], edges[place[metric.upper]] = "├", "┤"
    dots = [" "] * width
    median = metric.scores[metric.seeds.index(metric.median_seed)]
    for score in sorted(metric.scores):
        dots[place[score]] = "2" if dots[place[score]] == "●" else "●"
    dots[place[median]] = "◆"
    for score in candidates:
        dots[place[score]] = "×"
    d = digits(metric)
    left, right = f"{low:.{d}f}", f"{high:.{d}f}"
    margin = " " * (len(metric.name) + 2)
    return [
        f"{metric.name}  {''.join(edges).rstrip()} band",
        f"{margin}{''.join(dots).rstrip()}",
        f"{margin}{left}{right.rjust(width - len(left))}",
    ]


def print_band(band: Band, *, as_json: bool = False) -> None:
    """The seeds on an axis, their scores in a table, and what the band can and cannot tell."""
    if as_json:
        print_json(band_json(band))
        return
    console = rich_console()
    for line in strip(band.metrics[band.primary]):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(_seed_table(band))
    for metric in band.metrics.values():
        role = "gates" if metric.name == band.primary else "advises"
        d = digits(metric)
        limits = f"[{metric.lower:.{d}f}, {metric.upper:.{d}f}] n={metric.n} mean={metric.mean:.{d}f}"
        print_lines([f"band {metric.name}: {limits} sd={metric.sd:.{d}f} spread={metric.spread:.{d}f} {role}"])
    print_lines(_in_words(band))


def band_json(band: Band) -> dict[str, Any]:
    """A band as `--json` prints it."""
    names = ("scores", "seeds", "failed_seeds", "lower", "upper", "mean", "median", "sd", "spread", "collapse_limit")
    return {
        "primary": band.primary,
        "rule": band.rule,
        "alpha": band.alpha,
        "metrics": {
            name: {**{key: getattr(metric, key) for key in names}, "n": metric.n, "median_seed": metric.median_seed}
            for name, metric in band.metrics.items()
        },
    }


def _seed_table(band: Band) -> Any:
    from rich.table import Table

    first = band.metrics[band.primary]
    table = Table("seed", *band.metrics, "")
    for column in table.columns[: 1 + len(band.metrics)]:
        column.justify = "right"
    for index, seed in enumerate(first.seeds):
        scores = [f"{metric.scores[index]:.{digits(metric)}f}" for metric in band.metrics.values()]
        table.add_row(str(seed), *scores, "median run" if seed == first.median_seed else "")
    for seed in first.failed_seeds:
        table.add_row(str(seed), *["–"] * len(band.metrics), "failed to train")
    return table


def _in_words(band: Band) -> list[str]:
    """False-alarm rate and detectable drop of one candidate, and failed seeds, as sentences."""
    metric, n, alpha = band.metrics[band.primary], band.metrics[band.primary].n, band.alpha
    d = digits(metric)
    lines = []
    if band.rule == "retest":
        design = looks.design(n, alpha)
        drop = design.detectable_drop * metric.floored_sd
        lines.append(
            f"rule retest: an unchanged recipe is looked at again in {looks.screen_rate(n):.0%} of cases "
            f"and stopped in {design.false_alarm_rate:.1%}; a drop of {drop:.{d}f} is stopped with 80 % power"
        )
    elif band.rule == "t":
        drop = power.t_detectable_drop(n, 1, alpha) * metric.floored_sd
        lines.append(
            f"rule t: an unchanged recipe is stopped in {alpha:.1%} of cases; a drop of {drop:.{d}f} is stopped "
            f"with 80 % power"
        )
    else:
        drop = power.range_detectable_drop(n, 1) * metric.floored_sd
        lines.append(
            f"rule range: an unchanged recipe is stopped in {1 / (n + 1):.0%} of cases; a drop of {drop:.{d}f} "
            f"is stopped with 80 % power"
        )
    if metric.failed_seeds:
        rate = metric.failure_rate
        lines.append(
            f"{len(metric.failed_seeds)} of {n + len(metric.failed_seeds)} seeds failed to train "
            f"({rate.share:.0%}, 90 % interval {rate.low:.0%} to {rate.high:.0%}); they are no part of the band"
        )
    if metric.spread == 0:
        lines.append("all seeds score the same: zero spread is not evidence of zero noise")
    return lines
