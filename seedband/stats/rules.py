"""The rules that judge candidates: `retest`, `t` and `range`. docs/explanation/statistics.md states them in words.

Scores come oriented so that higher is better; drops leave in seed standard deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from seedband.stats import limits, looks, power

Status = Literal["pass", "fail", "suspect"]
Rule = Literal["retest", "t", "range"]
RULES: tuple[Rule, ...] = ("retest", "t", "range")


@dataclass(frozen=True)
class Baseline:
    """The scores that candidates are judged by.

    Attributes:
        scores: One per healthy seed, shape (n,), n >= 2, higher is better.
        floor: Smallest standard deviation that the items allow, in score units.
    """

    scores: tuple[float, ...]
    floor: float = 0.0

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.scores)

    @cached_property
    def screen(self) -> float:
        """Score below which a first candidate is suspect."""
        return sorted(self.scores)[looks.screen_rank(self.n) - 1]

    def collapse_limit(self, alpha: float) -> float:
        """Score at which a single candidate has collapsed."""
        return limits.prediction_limit(self.scores, alpha * looks.COLLAPSE_SHARE, self.floor)

    def p_value(self, y: Sequence[float]) -> float | None:
        """One-sided p-value of candidates by the pooled t; None without a scale."""
        return limits.p_value(self.scores, y, self.floor)


class Decision(NamedTuple):
    """What a rule says; the fields are those of `band.MetricVerdict`, `drop_sd` in seed standard deviations."""

    status: Status
    reason: str
    false_alarm_rate: float
    screen_rate: float = 0.0
    drop_sd: float | None = None
    p_value: float | None = None
    limit: float | None = None
    candidates_needed: int = 0
    candidates_at_most: int = 0


def decide(baseline: Baseline, candidates: Sequence[float], rule: Rule, alpha: float) -> Decision:
    """Judge the candidate seeds of one recipe.

    Args:
        baseline: What they are judged by.
        candidates: One score per candidate seed in the order trained, shape (k,), k >= 1.
        rule: Which rule.
        alpha: Its level.

    Examples:
        >>> baseline = Baseline((0.871, 0.884, 0.879, 0.892))
        >>> decide(baseline, [0.869], "retest", 0.05).status, decide(baseline, [0.869], "t", 0.05).status
        ('suspect', 'pass')
        >>> decide(baseline, [0.869, 0.868, 0.866], "retest", 0.05).status
        'fail'
    """
    if rule == "range":
        return _by_range(baseline, candidates)
    if baseline.p_value(candidates) is None:
        return _without_scale(baseline, candidates, rule, alpha)
    return _by_t(baseline, candidates, alpha) if rule == "t" else _by_retest(baseline, candidates, alpha)


def _by_range(baseline: Baseline, y: Sequence[float]) -> Decision:
    k, lowest = len(y), min(baseline.scores)
    below = max(y) < lowest
    return Decision(
        "fail" if below else "pass",
        f"{'all' if below else 'not all'} of {k} below every baseline seed",
        limits.all_below_rate(baseline.n, k),
        drop_sd=power.range_detectable_drop(baseline.n, k),
        p_value=baseline.p_value(y),
        limit=lowest,
    )


def _by_t(baseline: Baseline, y: Sequence[float], alpha: float) -> Decision:
    p = baseline.p_value(y)
    return Decision(
        "fail" if _at_most(p, alpha) else "pass",
        f"p {_compared(p, alpha)}",
        alpha,
        drop_sd=power.t_detectable_drop(baseline.n, len(y), alpha),
        p_value=p,
        limit=limits.prediction_limit(baseline.scores, alpha, baseline.floor) if len(y) == 1 else None,
    )


def _by_retest(baseline: Baseline, y: Sequence[float], alpha: float) -> Decision:
    n, k, design, p = baseline.n, len(y), looks.design(baseline.n, alpha), baseline.p_value(y)
    common = Decision("pass", "", design.false_alarm_rate, looks.screen_rate(n), design.detectable_drop, p_value=p)
    collapse = baseline.collapse_limit(alpha)
    collapsed = [j for j, score in enumerate(y, 1) if score <= collapse and baseline.p_value([score]) is not None]
    if collapsed:
        return common._replace(status="fail", reason=f"candidate {collapsed[0]} of {k} collapsed", limit=collapse)
    looked, decision = _first_settled_look(baseline, y, alpha, common)
    if looked == k or decision.status == "fail":
        return decision._replace(p_value=p)
    level = min(alpha, design.level) if k == looks.MAX_LOOKS else alpha
    return common._replace(
        status="fail" if _at_most(p, level) else "pass",
        reason=f"one look at {k} candidates: p {_compared(p, level)}",
        screen_rate=0.0,
        false_alarm_rate=looks.upfront_false_alarm_rate(n, k, alpha),
        drop_sd=power.t_detectable_drop(n, k, level),
    )


def _first_settled_look(baseline: Baseline, y: Sequence[float], alpha: float, common: Decision) -> tuple[int, Decision]:
    """Take look after look while they are suspect; more than three candidates have had no earlier look."""
    looked, decision = 0, common
    for looked in range(1, len(y) + 1 if len(y) <= looks.MAX_LOOKS else 1):
        decision = _look(baseline, y[:looked], alpha, common)
        if decision.status != "suspect":
            break
    return looked, decision


def _look(baseline: Baseline, y: Sequence[float], alpha: float, common: Decision) -> Decision:
    """Look 1, 2 or 3 at as many candidates, given that the looks before it were suspect."""
    p, looked = baseline.p_value(y), len(y)
    if looked == 1 and y[0] >= baseline.screen:
        return common._replace(reason="inside the band, or better", limit=baseline.screen)
    if looked == 1:
        return _unsettled(common, looked)._replace(reason="below the band", limit=baseline.screen)
    if looked == looks.MAX_LOOKS:
        level = looks.design(baseline.n, alpha).level
        return common._replace(
            status="fail" if _at_most(p, level) else "pass", reason=f"look 3: p {_compared(p, level)}"
        )
    strict = alpha * looks.COLLAPSE_SHARE
    if _at_most(p, strict):
        return common._replace(status="fail", reason=f"look 2: p {_compared(p, strict)}")
    if p is None or p < looks.PASS_AT_LOOK_2:
        return _unsettled(common, looked)._replace(reason=f"look 2: p {_compared(p, strict)} settles nothing yet")
    return common._replace(reason=f"look 2: p {_compared(p, looks.PASS_AT_LOOK_2)}")


def _unsettled(common: Decision, looked: int) -> Decision:
    return common._replace(status="suspect", candidates_needed=1, candidates_at_most=looks.MAX_LOOKS - looked)


def _without_scale(baseline: Baseline, y: Sequence[float], rule: Rule, alpha: float) -> Decision:
    """All baseline seeds agree, all candidates agree, and no items say what that is worth: ranks are all there is."""
    n, k = baseline.n, len(y)
    rate = limits.all_below_rate(n, k)
    screened = looks.screen_rate(n) if rule == "retest" else 0.0
    common = Decision("pass", "", rate, screened, limit=baseline.screen)
    if y[0] >= baseline.screen:
        return common._replace(reason="inside the band; its spread is zero, which is no proof of zero noise")
    if rate <= alpha:
        return common._replace(status="fail", reason=f"all of {k} below a band of zero spread: chance {rate:.3g}")
    more = next(more for more in range(1, 10_000) if limits.all_below_rate(n, k + more) <= alpha)
    reason = "below a band of zero spread: no scale to judge the drop by"
    return common._replace(status="suspect", reason=reason, candidates_needed=1, candidates_at_most=more)


def _at_most(p: float | None, level: float) -> bool:
    return p is not None and p <= level


def _compared(p: float | None, level: float) -> str:
    return f"unknown, level {level:.3g}" if p is None else f"= {p:.3g} {'<=' if p <= level else '>'} {level:.3g}"
