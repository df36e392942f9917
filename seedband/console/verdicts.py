"""A verdict for people: the candidates on the axis of seeds, a line per metric, and what it means in words."""

from dataclasses import asdict

from seedband.band import Band, MetricBand, MetricVerdict, Verdict
from seedband.console.bands import digits, strip
from seedband.console.output import clean, print_hint, print_json, print_lines, rich_console

STYLES = {"pass": "green", "fail": "red", "suspect": "yellow"}


def verdict_line(name: str, m: MetricVerdict, band: MetricBand) -> str:
    """One greppable line for one metric."""
    d = digits(band)
    shown = ",".join(f"{score:.{d}f}" for score in m.scores)
    parts = [
        f"{name}: {m.status.upper()}",
        f"score={shown}",
        f"band=[{band.lower:.{d}f},{band.upper:.{d}f}]",
        f"rule={m.rule}",
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
        print_json(asdict(verdict))
        return
    console = rich_console()
    primary = verdict.metrics.get(band.primary)
    if primary is not None:
        for line in strip(band.metrics[band.primary], primary.scores):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        ordered = sorted(verdict.metrics.items(), key=lambda pair: pair[0] != band.primary)
        print_lines([verdict_line(name, m, band.metrics[name]) for name, m in ordered])
        print_lines(_verdict_in_words(primary, band.metrics[band.primary]))
    from rich.text import Text

    word = Text(verdict.status.upper(), style=f"bold {STYLES[verdict.status]}")
    console.print(Text.assemble(word, f": {clean(verdict.reason)}"), soft_wrap=True)
    if verdict.status == "suspect" and primary is not None:
        seeds = "1 more seed" if primary.candidates_needed == 1 else f"{primary.candidates_needed} more seeds"
        print_hint(
            f"train {seeds} of the candidate's recipe ({primary.candidates_at_most} at most), such as by "
            f"seedband sweep --config CANDIDATE.toml --seeds NEW, --no-band, "
            f"and give all of its checkpoints, in the order trained: seedband check FIRST SECOND --band …"
        )


def _verdict_in_words(m: MetricVerdict, band: MetricBand) -> list[str]:
    d = digits(band)
    again = f" ({m.screen_rate:.0%} are looked at again)" if m.screen_rate else ""
    drop = "unknown: the spread is zero" if m.detectable_drop is None else f"{m.detectable_drop:.{d}f}"
    rate = f"{m.false_alarm_rate:.1%} of unchanged recipes are stopped by this rule in the end{again}"
    lines = [f"false alarms: {rate}; drop that it stops with 80 % power: {drop}"]
    if band.failed_seeds:
        seeds = band.n + len(band.failed_seeds)
        lines.append(f"on top of that, {len(band.failed_seeds)} of {seeds} baseline seeds failed to train")
    return lines
