"""The table: what is measured, what is compared with what, and what is to be reached."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from levers import LEVERS
from measurements import Measurement, Start, Statistics, Sweep, TrainerRun

CHECK = ("{seedband}", "check", "--scores", "{folder}/scores.csv", "--band", "{folder}/band.json", "-q")
#: In the order in which a repeat measures them: what others are compared with stands before them.
TRAININGS: Mapping[str, TrainerRun | Sweep] = {
    "trainer-head": TrainerRun("head"),
    "head-4": Sweep("head", 4, jobs=2),
    "head-mean-4": Sweep("head-mean", 4, jobs=2),
    "head-32": Sweep("head", 32, jobs=2),
    "head-256": Sweep("head", 256, jobs=2),
    "trainer-lora": TrainerRun("lora"),
    "lora-4-jobs-2": Sweep("lora", 4, jobs=2),
    "lora-4-jobs-1": Sweep("lora", 4),
    "trainer-last-two": TrainerRun("lora-last-two"),
    "last-two-4-jobs-2": Sweep("lora-last-two", 4, jobs=2),
    "last-two-4-jobs-1": Sweep("lora-last-two", 4),
    "trainer-memory": TrainerRun("lora", unit="bytes"),
    "lora-memory": Sweep("lora", 2, unit="bytes"),
}
MEASUREMENTS: Mapping[str, Measurement] = {
    **TRAININGS,
    **{f"without-{name}": TRAININGS[lever.of].without(name) for name, lever in LEVERS.items()},
    "python": Start(("{python}", "-c", "pass")),
    "typer-app": Start(("{python}", "{folder}/app.py", "--help")),
    "help": Start(("{seedband}", "--help")),
    "numpy": Start(("{python}", "-c", "import numpy")),
    "check": Start(CHECK),
    "gate": Statistics("gate"),
    "decompose": Statistics("decompose"),
    "decompose-graded": Statistics("decompose-graded"),
}


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        work: What it is about.
        ours: Name of what is measured.
        today: Name of what it is compared with; None where the number itself counts.
        goal: What the figure is to reach.
        runs: How many runs of `today` do the same work. The figure is then how many times faster ours is; else how
            many times as much ours takes, to be as small as the goal.
    """

    work: str
    ours: str
    today: str | None = None
    goal: float | None = None
    runs: int | None = None

    def figures(self, values: Mapping[str, Mapping[int, float]]) -> list[float]:
        """The figure in every repeat that measured both sides."""
        ours = values.get(self.ours, {})
        if self.today is None:
            return list(ours.values())
        pairs = [(today, ours[repeat]) for repeat, today in values.get(self.today, {}).items() if repeat in ours]
        return [self.runs * today / mine if self.runs else mine / today for today, mine in pairs]

    def reached(self, figures: Sequence[float]) -> str:
        """Whether the median reaches the goal, and how many repeats do."""
        if self.goal is None:
            return ""
        met = [figure >= self.goal if self.runs else figure <= self.goal for figure in figures]
        median = statistics.median(figures)
        yes = median >= self.goal if self.runs else median <= self.goal
        return f"{'yes' if yes else 'no'} ({sum(met)} of {len(met)})"


ROWS: Mapping[str, Row] = {
    "head-4": Row("`head`, the architecture's own, 4 seeds, `--jobs 2`", "head-4", "trainer-head", 12, runs=4),
    "head-mean-4": Row("`head`, mean pooling, 4 seeds, `--jobs 2`", "head-mean-4", "trainer-head", 12, runs=4),
    "head-32": Row("`head`, 32 seeds, `--jobs 2`", "head-32", "trainer-head", 100, runs=32),
    "head-256": Row("`head`, 256 seeds against 4, `--jobs 2`", "head-256", "head-4", 3),
    "lora-4": Row("`lora` on all layers, 4 seeds, `--jobs 2`", "lora-4-jobs-2", "trainer-lora", 2, runs=4),
    "lora-4-jobs-1": Row("`lora` on all layers, 4 seeds, `--jobs 1`", "lora-4-jobs-1", "trainer-lora", 2, runs=4),
    "last-two-4": Row(
        "`lora` on the last two layers, frozen ones without dropout, 4 seeds, `--jobs 2`",
        "last-two-4-jobs-2",
        "trainer-last-two",
        5,
        runs=4,
    ),
    "last-two-4-jobs-1": Row(
        "`lora` on the last two layers, frozen ones without dropout, 4 seeds, `--jobs 1`",
        "last-two-4-jobs-1",
        "trainer-last-two",
        5,
        runs=4,
    ),
    "memory": Row("peak memory of a `lora` sweep, `--jobs 1`", "lora-memory", "trainer-memory", 1.2),
    "help": Row("`seedband --help` against `python -c pass`", "help", "python", 16),
    "typer": Row("a bare two-command Typer app against `python -c pass`", "typer-app", "python"),
    "help-typer": Row("`seedband --help` against the bare app", "help", "typer-app"),
    "check": Row("`seedband check --scores`, 20 seeds, against `import numpy`", "check", "numpy", 6),
    "gate": Row("`fit_band` and `judge`, 1,000 metrics × 32 seeds", "gate", goal=50),
    "decompose": Row("decompose 67 tasks × 20 seeds × 1,000 items, 0/1", "decompose", goal=500),
    "decompose-graded": Row("decompose 67 tasks × 20 seeds × 1,000 items, graded", "decompose-graded", goal=500),
}
ABLATION: Mapping[str, Row] = {name: Row(lever.what, f"without-{name}", lever.of) for name, lever in LEVERS.items()}


def selected(names: Sequence[str]) -> dict[str, Row]:
    """Rows by name, all where none is named; "ablation" means every lever."""
    known = {**ROWS, **ABLATION}
    wanted = {part for name in names for part in (ABLATION if name == "ablation" else [name])}
    if unknown := sorted(wanted - {*known}):
        raise SystemExit(f"no row {unknown[0]}; there are ablation, {', '.join(known)}")
    return {name: row for name, row in known.items() if not wanted or name in wanted}


def needed(rows: Mapping[str, Row], repeats: int) -> dict[str, int]:
    """What has to be measured for some rows, in the order of a repeat, and how often."""
    names = {name for row in rows.values() for name in (row.ours, row.today) if name}
    return {name: max(repeats, kind.min_repeats) for name, kind in MEASUREMENTS.items() if name in names}


def printed(rows: Mapping[str, Row], values: Mapping[str, Mapping[int, float]]) -> str:
    """The table of some rows, then that of levers; rows without a measurement are left out."""
    found = {name: row for name, row in rows.items() if row.figures(values)}
    compared = [
        [*_sides(row, values), _goal(row), *_spread(row, values), row.reached(row.figures(values))]
        for name, row in found.items()
        if name in ROWS
    ]
    levers = [[*_sides(row, values), *_spread(row, values)] for name, row in found.items() if name in ABLATION]
    tables = {
        ("work", "today", "ours", "goal", "min", "median", "max", "reached"): compared,
        ("lever", "with it", "without it", "min", "median", "max"): levers,
    }
    return "\n\n".join(_table(columns, lines) for columns, lines in tables.items() if lines)


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *lines))


def _sides(row: Row, values: Mapping[str, Mapping[int, float]]) -> tuple[str, str, str]:
    today = "" if row.today is None else _median(row.today, values)
    return row.work, f"{row.runs} × {today}" if row.runs else today, _median(row.ours, values)


def _goal(row: Row) -> str:
    return "" if row.goal is None else f"{'≥' if row.runs else '≤'} {row.goal:g}{_unit(row)}"


def _spread(row: Row, values: Mapping[str, Mapping[int, float]]) -> list[str]:
    figures = row.figures(values)
    told = (min(figures), statistics.median(figures), max(figures))
    return [f"{figure:.3g}{_unit(row)}" for figure in told]


def _unit(row: Row) -> str:
    return " ms" if row.today is None else "×"


def _median(name: str, values: Mapping[str, Mapping[int, float]]) -> str:
    return amount(statistics.median(values[name].values()), MEASUREMENTS[name].unit)


def amount(value: float, unit: str) -> str:
    """A value with its unit, for people."""
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    if unit == "s" and value < 1:
        value, unit = 1000 * value, "ms"
    return f"{value:.1f} {unit}"
