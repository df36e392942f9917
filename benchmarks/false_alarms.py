"""How often do the rules stop a recipe that did not change? Attained against printed, by simulation.

    python benchmarks/false_alarms.py [--draws 100000] [--alpha .05] [--before OLD_LOOKS_JSON]

Scores are Normal. Every draw is judged by `seedband.bands.rules.decide`, the code behind every verdict, and what
is printed is what its decisions say; attained must not exceed it by more than two Monte-Carlo errors. --before names an
earlier table of levels (seedband/bands/stats/looks.json of another version), to be shown side by side.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seedband.bands import rules
from seedband.bands.stats import looks
from seedband.bands.stats.decision import Decision
from seedband.bands.stats.limits import Baseline

N_SEEDS = (4, 8, 16)
TOGETHER = (2, 3, 5)
ROOT_SEED = 20261202


class Attained(NamedTuple):
    """One line of a table.

    Attributes:
        what: What was simulated.
        n: Baseline seeds.
        k: Candidates, at most.
        stopped: Share of draws that ended in a fail.
        error: Its Monte-Carlo error.
        printed: The rate that its verdicts print, the mean over the draws.
        is_bound: Whether any of them says "at most".
    """

    what: str
    n: int
    k: int
    stopped: float
    error: float
    printed: float
    is_bound: bool

    @property
    def holds(self) -> bool:
        """Whether what is printed is not exceeded."""
        return self.stopped <= self.printed + 2 * self.error


Judge = Callable[[Baseline, list[float], float], Decision]


def at_once(rule: str) -> Judge:
    """All candidates in one look."""
    return lambda baseline, candidates, alpha: rules.decide(baseline, candidates, rule, alpha)


def carried_through(baseline: Baseline, candidates: list[float], alpha: float) -> Decision:
    """`retest`, given the next candidate while it is suspect."""
    for looked in range(1, len(candidates) + 1):
        decision = rules.decide(baseline, candidates[:looked], "retest", alpha, own_looks=looked - 1)
        if decision.status != "suspect":
            break
    return decision


def attained(what: str, n: int, k: int, judge: Judge, draws: int, alpha: float) -> Attained:
    """Judge so many baselines and candidates of one recipe; every line has its own random stream."""
    rng = np.random.default_rng([ROOT_SEED, n, k, len(what)])
    scores = rng.standard_normal((draws, n + k)).tolist()
    decisions = [judge(Baseline(tuple(row[:n])), row[n:], alpha) for row in scores]
    stopped = sum(decision.status == "fail" for decision in decisions) / draws
    printed = float(np.mean([decision.false_alarm_rate for decision in decisions]))
    bound = any(decision.rate_is_bound for decision in decisions)
    return Attained(what, n, k, stopped, (stopped * (1 - stopped) / draws) ** 0.5, printed, bound)


def given_together(draws: int, alpha: float) -> Iterator[Attained]:
    """Candidates that are given together, by `retest`."""
    for n in N_SEEDS:
        for k in TOGETHER:
            yield attained("`retest`, given together", n, k, at_once("retest"), draws, alpha)


def by_t(draws: int, alpha: float) -> Iterator[Attained]:
    """Rule `t`, which fails a collapsed candidate, too."""
    for n in N_SEEDS:
        for k in (1, *TOGETHER):
            yield attained("`t`", n, k, at_once("t"), draws, alpha)


def one_by_one(draws: int, alpha: float) -> Iterator[Attained]:
    """`retest`, look by look."""
    for n in N_SEEDS:
        yield attained("`retest`, carried through", n, looks.MAX_LOOKS, carried_through, draws, alpha)


#: Every block is a function that yields lines; another rule is another function here.
BLOCKS = (one_by_one, given_together, by_t)


def rows(lines: Sequence[Attained]) -> Iterator[str]:
    yield "| rule | n | k | attained | Monte-Carlo error | printed | holds |\n|---|---|---|---|---|---|---|"
    for line in lines:
        most = "at most " if line.is_bound else ""
        cells = (
            *(line.what, str(line.n), str(line.k), f"{line.stopped:.4f}", f"{line.error:.4f}"),
            *(f"{most}{line.printed:.4f}", "yes" if line.holds else "**no**"),
        )
        yield f"| {' | '.join(cells)} |"


def levels(alpha: float, before: Path | None) -> Iterator[str]:
    """The level of look 3, that of an earlier table beside it."""
    sizes = (2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 16, 20, 30)
    yield f"| n | {' | '.join(map(str, sizes))} |\n|---{'|---' * len(sizes)}|"

    def row(name: str, values: Iterator[float]) -> str:
        return f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |"

    if before is not None:
        table = json.loads(before.read_text(encoding="utf-8"))
        at = table["alphas"].index(alpha)
        yield row("L before", (table["n"][str(n)]["level"][at] for n in sizes))
    yield row("L", (looks.design(n, alpha).level for n in sizes))
    for k in TOGETHER:
        yield row(f"L_up, k = {k}", (looks.together(n, k, alpha).level for n in sizes))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--before", type=Path, help="an earlier seedband/bands/stats/looks.json")
    args = parser.parse_args()
    lines = [line for block in BLOCKS for line in block(args.draws, args.alpha)]
    print("\n".join([*rows(lines), "", *levels(args.alpha, args.before)]))
    print(f"\nMade by `python benchmarks/false_alarms.py --draws {args.draws} --alpha {args.alpha}`.")
    return 0 if all(line.holds for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
