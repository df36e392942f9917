"""The `paired` rule: candidate and baseline trained under the same seeds are compared seed by seed."""

import math
from collections.abc import Sequence

from scipy import special

from seedband.bands.stats import limits, pair_looks, power
from seedband.bands.stats.decision import Decision


def decide_paired(
    differences: Sequence[float],
    tolerance: float,
    alpha: float,
    floor: float = 0.0,
    pairs_left: int = 0,
    first: int | None = None,
) -> Decision:
    """Judge a candidate recipe by its differences from the baseline at the same seeds.

    T = (mean(d) + tolerance) / (sd(d) / sqrt(k)), df = k - 1: a fail shows a drop beyond the tolerance, a pass shows
    that there is none (two one-sided tests). Each is at level alpha where this is the only look; where pairs are added
    until the verdict settles, at the nominal level that makes alpha the rate of all looks together.

    Args:
        differences: Candidate minus baseline, one per shared seed, shape (k,), k >= 2, higher is better.
        tolerance: Drop in score units that nobody minds, >= 0.
        alpha: Level of either test.
        floor: Smallest standard deviation of a difference that the items allow.
        pairs_left: Seeds of the baseline that the candidate has not been trained under.
        first: Pairs at the first look, of looks at every number from there to all seeds of the baseline; None where
            this is the only look, none before it and none after.

    Returns:
        The decision; its false-alarm rate is that of a candidate exactly `tolerance` worse, a better one is stopped
        more rarely. Where all differences are equal and no floor is known there is no p-value: signs are all there
        is: none below 0 passes, and others settle the matter once 2^-k <= alpha.

    References:
        Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987): two one-sided tests; `pair_looks.design` for several looks.

    Examples:
        >>> decide_paired([-0.020, -0.023, -0.019], 0.01, 0.05).status
        'fail'
        >>> decide_paired([-0.001, 0.002, 0.000], 0.01, 0.05).status
        'pass'
        >>> decide_paired([-0.02, 0.01], 0.01, 0.05, pairs_left=2).status
        'suspect'
        >>> decide_paired([0.0, 0.0], 0.0, 0.05).reason
        'all 2 differences are exactly 0'
        >>> d = [-0.020, -0.036, -0.014]  # p = .036: enough for one look at 3 pairs, not where a fourth may follow
        >>> decide_paired(d, 0.0, 0.05).status, decide_paired(d, 0.0, 0.05, pairs_left=1, first=3).status
        ('fail', 'suspect')
    """
    k = len(differences)
    level, reach, looks = _looks(k, k + pairs_left, first, alpha)
    sd = max(limits.sample_sd(differences), floor)
    drop = tolerance + reach * sd if sd > 0 else None
    common = Decision("pass", "", alpha, detectable_drop=drop)
    equal = (
        f"all {k} differences are exactly {differences[0] + 0.0:.3g}" if min(differences) == max(differences) else ""
    )
    if sd == 0 and differences[0] >= 0:
        return common._replace(reason=equal)
    prefix = f"{equal}; " if equal else ""
    worse, no_worse = _levels(differences, tolerance, sd)
    p = worse if sd > 0 else None
    if worse <= level:
        reason = f"{prefix}worse by more than the tolerance {tolerance:.3g}: p = {worse:.3g} <= {level:.3g}{looks}"
        return common._replace(status="fail", reason=reason, p_value=p)
    if no_worse <= level:
        reason = (
            f"{prefix}a drop beyond the tolerance {tolerance:.3g} is ruled out: {no_worse:.3g} <= {level:.3g}{looks}"
        )
        return common._replace(reason=reason, p_value=p)
    reason = f"{prefix}{k} pairs show neither a drop beyond the tolerance {tolerance:.3g} nor its absence{looks}"
    return common._replace(
        status="suspect",
        reason=reason,
        p_value=p,
        candidates_needed=min(1, pairs_left),
        candidates_at_most=pairs_left,
    )


def _looks(k: int, n: int, first: int | None, alpha: float) -> tuple[float, float, str]:
    """Nominal level, detectable drop in sds of the difference, and what there is to say of looks at other pairs."""
    if first is None or first >= n:
        return alpha, power.paired_detectable_drop(k, alpha), ""
    level, drop = pair_looks.design(n, first, alpha)
    return level, drop, f" (level {level:.3g} at every look from {first} to {n} pairs, {alpha:.3g} in all)"


def _levels(differences: Sequence[float], tolerance: float, sd: float) -> tuple[float, float]:
    """One-sided p-values of "no worse than the tolerance" and of "worse than the tolerance"."""
    k, margin = len(differences), limits.mean(differences) + tolerance
    if sd > 0:
        t = margin / (sd / math.sqrt(k))
        return float(special.stdtr(k - 1, t)), float(special.stdtr(k - 1, -t))
    agreed = 0.5**k
    return (agreed, 1.0) if margin < 0 else (1.0, agreed if margin > 0 else 1.0)
