"""Runs that failed to train: how often, and how surely that is known."""

from collections.abc import Sequence
from typing import NamedTuple

from scipy import special

from seedband.bands.stats import limits

#: Fewer seeds do not say what is ordinary.
MIN_SEEDS = 8
#: Standard deviations of Normal scores in one median absolute deviation: 1 / ndtri(3/4).
NORMAL_MAD = 1.4826
#: Normalised median absolute deviations below the median at which a seed has probably failed.
LIMIT = 6


class Rate(NamedTuple):
    """A counted share with its interval."""

    share: float
    low: float
    high: float


def failure_rate(failed: int, total: int, level: float = 0.9) -> Rate:
    """Share of runs that failed to train, with its exact two-sided interval.

    Args:
        failed: Runs that failed to train, 0 <= failed <= total.
        total: Runs in all, total >= 1.
        level: Coverage of the interval, in (0, 1).

    References:
        Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).

    Examples:
        >>> [round(x, 3) for x in failure_rate(1, 8)]
        [0.125, 0.006, 0.471]
        >>> failure_rate(0, 4).low
        0.0
    """
    tail = (1 - level) / 2
    low = float(special.betaincinv(failed, total - failed + 1, tail)) if failed else 0.0
    high = float(special.betaincinv(failed + 1, total - failed, 1 - tail)) if failed < total else 1.0
    return Rate(failed / total, low, high)


def probable_failed(scores: Sequence[float]) -> tuple[int, ...]:
    """Scores so low that their seeds have probably failed to train, for scores that carry no loss.

    Flagged is what lies more than 6 normalised median absolute deviations (1.4826 MAD, the standard deviation of
    Normal scores) below the median. Where more than half of the scores are equal, the MAD is 0, there is no scale to
    judge by and nothing is flagged. Of sweeps with Normal scores, 1.4 % have a seed flagged at n = 8, .3 % at n = 16.

    Args:
        scores: One finite score per seed, shape (n,), higher is better.

    Returns:
        Their positions in `scores`, ascending; none for n < 8, for too few seeds say what is ordinary.

    References:
        Rousseeuw and Croux, Alternatives to the median absolute deviation, Journal of the American Statistical
        Association 88 (1993), section 1.

    Examples:
        >>> probable_failed([0.92, 0.93, 0.51, 0.91, 0.92, 0.93, 0.94, 0.92])
        (2,)
    """
    if len(scores) < MIN_SEEDS:
        return ()
    median = limits.plain_median(scores)
    scale = NORMAL_MAD * limits.plain_median([abs(score - median) for score in scores])
    return tuple(index for index, score in enumerate(scores) if scale and score < median - LIMIT * scale)
