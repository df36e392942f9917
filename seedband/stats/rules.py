"""The rules that judge candidates: `retest`, `t` and `range`. docs/explanation/statistics.md states them in words.

Scores come oriented so that higher is better. Rule `paired`, which compares seed by seed, stands in paired.py.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from seedband.stats import limits, looks, power
from seedband.stats.limits import Baseline

Status = Literal["pass", "fail", "suspect"]
Rule = Literal["retest", "t", "range", "paired"]
RULES: tuple[Rule, ...] = ("retest", "t", "range", "paired")


class Decision(NamedTuple):
    """What a rule says; the fields are those of `band.MetricVerdict`."""

    status: Status
    reason: str
    false_alarm_rate: float
    screen_rate: float = 0.0
    detectable_drop: float | None = None
    p_value: float | None = None
    limit: float | None = None
    candidates_needed: int = 0
    candidates_at_most: int = 0
    rate_is_bound: bool = False


def decide(baseline: Baseline, candidates: Sequence[float], rule: Rule, alpha: float) -> Decision:
    """Judge the candidate seeds of one recipe by `retest`, `t` or `range`.

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
    if baseline.sd == 0:
        return _without_scale(baseline, candidates, rule, alpha)
    decision = _by_t(baseline, candidates, alpha) if rule == "t" else _by_retest(baseline, candidates, alpha)
    # A floor can only make a rule stop less: the rate that holds without one is then a bound.
    return decision._replace(rate_is_bound=decision.rate_is_bound or baseline.floor > 0)


def screen(baseline: Baseline) -> float:
    """Score below which a first candidate is suspect: the lower edge of the band.

    Examples:
        >>> screen(Baseline((0.871, 0.884, 0.879, 0.892)))
        0.871
    """
    return sorted(baseline.scores)[looks.screen_rank(baseline.n) - 1]


def collapse_limit(baseline: Baseline, alpha: float) -> float:
    """Score at which a single candidate has collapsed: it fails at any look.

    Examples:
        >>> round(collapse_limit(Baseline((0.871, 0.884, 0.879, 0.892)), 0.05), 4)
        0.8239
    """
    return baseline.limit(alpha * looks.COLLAPSE_SHARE)


def _by_range(baseline: Baseline, y: Sequence[float]) -> Decision:
    k, lowest = len(y), min(baseline.scores)
    below = max(y) < lowest
    return Decision(
        "fail" if below else "pass",
        f"{'all' if below else 'not all'} of {k} below every baseline seed",
        limits.all_below_rate(baseline.n, k),
        detectable_drop=_in_units(baseline, power.range_detectable_drop(baseline.n, k)),
        p_value=baseline.p_value(y),
        limit=lowest,
    )


def _by_t(baseline: Baseline, y: Sequence[float], alpha: float) -> Decision:
    p, k = baseline.p_value(y), len(y)
    return Decision(
        "fail" if _at_most(p, alpha) else "pass",
        f"p {_compared(p, alpha)}",
        alpha,
        detectable_drop=_in_units(baseline, power.t_detectable_drop(baseline.n, k, alpha, prior_df=baseline.prior.df)),
        p_value=p,
        limit=baseline.limit(alpha) if k == 1 else None,
    )


def _by_retest(baseline: Baseline, y: Sequence[float], alpha: float) -> Decision:
    n, k, p = baseline.n, len(y), baseline.p_value(y)
    design = looks.design(n, alpha, baseline.prior.df)
    drop = _in_units(baseline, design.detectable_drop)
    common = Decision("pass", "", design.false_alarm_rate, looks.screen_rate(n), drop, p)
    collapse = collapse_limit(baseline, alpha)
    if min(y) <= collapse:
        first = next(j for j, score in enumerate(y, 1) if score <= collapse)
        told = common._replace(status="fail", reason=f"candidate {first} of {k} collapsed", limit=collapse)
        if k <= looks.MAX_LOOKS:
            return told
        rate = looks.upfront_false_alarm_rate(n, k, alpha, baseline.prior.df)
        return told._replace(false_alarm_rate=rate.value, rate_is_bound=rate.is_bound)
    looked, decision = _first_settled_look(baseline, y, alpha, common)
    if looked == k or decision.status == "fail":
        return decision._replace(p_value=p)
    level = min(alpha, design.level) if k == looks.MAX_LOOKS else alpha
    rate = looks.upfront_false_alarm_rate(n, k, alpha, baseline.prior.df)
    return common._replace(
        status="fail" if _at_most(p, level) else "pass",
        reason=f"one look at {k} candidates: p {_compared(p, level)}",
        screen_rate=0.0,
        false_alarm_rate=rate.value,
        rate_is_bound=rate.is_bound,
        detectable_drop=_in_units(baseline, power.t_detectable_drop(n, k, level, prior_df=baseline.prior.df)),
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
    looked = len(y)
    if looked == 1:
        edge = screen(baseline)
        if y[0] >= edge:
            return common._replace(reason="inside the band, or better", limit=edge)
        return _unsettled(common, looked)._replace(reason="below the band", limit=edge)
    p = baseline.p_value(y)
    if looked == looks.MAX_LOOKS:
        level = looks.design(baseline.n, alpha, baseline.prior.df).level
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
    """All baseline seeds agree, and no items say what that is worth: ranks are all there is.

    Candidates settle it once so many lie below the band that chance would put them there in alpha of cases; the
    spread among the candidates themselves is no scale, for the baseline's says that they differ.
    """
    n, k, edge = baseline.n, len(y), screen(baseline)
    last = next(k for k in range(1, 10_000) if limits.all_below_rate(n, k) <= alpha)
    rate = limits.all_below_rate(n, max(k, last))
    screened = looks.screen_rate(n) if rule == "retest" and k < last else 0.0
    common = Decision("pass", "", rate, screened, limit=edge)
    if max(y) >= edge:
        return common._replace(reason="inside the band; its spread is zero, which is no proof of zero noise")
    if k >= last:
        return common._replace(status="fail", reason=f"all of {k} below a band of zero spread: chance {rate:.3g}")
    reason = "below a band of zero spread: no scale to judge the drop by"
    return common._replace(status="suspect", reason=reason, candidates_needed=1, candidates_at_most=last - k)


def _in_units(baseline: Baseline, drop_sd: float) -> float | None:
    """A drop in score units; None where there is no scale."""
    return drop_sd * baseline.sd if baseline.sd > 0 else None


def _at_most(p: float | None, level: float) -> bool:
    return p is not None and p <= level


def _compared(p: float | None, level: float) -> str:
    return f"unknown, level {level:.3g}" if p is None else f"= {p:.3g} {'<=' if p <= level else '>'} {level:.3g}"
