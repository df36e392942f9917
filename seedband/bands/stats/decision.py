"""Decisions: what a rule says of candidates, and the parts that rules share.

Scores come oriented so that higher is better.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from seedband.bands.stats import limits, looks
from seedband.bands.stats.limits import Baseline

Status = Literal["pass", "fail", "suspect"]


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

    def bounded(self, baseline: Baseline) -> "Decision":
        """The decision where the baseline has a floor, which can only make a rule stop less: its rate is a bound."""
        return self._replace(rate_is_bound=self.rate_is_bound or baseline.floor > 0)


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


def one_look(baseline: Baseline, y: Sequence[float], alpha: float, level: float, common: Decision) -> Decision:
    """Fail all candidates by their p at a level, or a single one that collapsed."""
    common = common._replace(p_value=baseline.p_value(y))
    if at_most(common.p_value, level):
        return common._replace(status="fail", reason=f"p {compared(common.p_value, level)}")
    return collapsed(baseline, y, alpha, common) or common._replace(reason=f"p {compared(common.p_value, level)}")


def collapsed(baseline: Baseline, y: Sequence[float], alpha: float, common: Decision) -> Decision | None:
    """The fail by a single candidate that collapsed, where there is one."""
    limit = collapse_limit(baseline, alpha)
    first = next((j for j, score in enumerate(y, 1) if score <= limit), None)
    reason = f"candidate {first} of {len(y)} collapsed"
    return None if first is None else common._replace(status="fail", reason=reason, limit=limit)


def without_scale(baseline: Baseline, y: Sequence[float], alpha: float, *, screens: bool) -> Decision:
    """All baseline seeds agree, and no items say what that is worth: ranks are all there is.

    Candidates settle it once so many lie below the band that chance would put them there in alpha of cases; the
    spread among the candidates themselves is no scale, for the baseline's says that they differ.

    Args:
        baseline: Its spread is zero.
        y: The candidates' scores.
        alpha: The level.
        screens: Whether candidates that lie below the band are looked at again.
    """
    n, k, edge = baseline.n, len(y), screen(baseline)
    last = next(k for k in range(1, 10_000) if limits.all_below_rate(n, k) <= alpha)
    rate = limits.all_below_rate(n, max(k, last))
    screened = looks.screen_rate(n) if screens and k < last else 0.0
    common = Decision("pass", "", rate, screened, limit=edge)
    if max(y) >= edge:
        return common._replace(reason="inside the band; its spread is zero, which is no proof of zero noise")
    if k >= last:
        return common._replace(status="fail", reason=f"all of {k} below a band of zero spread: chance {rate:.3g}")
    reason = "below a band of zero spread: no scale to judge the drop by"
    return common._replace(status="suspect", reason=reason, candidates_needed=1, candidates_at_most=last - k)


def in_units(baseline: Baseline, drop_sd: float) -> float | None:
    """A drop in score units; None where there is no scale."""
    return drop_sd * baseline.sd if baseline.sd > 0 else None


def at_most(p: float | None, level: float) -> bool:
    """Check whether a p-value is known and no larger than a level."""
    return p is not None and p <= level


def compared(p: float | None, level: float) -> str:
    """A p-value beside its level, in words."""
    return f"unknown, level {level:.3g}" if p is None else f"= {p:.3g} {'<=' if p <= level else '>'} {level:.3g}"
