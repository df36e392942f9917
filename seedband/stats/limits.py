"""Prediction limits: where would one further seed, or the mean of k further seeds, still be ordinary?"""

import math
from collections.abc import Sequence
from functools import lru_cache

from scipy import special


def mean(scores: Sequence[float]) -> float:
    """Arithmetic mean, summed without rounding error, so that the order of seeds is irrelevant.

    Examples:
        >>> mean([0.871, 0.884, 0.879, 0.892])
        0.8815
    """
    return math.fsum(scores) / len(scores)


def squared_deviations(scores: Sequence[float]) -> float:
    """Sum of squared deviations from the mean, shape (n,) -> scalar, 0 for equal scores.

    Examples:
        >>> squared_deviations([1.0, 1.0])
        0.0
        >>> squared_deviations([1.0, 3.0])
        2.0
    """
    if min(scores) == max(scores):
        return 0.0
    centre = mean(scores)
    return math.fsum((score - centre) ** 2 for score in scores)


def sample_sd(scores: Sequence[float]) -> float:
    """Standard deviation with n - 1 in the denominator, n >= 2.

    Examples:
        >>> round(sample_sd([0.871, 0.884, 0.879, 0.892]), 6)
        0.008813
    """
    return math.sqrt(squared_deviations(scores) / (len(scores) - 1))


def lower_median(scores: Sequence[float]) -> float:
    """The middle score, for even n the lower of the two: always the score of a real run.

    Examples:
        >>> lower_median([0.871, 0.884, 0.879, 0.892])
        0.879
    """
    return sorted(scores)[(len(scores) - 1) // 2]


def plain_median(scores: Sequence[float]) -> float:
    """The median; for even n halfway between the two middle scores.

    Examples:
        >>> plain_median([0.871, 0.884, 0.879, 0.892])
        0.8815
    """
    ordered = sorted(scores)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def floored(sd: float, floor: float) -> float:
    """`sd`, never below the `floor` that the items set. Zero spread is not evidence of zero noise."""
    return max(sd, floor)


def pooled_t(baseline: Sequence[float], candidates: Sequence[float], floor: float = 0.0) -> float | None:
    """Two-sample t statistic with pooled standard deviation; negative when the candidates are worse.

    Args:
        baseline: One score per baseline seed, shape (n,), n >= 2.
        candidates: One score per candidate seed, shape (k,), k >= 1.
        floor: Smallest standard deviation that the items allow, in score units.

    Returns:
        `(mean(y) - mean(x)) / (s_p * sqrt(1/n + 1/k))`, df = n + k - 2; None when s_p is zero, for
        then there is no scale to judge by.

    References:
        Hahn and Meeker, Statistical Intervals (1991), section 4.8: the prediction interval for the
        mean of k further observations; for k = 1 the classical prediction interval.

    Examples:
        >>> round(pooled_t([0.871, 0.884, 0.879, 0.892], [0.869]), 4)
        -1.2686
        >>> pooled_t([0.9, 0.9], [0.8]) is None
        True
    """
    n, k = len(baseline), len(candidates)
    pooled_sum = squared_deviations(baseline) + squared_deviations(candidates)
    sd = floored(math.sqrt(pooled_sum / (n + k - 2)), floor)
    if sd == 0.0:
        return None
    return (mean(candidates) - mean(baseline)) / (sd * math.sqrt(1 / n + 1 / k))


def p_value(baseline: Sequence[float], candidates: Sequence[float], floor: float = 0.0) -> float | None:
    """One-sided p-value that the candidates are drawn from the baseline's distribution; None without a scale.

    Examples:
        >>> round(p_value([0.871, 0.884, 0.879, 0.892], [0.869]), 3)
        0.147
    """
    t = pooled_t(baseline, candidates, floor)
    return None if t is None else float(special.stdtr(len(baseline) + len(candidates) - 2, t))


@lru_cache(maxsize=4096)
def prediction_factor(n: int, k: int, alpha: float) -> float:
    """K in the limit `mean - K * sd` below which the mean of k further seeds falls with probability alpha.

    The pooled sd is taken as the baseline's; df = n + k - 2 (n - 1 for k = 1).

    Examples:
        >>> [round(prediction_factor(n, 1, 0.05), 3) for n in (3, 4, 5, 8, 10)]
        [3.372, 2.631, 2.335, 2.01, 1.923]
        >>> [round(prediction_factor(n, 1, 0.01), 3) for n in (3, 4, 5, 8, 10)]
        [8.042, 5.077, 4.105, 3.18, 2.959]
    """
    return -float(special.stdtrit(n + k - 2, alpha)) * math.sqrt(1 / n + 1 / k)


def prediction_limit(baseline: Sequence[float], alpha: float, floor: float = 0.0) -> float:
    """Score below which one further seed of the same recipe falls with probability `alpha`.

    Examples:
        >>> round(prediction_limit([0.871, 0.884, 0.879, 0.892], 0.05), 4)
        0.8583
        >>> round(prediction_limit([0.871, 0.884, 0.879, 0.892], 0.005), 4)
        0.8239
    """
    sd = floored(sample_sd(baseline), floor)
    return mean(baseline) - prediction_factor(len(baseline), 1, alpha) * sd


def all_below_rate(n: int, k: int) -> float:
    """Chance that all k further seeds fall below all n baseline seeds when nothing changed: 1 / C(n+k, k).

    Examples:
        >>> [round(all_below_rate(n, 1), 3) for n in (3, 4, 5, 8, 10)]
        [0.25, 0.2, 0.167, 0.111, 0.091]
        >>> [round(all_below_rate(n, 2), 4) for n in (3, 4, 5, 8, 10)]
        [0.1, 0.0667, 0.0476, 0.0222, 0.0152]
    """
    return 1 / math.comb(n + k, k)
