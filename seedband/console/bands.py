"""A band for people: the seeds on an axis, in a table, and what the band can and cannot tell."""

import shutil
import sys
from collections.abc import Sequence
from typing import Any

from seedband.band import Band
from seedband.console.output import clean, print_json, print_lines, rich_console
from seedband.metric_band import MetricBand
from seedband.stats.rules import Decision

#: No table is wider, in columns of a terminal.
MAX_WIDTH = 100_000


def digits(metric: MetricBand) -> int:
    """Decimals that show a hundredth of the metric's noise, at least 4."""
    sd = metric.noise_sd
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
    # Scores that differ by less than floats can divide stand on one column.
    scale = (width - 1) / (high - low) if high - low > sys.float_info.min * width else 0.0
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
    print_whole(_seed_table(band))
    for metric in band.metrics.values():
        role = "gates" if metric.name in band.gates else "advises"
        d = digits(metric)
        edges = f"[{metric.lower:.{d}f}, {metric.upper:.{d}f}] n={metric.n} mean={metric.mean:.{d}f}"
        print_lines([f"band {metric.name}: {edges} sd={metric.sd:.{d}f} spread={metric.spread:.{d}f} {role}"])
    print_lines(_in_words(band))


def print_whole(table: Any) -> None:
    """A table with every number in full: where it is wider than the terminal, its lines are, too."""
    console = rich_console()
    natural = console.measure(table, options=console.options.update(max_width=MAX_WIDTH)).maximum
    console.width = max(console.width, natural)
    console.print(table)


def band_json(band: Band) -> dict[str, Any]:
    """A band as `--json` prints it."""
    names = ("scores", "seeds", "failed_seeds", "lower", "upper", "mean", "median", "sd", "spread", "collapse_limit")
    return {
        "primary": band.primary,
        "gates": list(band.gates),
        "rule": band.rule,
        "alpha": band.alpha,
        "metrics": {
            name: {
                **{key: getattr(metric, key) for key in names},
                "n": metric.n,
                "median_seed": metric.median_seed,
                "noise_sd": metric.noise_sd,
                "floor": metric.floor,
                "history_df": metric.prior.df,
                "false_alarm_rate": metric.prospect(band.rule).false_alarm_rate,
                "detectable_drop": metric.prospect(band.rule).detectable_drop,
            }
            for name, metric in band.metrics.items()
        },
    }


def _seed_table(band: Band) -> Any:
    from rich.markup import escape
    from rich.table import Table

    first = band.metrics[band.primary]
    table = Table("seed", *(escape(clean(name)) for name in band.metrics), "")
    for column in table.columns[: 1 + len(band.metrics)]:
        column.justify = "right"
    for index, seed in enumerate(first.seeds):
        scores = [f"{metric.scores[index]:.{digits(metric)}f}" for metric in band.metrics.values()]
        table.add_row(str(seed), *scores, "median run" if seed == first.median_seed else "")
    for seed in first.failed_seeds:
        table.add_row(str(seed), *["–"] * len(band.metrics), "failed to train")
    return table


def _in_words(band: Band) -> list[str]:
    """False-alarm rate and detectable drop of one candidate, and what else there is to know, as sentences."""
    lines = [_rates(band.metrics[name], band) for name in band.gates]
    if len(band.gates) > 1:
        primary = band.metrics[band.primary]
        each = "" if band.rule == "range" else f", each at alpha {primary.alpha:.3g}"
        total = min(1.0, sum(band.metrics[name].prospect(band.rule).false_alarm_rate for name in band.gates))
        lines.append(
            f"{len(band.gates)} metrics gate{each}, for about {total:.1%} in all; "
            f"gating on {primary.name} alone, {_stopped(primary, primary.prospect(band.rule, band.alpha))}"
        )
    lines += [_history(metric, band) for metric in band.metrics.values() if metric.prior.df]
    if band.failed_seeds:
        rate, n = band.metrics[band.primary].failure_rate, len(band.seeds)
        lines.append(
            f"{len(band.failed_seeds)} of {n + len(band.failed_seeds)} seeds failed to train "
            f"({rate.share:.0%}, 90 % interval {rate.low:.0%} to {rate.high:.0%}); they are no part of the band"
        )
    for seed, message in band.provenance.get("crashed", {}).items():
        lines.append(f"seed {seed} is no part of the band, for its run crashed: {message}")
    if band.metrics[band.primary].spread == 0:
        lines.append("all seeds score the same: zero spread is not evidence of zero noise")
    return lines


def _history(metric: MetricBand, band: Band) -> str:
    """What earlier bands are worth."""
    d, history = digits(metric), band.provenance["history"]
    return (
        f"{metric.name}: history of {history['bands']} bands, worth {metric.prior.df:.1f} degrees of freedom beside "
        f"{metric.n - 1} of its own: sd {metric.noise_sd:.{d}f} instead of {metric.sd:.{d}f}; that they share "
        f"evaluator and eval set is {history['comparability']}"
    )


def _rates(metric: MetricBand, band: Band) -> str:
    """What the band's rule does to an unchanged recipe, and which drop it stops."""
    name = f"{metric.name}, " if len(band.gates) > 1 else ""
    sight = metric.prospect(band.rule)
    again = f"looked at again in {sight.screen_rate:.0%} of cases and " if sight.screen_rate else ""
    most = "at most " if sight.rate_is_bound else ""
    rate = f"an unchanged recipe is {again}stopped in {most}{sight.false_alarm_rate:.1%}"
    return f"{name}rule {band.rule}: {rate} of cases; {_stopped(metric, sight)}"


def _stopped(metric: MetricBand, sight: Decision) -> str:
    """Which drop of one candidate a rule stops; without a scale nobody knows."""
    if sight.detectable_drop is None:
        return "which drop is stopped is unknown: no spread"
    return f"a drop of {sight.detectable_drop:.{digits(metric)}f} is stopped with 80 % power"
