"""A verdict for people: the candidates on the axis of seeds, a line per metric, and what it means in words."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from seedband.band import Band
from seedband.console.bands import digits, strip
from seedband.console.output import clean, print_json, print_lines, rich_console
from seedband.metric_band import MetricBand
from seedband.verdict import MetricVerdict, Verdict

STYLES = {"pass": "green", "fail": "red", "suspect": "yellow"}
#: Slices told one by one, the clearest first; a candidate that collapsed is worse on all of them.
TOLD_SLICES = 5


def verdict_line(name: str, m: MetricVerdict, band: MetricBand) -> str:
    """One greppable line for one metric."""
    d = digits(band)
    parts = [
        f"{name}: {m.status.upper()}",
        f"score={_listed(m.scores, d)}",
        f"band=[{band.lower:.{d}f},{band.upper:.{d}f}]",
        f"rule={m.rule}",
        *([f"differences={_listed(m.differences, d)}", f"tolerance={m.tolerance:.{d}f}"] if m.differences else []),
        f"p={'unknown' if m.p_value is None else format(m.p_value, '.3g')}",
        f"false_alarm_rate={m.false_alarm_rate:.3g}",
        f"detectable_drop={'unknown' if m.detectable_drop is None else format(m.detectable_drop, f'.{d}f')}",
    ]
    if m.candidates_needed:
        parts.append(f"more_seeds={m.candidates_needed}..{m.candidates_at_most}")
    return " ".join([*parts, "gates" if m.gates else "advises"])


def print_verdict(verdict: Verdict, band: Band, *, as_json: bool = False) -> None:
    """The strip with the candidates, a line per metric, and what it means in words."""
    if as_json:
        print_json(verdict_json(verdict))
        return
    console = rich_console()
    if verdict.metrics:
        for line in strip(band.metrics[band.primary], verdict.metrics[band.primary].scores):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        ordered = sorted(verdict.metrics.items(), key=lambda pair: (pair[0] != band.primary, not pair[1].gates))
        print_lines([verdict_line(name, m, band.metrics[name]) for name, m in ordered])
        print_lines([*_slices(verdict, band), *_in_words(verdict, band)])
    from rich.text import Text

    word = Text(verdict.status.upper(), style=f"bold {STYLES[verdict.status]}")
    more = f"; 1 more seed, {_at_most(verdict)}" if verdict.candidates_needed else ""
    console.print(Text.assemble(word, f": {clean(verdict.reason)}{more}"), soft_wrap=True)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as `--json` prints it."""
    return {
        **asdict(verdict),
        "false_alarm_rate": verdict.false_alarm_rate,
        "candidates_needed": verdict.candidates_needed,
        "candidates_at_most": verdict.candidates_at_most,
    }


def _slices(verdict: Verdict, band: Band) -> list[str]:
    """Slices on which candidates are worse than chance explains; one line where there are none."""
    if not verdict.slices:
        return []
    worse = [entry for entry in verdict.slices if entry.p_adjusted <= band.alpha]
    if not worse:
        n = len({(entry.column, entry.value) for entry in verdict.slices})
        return [f"slices: on none of {n} is it worse than chance explains (Holm-corrected; slices advise)"]
    lines = []
    for entry in sorted(worse, key=lambda entry: entry.p_adjusted)[:TOLD_SLICES]:
        d = digits(band.metrics[entry.metric])
        name = f"{entry.metric} on {clean(entry.column)} = {clean(entry.value)} ({entry.n_items} items)"
        edges = f"score={_listed(entry.scores, d)} band=[{entry.lower:.{d}f},{entry.upper:.{d}f}]"
        lines.append(f"{name}: {edges} p={entry.p_adjusted:.3g} after Holm advises")
    more = len(worse) - len(lines)
    return [*lines, *([f"… and {more} more slices like these (--json has them)"] if more else [])]


def _in_words(verdict: Verdict, band: Band) -> list[str]:
    """False-alarm rate and detectable drop of the metrics that gate, and failed seeds, as sentences."""
    lines = []
    for name, m in verdict.gating.items():
        d = digits(band.metrics[name])
        drop = "unknown: no spread" if m.detectable_drop is None else f"{m.detectable_drop:.{d}f}"
        prefix = f"{name}: " if len(verdict.gating) > 1 else ""
        lines.append(f"{prefix}{_rate(m, d)}; drop that it stops with 80 % power: {drop}")
    if len(verdict.gating) > 1:
        lines.append(f"{len(verdict.gating)} metrics gate: at most {verdict.false_alarm_rate:.1%} false alarms in all")
    if band.failed_seeds:
        seeds = len(band.seeds) + len(band.failed_seeds)
        lines.append(
            f"on top of that, {len(band.failed_seeds)} of {seeds} baseline seeds failed to train "
            f"({verdict.failure_rate:.0%})"
        )
    return lines


def _rate(m: MetricVerdict, d: int) -> str:
    if m.rule == "paired":
        return (
            f"false alarms: at most {m.false_alarm_rate:.1%} of recipes that are no worse than the tolerance "
            f"{m.tolerance:.{d}f} are stopped"
        )
    again = f" ({m.screen_rate:.0%} are looked at again)" if m.screen_rate else ""
    most = "at most " if m.rate_is_bound else ""
    return (
        f"false alarms: {most}{m.false_alarm_rate:.1%} of unchanged recipes are stopped by this rule in the end{again}"
    )


def _at_most(verdict: Verdict) -> str:
    """How many seeds there can be: pairs end with the band's seeds, whether or not they settled it."""
    left = verdict.candidates_at_most
    return f"{left} left in the band" if verdict.metrics[verdict.primary].rule == "paired" else f"{left} at most"


def _listed(scores: Sequence[float], d: int) -> str:
    return ",".join(f"{score:.{d}f}" for score in scores)
