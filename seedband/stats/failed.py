"""Runs that failed to train: how often, and how surely that is known."""

from typing import NamedTuple

from scipy import special


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
