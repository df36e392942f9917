"""What a rule can see: the drop it catches with a given power, and how surely the scale of that drop is known."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

#: The power at which every verdict states its detectable drop.
POWER = 0.8
#: To how much a drop is found, in seed standard deviations.
PRECISION = 1e-6


class Interval(NamedTuple):
    """Factors of an estimated standard deviation between which the true one lies."""

    low: float
    high: float


@lru_cache(maxsize=4096)
def t_detectable_drop(n: int, k: int, alpha: float, power: float = POWER, prior_df: float = 0.0) -> float:
    """Drop, in seed standard deviations, that one look at k candidates fails with probability `power`.

    The pooled t has a noncentral t distribution under a shift, df = n + k - 2 + prior_df; its noncentrality is
    drop / sqrt(1/n + 1/k).

    Args:
        n: Baseline seeds, n >= 2.
        k: Candidate seeds, k >= 1.
        alpha: Level of the test in (0, 1).
        power: Probability of failing a candidate that dropped, in (alpha, 1).
        prior_df: Degrees of freedom >= 0 that history adds to the pooled variance.

    References:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 31.

    Examples:
        >>> [round(t_detectable_drop(4, k, 0.05), 2) for k in (1, 2, 3, 5)]
        [3.69, 2.63, 2.22, 1.86]
        >>> [round(t_detectable_drop(n, 1, 0.05), 2) for n in (3, 5, 8, 10, 20)]
        [4.59, 3.33, 2.93, 2.83, 2.64]
        >>> round(t_detectable_drop(4, 1, 0.05, prior_df=8.0), 2)
        2.97
    """
    return _noncentrality(n + k - 2 + prior_df, alpha, power) * math.sqrt(1 / n + 1 / k)


@lru_cache(maxsize=4096)
def paired_detectable_drop(k: int, alpha: float, power: float = POWER) -> float:
    """Drop, in standard deviations of the paired difference, that k pairs show with probability `power`.

    The one-sample t of the differences has a noncentral t distribution under a shift, df = k - 1; its noncentrality
    is drop * sqrt(k). Where a tolerance is allowed, the drop is what lies beyond it.

    Args:
        k: Pairs, k >= 2.
        alpha: Level of the test in (0, 1).
        power: Probability of failing a candidate that dropped, in (alpha, 1).

    References:
        Johnson, Kotz and Balakrishnan (1995), as in `t_detectable_drop`.

    Examples:
        >>> [round(paired_detectable_drop(k, 0.05), 2) for k in (2, 3, 4, 5, 8)]
        [5.79, 2.3, 1.65, 1.36, 0.98]
    """
    return _noncentrality(k - 1, alpha, power) / math.sqrt(k)


@lru_cache(maxsize=4096)
def range_detectable_drop(n: int, k: int, power: float = POWER) -> float:
    """Drop, in seed standard deviations, at which all k candidates fall below all n baseline seeds.

    For Normal scores, by quadrature over the lowest baseline score and bisection over the drop.

    Examples:
        >>> round(range_detectable_drop(4, 1), 2)
        2.05
        >>> range_detectable_drop(4, 3) > range_detectable_drop(4, 1)
        True
    """
    lowest = np.linspace(-9.0, 9.0, 2001)
    density = n * np.exp(-(lowest**2) / 2) / math.sqrt(2 * math.pi) * special.ndtr(-lowest) ** (n - 1)
    low, high = 0.0, 40.0
    while high - low > PRECISION:
        drop = (low + high) / 2
        caught = float(np.trapezoid(density * special.ndtr(lowest + drop) ** k, lowest))
        low, high = (drop, high) if caught < power else (low, drop)
    return high


def sd_interval(n: int, level: float = 0.9, prior_df: float = 0.0) -> Interval:
    """Factors between which the true standard deviation lies, as multiples of the estimated one.

    Args:
        n: Seeds that it was estimated from, n >= 2.
        level: Coverage of the two-sided interval, in (0, 1).
        prior_df: Degrees of freedom >= 0 that history adds to those n - 1.

    References:
        Hahn and Meeker, Statistical Intervals (1991), chapter 4: interval for a Normal standard deviation.

    Examples:
        >>> [round(factor, 2) for factor in sd_interval(4)]
        [0.62, 2.92]
    """
    df, tail = n - 1 + prior_df, (1 - level) / 2
    return Interval(*(math.sqrt(df / float(special.chdtri(df, p))) for p in (tail, 1 - tail)))


def _noncentrality(df: float, alpha: float, power: float) -> float:
    """Noncentrality at which t with df degrees of freedom exceeds its upper alpha quantile with probability power."""
    critical = -float(special.stdtrit(df, alpha))
    return float(special.nctdtrinc(df, 1 - power, critical))
