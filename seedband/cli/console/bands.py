"""A band for people: the seeds on an axis, in a table, and what the band can and cannot tell."""

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seedband.cli.console.output import plain, print_json, print_lines, rich_console
from seedband.reports.wording import band_sentences, score_format

if TYPE_CHECKING:
    from seedband.bands.band import Band
    from seedband.bands.metric_band import MetricBand

#: No table is wider, in columns of a terminal.
MAX_WIDTH = 100_000


def strip(metric: "MetricBand", candidates: Sequence[float] = (), width: int | None = None) -> list[str]:
    """The seeds as dots on an axis with the band above them; candidates as crosses.

    Examples:
        >>> from seedband.bands.band import fit_band
        >>> band = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]}).metrics["accuracy"]
        >>> for line in strip(band, [0.869], width=40): print(line)
        accuracy     ├───────────────────────────────────┤ band
                  ×  ●             ◆       ●             ●
                  0.8690                            0.8920
    """
    name = plain(metric.name)
    width = width or max(24, min(72, shutil.get_terminal_size((100, 24)).columns - len(name) - 2))
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
    d = score_format(metric)
    left, right = f"{low:{d}}", f"{high:{d}}"
    margin = " " * (len(name) + 2)
    return [
        f"{name}  {''.join(edges).rstrip()} band",
        f"{margin}{''.join(dots).rstrip()}",
        f"{margin}{left}{right.rjust(width - len(left))}",
    ]


def print_band(band: "Band", *, as_json: bool = False, quiet: bool = False) -> None:
    """Print the seeds on an axis, their scores in a table, and what the band can tell; quiet leaves the gating line."""
    if as_json:
        print_json(band_json(band))
        return
    if quiet:
        print_lines([band_line(band.metrics[band.primary], band)])
        return
    console = rich_console()
    for line in strip(band.metrics[band.primary]):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    print_whole(_seed_table(band))
    print_lines([*(band_line(metric, band) for metric in band.metrics.values()), *band_sentences(band)])


def band_line(metric: "MetricBand", band: "Band") -> str:
    """One greppable line for one metric."""
    role, d = "gates" if metric.name in band.gates else "advises", score_format(metric)
    edges = f"[{metric.lower:{d}}, {metric.upper:{d}}] n={metric.n} mean={metric.mean:{d}}"
    return f"band {metric.name}: {edges} sd={metric.sd:{d}} spread={metric.spread:{d}} {role}"


def print_whole(table: Any) -> None:
    """A table with every number in full: where it is wider than the terminal, its lines are, too."""
    console = rich_console()
    natural = console.measure(table, options=console.options.update(max_width=MAX_WIDTH)).maximum
    console.width = max(console.width, natural)
    console.print(table)


def band_json(band: "Band") -> dict[str, object]:
    """A band as `--json` prints it."""
    names = ("scores", "seeds", "failed_seeds", "lower", "upper", "mean", "median", "sd", "spread", "collapse_limit")
    return {
        "primary": band.primary,
        "gates": list(band.gates),
        "rule": band.rule,
        "alpha": band.alpha,
        "accepted": band.provenance.get("accepted", []),
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


def _seed_table(band: "Band") -> Any:
    from rich.markup import escape
    from rich.table import Table

    first = band.metrics[band.primary]
    table = Table("seed", *(escape(plain(name)) for name in band.metrics), "")
    for column in table.columns[: 1 + len(band.metrics)]:
        column.justify = "right"
    for index, seed in enumerate(first.seeds):
        scores = [f"{metric.scores[index]:{score_format(metric)}}" for metric in band.metrics.values()]
        table.add_row(str(seed), *scores, "median run" if seed == first.median_seed else "")
    for seed in first.failed_seeds:
        table.add_row(str(seed), *["–"] * len(band.metrics), "failed to train")
    return table
