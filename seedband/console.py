"""The only place that prints: tables, the strip of seeds, verdict lines, hints, progress.

Data goes to standard output, everything else to standard error. Verdict lines are plain text of one line each, for
grep; NO_COLOR, narrow terminals and pipes are rich's business.
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from seedband.band import Band, MetricBand, MetricVerdict, Verdict
from seedband.errors import SeedbandError
from seedband.records import Event, Sweep
from seedband.stats import looks, power

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

STYLES = {"pass": "green", "fail": "red", "suspect": "yellow"}


def digits(metric: MetricBand) -> int:
    """Decimals that show a hundredth of the metric's noise, at least 4."""
    sd = metric.floored_sd
    return next((d for d in range(4, 12) if sd >= 10.0 ** (1 - d)), 12) if sd > 0 else 4


def clean(text: object) -> str:
    """Text without control characters: a label or a path must not drive the terminal.

    Examples:
        >>> clean("a" + chr(27) + "[31mb") == "a" + chr(92) + "x1b[31mb"
        True
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def print_error(error: SeedbandError) -> None:
    """What is wrong, every mistake, and what to do about it."""
    from rich.text import Text

    console = _rich(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), clean(error.message)), soft_wrap=True)
    for problem in error.problems:
        console.print(Text(f"  {clean(problem)}"), soft_wrap=True)
    if error.hint:
        print_hint(error.hint)


def print_hint(text: str) -> None:
    """A hint on a line of its own."""
    from rich.text import Text

    _rich(stderr=True).print(Text.assemble(("hint: ", "bold cyan"), clean(text)), soft_wrap=True)


def print_note(text: str) -> None:
    """A line on standard error."""
    from rich.text import Text

    _rich(stderr=True).print(Text(clean(text)), soft_wrap=True)


def print_lines(lines: Sequence[str]) -> None:
    """Plain lines on standard output."""
    for line in lines:
        sys.stdout.write(clean(line) + "\n")


def print_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    """What a sweep would do: jobs, steps, disk and a rough time."""
    if as_json:
        print_json(plan)
        return
    seeds = ", ".join(str(seed) for seed in plan["seeds_to_train"]) or "none"
    print_lines(
        [
            f"folder: {plan['folder']}, {len(plan['finished'])} runs finished",
            f"to train: seeds {seeds}; {plan['jobs']} jobs, {plan['steps_per_run']} steps a run",
            f"disk: about {plan['disk_bytes'] / 1e6:.1f} MB",
            f"time: about {_duration(plan['seconds'])} ({plan['seconds_from']})",
        ]
    )


def print_sweep(sweep: Sweep, band: Band, *, as_json: bool) -> None:
    """A finished sweep: its band, its median run, and what to do with them."""
    if as_json:
        print_json({**_runs_json(sweep), "band": str(sweep.band_path), **_band_json(band)})
        return
    print_band(band)
    median = f"seed-{sweep.median_seed}"
    print_lines([f"median run: {sweep.folder / median}; band: {sweep.band_path}"])
    print_hint(f"judge a new checkpoint with: seedband check NEW_CHECKPOINT --band {sweep.band_path}")


def print_runs(sweep: Sweep, *, as_json: bool) -> None:
    """Runs without a band, one line each."""
    if as_json:
        print_json(_runs_json(sweep))
        return
    for run in sweep.runs:
        scores = " ".join(f"{entry.metric}={entry.score:.6g}" for entry in run.evaluations if entry.score is not None)
        print_lines([f"{run.folder}: {run.status} {scores}{' ' + run.failure if run.failure else ''}"])


def print_band(band: Band, *, as_json: bool = False) -> None:
    """The seeds on an axis, their scores in a table, and what the band can and cannot tell."""
    if as_json:
        print_json(_band_json(band))
        return
    console = _rich()
    for line in strip(band.metrics[band.primary]):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(_seed_table(band))
    for metric in band.metrics.values():
        role = "gates" if metric.name == band.primary else "advises"
        d = digits(metric)
        limits = f"[{metric.lower:.{d}f}, {metric.upper:.{d}f}] n={metric.n} mean={metric.mean:.{d}f}"
        print_lines([f"band {metric.name}: {limits} sd={metric.sd:.{d}f} spread={metric.spread:.{d}f} {role}"])
    print_lines(_in_words(band))


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
    console = _rich()
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


class Reporter:
    """Shows what a flow does, on standard error: a bar per seed on a terminal, else a line per event.

    Args:
        quiet: Show warnings only.
        verbose: Show the jobs with their logs, too, and more steps.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._bars: Bars | None = None
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        console = _rich(stderr=True)
        if console.is_terminal and not self._quiet:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[loss]}"),
                TimeRemainingColumn(),
                console=console,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event.kind == "step":
            self._show_step(event)
        elif event.kind in ("warning", "crashed"):
            self._line(f"warning: {event.content.get('text') or _crash(event)}", always=True)
        elif event.kind == "note":
            self._line(f"note: {event.content['text']}")
        elif event.kind == "job" and self._verbose:
            self._line(f"job {event.content['name']}, log {event.content['log']}")
        elif event.kind == "start":
            self._line(str(event.content["what"]))
        elif event.kind == "finished":
            self._line(f"seed {event.seed}: {_finished(event)}")

    def _show_step(self, event: Event) -> None:
        assert event.seed is not None
        step, steps, loss = event.content["step"], event.content["steps"], event.content["loss"]
        if self._bars is not None:
            if event.seed not in self._tasks:
                self._tasks[event.seed] = self._bars.add_task(f"seed {event.seed}", total=steps, loss="")
            self._bars.update(self._tasks[event.seed], completed=step, loss=f"loss {loss:.3f}")
        elif step == steps or step % max(1, steps // (40 if self._verbose else 4)) == 0:
            self._line(f"seed {event.seed}: step {step}/{steps} loss {loss:.3f}")

    def _line(self, text: str, *, always: bool = False) -> None:
        if always or not self._quiet:
            (self._bars.console if self._bars is not None else _rich(stderr=True)).print(
                clean(text), markup=False, highlight=False, soft_wrap=True
            )


def _rich(*, stderr: bool = False) -> "RichConsole":
    from rich.console import Console

    return Console(stderr=stderr)


def _runs_json(sweep: Sweep) -> dict[str, Any]:
    return {
        "folder": str(sweep.folder),
        "median_seed": sweep.median_seed,
        "runs": [
            {
                "seed": run.seed,
                "status": run.status,
                "failure": run.failure,
                "scores": {entry.metric: entry.score for entry in run.evaluations},
            }
            for run in sweep.runs
        ],
    }


def _band_json(band: Band) -> dict[str, Any]:
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


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"  # noqa: PLR2004


def _crash(event: Event) -> str:
    return f"{event.content['name']} crashed: {event.content['message']}"


def _finished(event: Event) -> str:
    scores = ", ".join(
        f"{entry['metric']} {entry['score']:.4f}"
        for entry in event.content["evaluations"]
        if entry["score"] is not None
    )
    return f"failed to train ({scores or 'no scores'})" if event.content["status"] == "failed" else scores


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
