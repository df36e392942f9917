"""Do seeds differ on the same items? Tests over blocks, and the correction for asking about many slices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from seedband.bands.stats.items import Table, checked_table, is_binary


class SeedTest(NamedTuple):
    """A test of "all seeds score alike on these items".

    Attributes:
        name: Which test.
        statistic: Approximately chi-square distributed when the seeds do not differ.
        df: Its degrees of freedom, seeds - 1.
        p_value: Upper tail, in [0, 1].
    """

    name: str
    statistic: float
    df: int
    p_value: float


def cochran_q(items: npt.ArrayLike) -> SeedTest:
    """Cochran's Q: do some seeds get more items right than others?

    Items on which all seeds agree carry no information and change nothing; where there are no others, Q is 0.

    Args:
        items: 0 or 1 for every item under every seed, shape (n, m), n >= 2 and m >= 1; items are the blocks.

    Returns:
        Q with n - 1 degrees of freedom. The chi-square tail is an approximation for many items.

    Raises:
        ValueError: Scores other than 0 and 1, or another shape.

    References:
        Cochran, The comparison of percentages in matched samples, Biometrika 37 (1950).

    Examples:
        >>> test = cochran_q([[1, 1, 1, 1, 0, 1], [1, 1, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1]])
        >>> round(test.statistic, 4), test.df, round(test.p_value, 4)
        (4.6667, 2, 0.097)
    """
    table = checked_table(items)
    if not is_binary(table):
        raise ValueError(
            "item scores other than 0 and 1: Cochran's Q is for right and wrong, Friedman's test for grades"
        )
    return _blocked("Cochran's Q", table - table.mean(axis=0))


def friedman(items: npt.ArrayLike) -> SeedTest:
    """Friedman's test, corrected for ties: do some seeds rank higher than others on the same items?

    Args:
        items: Graded score of every item under every seed, shape (n, m), n >= 2 and m >= 1; items are the blocks.

    Returns:
        The statistic with n - 1 degrees of freedom, 0 when every item is constant over seeds. On 0/1 scores it is
        Cochran's Q. The chi-square tail is an approximation for many items.

    Raises:
        ValueError: Another shape, NaN or infinity.

    References:
        Friedman, The use of ranks to avoid the assumption of normality implicit in the analysis of variance,
        Journal of the American Statistical Association 32 (1937).
        Conover, Practical Nonparametric Statistics, 3rd edition (1999), section 5.8: the correction for ties.

    Examples:
        >>> test = friedman([[0.9, 0.8, 0.7], [0.5, 0.8, 0.6], [0.1, 0.2, 0.3]])
        >>> round(test.statistic, 4), test.df, round(test.p_value, 4)
        (5.6364, 2, 0.0597)
    """
    table = checked_table(items)
    centred_ranks = sum((np.sign(table - seed) for seed in table), start=np.zeros_like(table)) / 2
    return _blocked("Friedman", centred_ranks)


def seeds_differ(items: npt.ArrayLike) -> SeedTest:
    """Cochran's Q for 0/1 items, Friedman's test for graded ones.

    Args:
        items: Score of every item under every seed, shape (n, m), n >= 2 and m >= 1.

    Raises:
        ValueError: Another shape, NaN or infinity.

    Examples:
        >>> seeds_differ([[1, 0], [0, 0]]).name, seeds_differ([[1, 0.5], [0, 0.25]]).name
        ("Cochran's Q", 'Friedman')
        >>> seeds_differ([[1, 0], [1, 0]]).p_value
        1.0
    """
    table = checked_table(items)
    return cochran_q(table) if is_binary(table) else friedman(table)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values adjusted for being several: rejecting those <= alpha errs at all with probability at most alpha.

    Args:
        p_values: Any number, each in [0, 1].

    Returns:
        Adjusted p-values in the order given, each at least its own p-value and at most 1.

    Raises:
        ValueError: A p-value outside [0, 1], or NaN.

    References:
        Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values outside [0, 1]: {p_values}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return tuple(adjusted.tolist())


def _blocked(name: str, centred: Table) -> SeedTest:
    """Chi-square of the seeds' sums over items, given scores that are centred within each item.

    Cochran's Q and Friedman's statistic with ties are both `(n - 1) sum_s (sum_i z_si)^2 / sum_si z_si^2`, with z the
    centred score and the centred midrank.
    """
    df = len(centred) - 1
    total = float(np.square(centred).sum())
    statistic = df * float(np.square(centred.sum(axis=1)).sum()) / total if total else 0.0
    return SeedTest(name, statistic, df, float(special.chdtrc(df, statistic)))
