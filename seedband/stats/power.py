"""What a rule can see: its power against a drop, and the drop it catches with 80 % power."""

import math
from functools import lru_cache

import numpy as np
from scipy import special

#: The power at which every verdict states its detectable drop.
POWER = 0.8
#: To how much a drop is found, in seed standard deviations.
PRECISION = 1e-6


@lru_cache(maxsize=4096)
def t_detectable_drop(n: int, k: int, alpha: float, power: float = POWER) -> float:
    """Drop, in seed standard deviations, that one look at k candidates fails with probability `power`.

    The pooled t has a noncentral t distribution under a shift; its noncentrality is
    drop / sqrt(1/n + 1/k).

    Args:
        n: Baseline seeds, n >= 2.
        k: Candidate seeds, k >= 1.
        alpha: Level of the test in (0, 1).
        power: Probability of failing a candidate that dropped, in (alpha, 1).

    References:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 31.

    Examples:
        >>> [round(t_detectable_drop(4, k, 0.05), 2) for k in (1, 2, 3, 5)]
        [3.69, 2.63, 2.22, 1.86]
        >>> [round(t_detectable_drop(n, 1, 0.05), 2) for n in (3, 5, 8, 10, 20)]
        [4.59, 3.33, 2.93, 2.83, 2.64]
    """
    df = n + k - 2
    critical = -float(special.stdtrit(df, alpha))
    noncentrality = float(special.nctdtrinc(df, 1 - power, critical))
    return noncentrality * math.sqrt(1 / n + 1 / k)


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
