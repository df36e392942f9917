"""Rule `retest`: a candidate below the band is suspect and looked at again, up to three times, before it fails."""

from collections.abc import Sequence

from seedband.bands.rules import Rule
from seedband.bands.stats import looks
from seedband.bands.stats.decision import (
    Decision,
    Status,
    at_most,
    collapsed,
    compared,
    in_units,
    one_look,
    screen,
    without_scale,
)
from seedband.bands.stats.limits import Baseline


class Retest(Rule):
    """Look after look, one candidate seed more each; candidates that are given together are one look."""

    name = "retest"
    looks_again = True

    def decide(self, baseline: Baseline, scores: Sequence[float], alpha: float, looks: int = 0) -> Decision:
        """Screen by rank, then test, at levels by which the whole keeps to alpha."""
        if baseline.sd == 0:
            return without_scale(baseline, scores, alpha, screens=True)
        alone = looks or len(scores) == 1
        decision = _look_by_look(baseline, scores, alpha, looks) if alone else _together(baseline, scores, alpha)
        return decision.bounded(baseline)


def _together(baseline: Baseline, y: Sequence[float], alpha: float) -> Decision:
    """One look of `retest` at candidates that are given together."""
    k = len(y)
    design = looks.together(baseline.n, k, alpha, baseline.prior.df)
    common = Decision(
        "pass",
        "",
        design.rate.value,
        rate_is_bound=design.rate.is_bound,
        detectable_drop=in_units(baseline, design.detectable_drop),
    )
    decision = one_look(baseline, y, alpha, design.level, common)
    return decision._replace(reason=f"one look at {k} candidates: {decision.reason}")


def _look_by_look(baseline: Baseline, y: Sequence[float], alpha: float, own_looks: int) -> Decision:
    """Look after look, one candidate more each, until one settles it.

    More than three candidates have no look each: behind those on record, the others are one look at all.
    """
    n, k, prior_df = baseline.n, len(y), baseline.prior.df
    design = looks.design(n, alpha, prior_df)
    drop = in_units(baseline, design.detectable_drop)
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
        return collapsed(baseline, y, alpha, further) or told
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
    if (found := collapsed(baseline, y, alpha, common)) is not None:
        return found
    if looked == 1:
        return _first_look(baseline, y[0], common)
    p = baseline.p_value(y)
    if looked == looks.MAX_LOOKS:
        level = looks.design(baseline.n, alpha, baseline.prior.df).level
        status: Status = "fail" if at_most(p, level) else "pass"
        return common._replace(status=status, reason=f"look 3: p {compared(p, level)}")
    strict = alpha * looks.COLLAPSE_SHARE
    message = f"look 2: p {compared(p, strict)}"
    if p is None or strict < p < looks.PASS_AT_LOOK_2:
        return _unsettled(common, looked)._replace(reason=f"{message} settles nothing yet")
    if at_most(p, strict):
        return common._replace(status="fail", reason=message)
    return common._replace(reason=f"look 2: p {compared(p, looks.PASS_AT_LOOK_2)}")


def _first_look(baseline: Baseline, score: float, common: Decision) -> Decision:
    edge = screen(baseline)
    if score >= edge:
        return common._replace(reason="inside the band, or better", limit=edge)
    return _unsettled(common, 1)._replace(reason="below the band", limit=edge)


def _unsettled(common: Decision, looked: int) -> Decision:
    return common._replace(status="suspect", candidates_needed=1, candidates_at_most=looks.MAX_LOOKS - looked)
