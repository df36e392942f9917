"""The rules that judge candidates: `retest`, `t` and `range`. docs/explanation/statistics.md states them in words.

Scores come oriented so that higher is better. Rule `paired`, which compares seed by seed, stands in paired.py.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from seedband.bands.stats import limits, looks, power
from seedband.bands.stats.limits import Baseline

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


def decide(baseline: Baseline, candidates: Sequence[float], rule: Rule, alpha: float, own_looks: int = 0) -> Decision:
    """Judge the candidate seeds of one recipe by `retest`, `t` or `range`.

    Args:
        baseline: What they are judged by.
        candidates: One score per candidate seed in the order trained, shape (k,), k >= 1.
        rule: Which rule.
        alpha: Its level.
        own_looks: For `retest`, so many of the first candidates were looked at before the others were there; then it
            goes on from there, one candidate a look. Without, all of them are one look.

    Examples:
        >>> baseline = Baseline((0.871, 0.884, 0.879, 0.892))
        >>> decide(baseline, [0.869], "retest", 0.05).status, decide(baseline, [0.869], "t", 0.05).status
        ('suspect', 'pass')
        >>> decide(baseline, [0.869, 0.868], "retest", 0.05, own_looks=1).reason
        'look 2: p = 0.0604 > 0.005 settles nothing yet'
        >>> decide(baseline, [0.869, 0.868], "retest", 0.05).reason
        'one look at 2 candidates: p = 0.0604 > 0.0452'
    """
    if rule == "range":
        return _by_range(baseline, candidates)
    if baseline.sd == 0:
        return _without_scale(baseline, candidates, rule, alpha)
    if rule == "t":
        decision = _by_t(baseline, candidates, alpha)
    elif own_looks or len(candidates) == 1:
        decision = _look_by_look(baseline, candidates, alpha, own_looks)
    else:
        decision = _together(baseline, candidates, alpha)
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
        p_value=baseline.p_value(y) if baseline.sd > 0 else None,
        limit=lowest,
    )


def _by_t(baseline: Baseline, y: Sequence[float], alpha: float) -> Decision:
    k, prior_df = len(y), baseline.prior.df
    rate = looks.t_false_alarm_rate(baseline.n, k, alpha, prior_df)
    common = Decision(
        "pass",
        "",
        rate.value,
        rate_is_bound=rate.is_bound,
        detectable_drop=_in_units(baseline, power.t_detectable_drop(baseline.n, k, alpha, prior_df=prior_df)),
    )
    decision = _one_look(baseline, y, alpha, alpha, common)
    return decision._replace(limit=baseline.limit(alpha)) if k == 1 else decision


def _together(baseline: Baseline, y: Sequence[float], alpha: float) -> Decision:
    """One look of `retest` at candidates that are given together."""
    k = len(y)
    design = looks.together(baseline.n, k, alpha, baseline.prior.df)
    common = Decision(
        "pass",
        "",
        design.rate.value,
        rate_is_bound=design.rate.is_bound,
        detectable_drop=_in_units(baseline, design.detectable_drop),
    )
    decision = _one_look(baseline, y, alpha, design.level, common)
    return decision._replace(reason=f"one look at {k} candidates: {decision.reason}")


def _one_look(baseline: Baseline, y: Sequence[float], alpha: float, level: float, common: Decision) -> Decision:
    """Fail all candidates by their p at a level, or a single one that collapsed."""
    common = common._replace(p_value=baseline.p_value(y))
    if _at_most(common.p_value, level):
        return common._replace(status="fail", reason=f"p {_compared(common.p_value, level)}")
    return _collapsed(baseline, y, alpha, common) or common._replace(reason=f"p {_compared(common.p_value, level)}")


def _collapsed(baseline: Baseline, y: Sequence[float], alpha: float, common: Decision) -> Decision | None:
    """The fail by a single candidate that collapsed, where there is one."""
    limit = collapse_limit(baseline, alpha)
    first = next((j for j, score in enumerate(y, 1) if score <= limit), None)
    reason = f"candidate {first} of {len(y)} collapsed"
    return None if first is None else common._replace(status="fail", reason=reason, limit=limit)


def _look_by_look(baseline: Baseline, y: Sequence[float], alpha: float, own_looks: int) -> Decision:
    """Look after look, one candidate more each, until one settles it.

    More than three candidates have no look each: behind those on record, the others are one look at all.
    """
    n, k, prior_df = baseline.n, len(y), baseline.prior.df
    design = looks.design(n, alpha, prior_df)
    drop = _in_units(baseline, design.detectable_drop)
    common = Decision("pass", "", design.false_alarm_rate, looks.screen_rate(n), drop, baseline.p_value(y))
    looked, decision = 0, common
    for looked in range(1, min(k if k <= looks.MAX_LOOKS else own_looks, looks.MAX_LOOKS) + 1):
        decision = _look(baseline, y[:looked], alpha, common)
        if decision.status != "suspect":
            break
    if looked == k or decision.status == "fail":
        return decision
    rate = _rate_of_more(n, k, alpha, prior_df, own_looks)
    further = common._replace(screen_rate=0.0, false_alarm_rate=rate, rate_is_bound=True)
    if decision.status == "pass":
        # Those behind it were trained for another metric, or for nothing; that they collapsed is not passed over.
        told = further._replace(reason=f"look {looked} had settled it: {decision.reason}", limit=decision.limit)
        return _collapsed(baseline, y, alpha, further) or told
    together = _together(baseline, y, alpha)
    return together._replace(false_alarm_rate=rate, rate_is_bound=True)


def _rate_of_more(n: int, k: int, alpha: float, prior_df: float, own_looks: int) -> float:
    """A bound on the rate where candidates are given behind looks on record that need not have asked for them.

    Up to three are judged look by look, and those behind the look that settled it may collapse; more are one look at
    all, and before that look 2 may have failed.
    """
    if k <= looks.MAX_LOOKS:
        return looks.design(n, alpha, prior_df).false_alarm_rate + looks.collapse_rate(n, k, alpha, prior_df)
    together = looks.together(n, k, alpha, prior_df).rate.value
    if own_looks == 1:
        return together
    strict = max(alpha * looks.COLLAPSE_SHARE, looks.MIN_ALPHA)
    return min(1.0, together + looks.t_false_alarm_rate(n, 2, strict, prior_df).value)


def _look(baseline: Baseline, y: Sequence[float], alpha: float, common: Decision) -> Decision:
    """Look 1, 2 or 3 at as many candidates, given that the looks before it were suspect."""
    looked = len(y)
    if (collapsed := _collapsed(baseline, y, alpha, common)) is not None:
        return collapsed
    if looked == 1:
        return _first_look(baseline, y[0], common)
    p = baseline.p_value(y)
    if looked == looks.MAX_LOOKS:
        level = looks.design(baseline.n, alpha, baseline.prior.df).level
        status: Status = "fail" if _at_most(p, level) else "pass"
        return common._replace(status=status, reason=f"look 3: p {_compared(p, level)}")
    strict = alpha * looks.COLLAPSE_SHARE
    told = f"look 2: p {_compared(p, strict)}"
    if p is None or strict < p < looks.PASS_AT_LOOK_2:
        return _unsettled(common, looked)._replace(reason=f"{told} settles nothing yet")
    if _at_most(p, strict):
        return common._replace(status="fail", reason=told)
    return common._replace(reason=f"look 2: p {_compared(p, looks.PASS_AT_LOOK_2)}")


def _first_look(baseline: Baseline, score: float, common: Decision) -> Decision:
    edge = screen(baseline)
    if score >= edge:
        return common._replace(reason="inside the band, or better", limit=edge)
    return _unsettled(common, 1)._replace(reason="below the band", limit=edge)


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
