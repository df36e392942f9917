"""What the items say about the noise of a score. Tables hold one row per seed and one column per item."""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seedband.counts import counted

Table = npt.NDArray[np.float64]
MIN_SEEDS = 2


class Components(NamedTuple):
    """Variance of a score on one item, taken apart; all variances in squared score units.

    Attributes:
        seed_variance: What a seed shifts on all items alike.
        item_variance: How much items differ in difficulty.
        residual_variance: What a seed shifts on one item only: interaction and residual, which cannot be told apart.
        n_seeds: Rows of the table.
        n_items: Columns of the table, m.
    """

    seed_variance: float
    item_variance: float
    residual_variance: float
    n_seeds: int
    n_items: int

    @property
    def same_items_sd(self) -> float:
        """What another seed does to the mean over the same items: `sqrt(seed + residual / m)`."""
        return math.sqrt(self.seed_variance + self.residual_variance / self.n_items)

    @property
    def new_items_sd(self) -> float:
        """What another seed does on m other items of the same kind: `sqrt(seed + (item + residual) / m)`."""
        return math.hypot(self.same_items_sd, math.sqrt(self.item_variance / self.n_items))


def checked_table(items: npt.ArrayLike, fewest_items: int = 1) -> Table:
    """The seeds x items table as an array of floats, shape (n, m).

    Raises:
        ValueError: Fewer than 2 seeds or `fewest_items` items, another shape, NaN or infinity.
    """
    table = np.asarray(items, dtype=float)
    if table.ndim != 2 or table.shape[0] < MIN_SEEDS or table.shape[1] < fewest_items or not np.isfinite(table).all():  # noqa: PLR2004
        raise ValueError(
            f"item scores of shape {table.shape}: expected finite scores, {MIN_SEEDS} or more seeds by "
            f"{fewest_items} or more items"
        )
    return table


def is_binary(table: Table) -> bool:
    """Check whether every score is 0 or 1.

    Examples:
        >>> is_binary(np.array([[0.0, 1.0]])), is_binary(np.array([[0.0, 0.5]]))
        (True, False)
    """
    return bool(((table == 0) | (table == 1)).all())


def resolution(items: npt.ArrayLike) -> float:
    """Smallest step of the mean over the items: 1/m for m items scored 0 or 1, else 0.

    Examples:
        >>> resolution([[1, 0, 1, 1], [0, 1, 1, 1]]), resolution([[0.5, 1.0], [0.5, 1.0]])
        (0.25, 0.0)
    """
    table = checked_table(items)
    return 1 / table.shape[1] if is_binary(table) else 0.0


def item_floor(items: npt.ArrayLike) -> float:
    """Smallest standard deviation that the items allow: `sqrt(mean_i v_i / m)`, for 0/1 items at least 1/m.

    v_i is the n - 1 variance of item i over seeds, m the number of items. Even seeds that agree in every score
    differ by at least what their items flip.

    Args:
        items: Score of every item under every seed, shape (n, m), n >= 2 and m >= 1.

    Raises:
        ValueError: Another shape, NaN or infinity.

    Examples:
        >>> item_floor([[1, 0, 1, 1], [0, 1, 1, 1]])
        0.25
        >>> item_floor([[1, 1, 0, 0], [1, 1, 0, 0]])
        0.25
    """
    table = checked_table(items)
    # An item on which all seeds agree has variance 0, not what rounding makes of it.
    variances = np.where(np.ptp(table, axis=0) > 0, table.var(axis=0, ddof=1), 0.0)
    return max(math.sqrt(float(variances.mean()) / table.shape[1]), resolution(table))


def components(items: npt.ArrayLike) -> Components:
    """Split the scores of n seeds on m items into what seeds, items and their interaction contribute.

    The model is score_si = mu + S_s + I_i + E_si, two-way without replication. Mean squares are equated with their
    expectations: `E = MS_E`, `S = (MS_S - MS_E) / m`, `I = (MS_I - MS_E) / n`. An estimate that comes out negative
    is reported as 0, the others stay as they are; `same_items_sd` is the n - 1 standard deviation of the seeds' means
    wherever the seed variance was not so truncated, and larger where it was.

    Args:
        items: Score of every item under every seed, shape (n, m), n >= 2 and m >= 2.

    Returns:
        The three variances, each >= 0, in squared score units.

    Raises:
        ValueError: Another shape, NaN or infinity.

    References:
        Searle, Casella and McCulloch, Variance Components (1992), chapter 4.

    Examples:
        >>> split = components([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
        >>> [round(x, 4) for x in split[:3]]
        [0.0278, 0.0556, 0.1389]
        >>> round(split.same_items_sd, 4), round(split.new_items_sd, 4)
        (0.25, 0.2764)
    """
    table = checked_table(items, fewest_items=2)
    n, m = table.shape
    within = table - table.mean(axis=0)
    shifts = within.mean(axis=1)
    residual = float(np.square(within - shifts[:, None]).sum()) / ((n - 1) * (m - 1))
    between_seeds = m * float(np.square(shifts).sum()) / (n - 1)
    between_items = n * float(table.mean(axis=0).var(ddof=1))
    return Components(
        seed_variance=max(0.0, (between_seeds - residual) / m),
        item_variance=max(0.0, (between_items - residual) / n),
        residual_variance=residual,
        n_seeds=n,
        n_items=m,
    )


def churn(items: npt.ArrayLike) -> float:
    """Share of items on which two seeds differ, as a mean over all pairs of seeds; for 0/1 items `2 mean_i v_i`.

    Args:
        items: Score of every item under every seed, shape (n, m), n >= 2 and m >= 1. Graded scores differ when they
            are not equal.

    Returns:
        A share in [0, 1]: 0 when all seeds agree on every item.

    Raises:
        ValueError: Another shape, NaN or infinity.

    References:
        Milani Fard, Cormier, Canini and Gupta, Launch and Iterate: Reducing Prediction Churn, NIPS (2016): there of
        predictions, here of scores.

    Examples:
        >>> churn([[1, 0, 1, 1], [0, 1, 1, 1]])
        0.5
        >>> round(churn([[0.1, 0.2], [0.1, 0.3], [0.1, 0.2]]), 4)
        0.3333
    """
    table = checked_table(items)
    differing = sum(int(np.count_nonzero(table != seed)) for seed in table)
    return differing / (table.size * (len(table) - 1))


def standard_error(item_means: npt.ArrayLike, clusters: Sequence[Hashable] | None = None) -> float:
    """Standard error of the mean score if the items were drawn again: what item error bars show, and seeds do not.

    Without clusters `sd / sqrt(m)` with the n - 1 standard deviation; for 0/1 scores of one seed that is the binomial
    standard error in its unbiased form, `sqrt(p (1 - p) / (m - 1))`. With clusters, deviations from the mean are
    summed per cluster, squared and summed, times G / (G - 1) for G clusters, so that clusters of one item each give
    the plain standard error.

    Args:
        item_means: Score of every item, of one seed or the mean over seeds, shape (m,), m >= 2.
        clusters: One label per item, at least 2 different ones; items of one cluster may depend on each other
            (questions about one text, say).

    Returns:
        The standard error in score units, >= 0.

    Raises:
        ValueError: Another shape, NaN or infinity, another count of labels, or a single cluster.

    References:
        Miller, Adding Error Bars to Evals, arXiv:2411.00640 (2024), section 2.2.
        Liang and Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73 (1986).

    Examples:
        >>> round(standard_error([1, 0, 1, 1, 1]), 4)
        0.2
        >>> round(standard_error([1, 1, 0, 0], clusters=["a", "a", "b", "b"]), 4)
        0.5
    """
    scores = np.asarray(item_means, dtype=float)
    if scores.ndim != 1 or len(scores) < 2 or not np.isfinite(scores).all():  # noqa: PLR2004
        raise ValueError(f"item scores of shape {scores.shape}: expected 2 or more finite ones in a row")
    sums = scores - scores.mean()
    if clusters is not None:
        sums = _cluster_sums(sums, clusters)
    n_clusters = len(sums)
    return math.sqrt(float(np.square(sums).sum()) * n_clusters / (n_clusters - 1)) / len(scores)


def _cluster_sums(deviations: npt.NDArray[np.float64], clusters: Sequence[Hashable]) -> npt.NDArray[np.float64]:
    index = {label: position for position, label in enumerate(dict.fromkeys(clusters))}
    if len(clusters) != len(deviations) or len(index) < 2:  # noqa: PLR2004
        raise ValueError(
            f"{counted(len(clusters), 'label')} of {counted(len(index), 'cluster')} for "
            f"{counted(len(deviations), 'item')}: expected a label per item "
            "and 2 or more clusters"
        )
    sums = np.zeros(len(index))
    np.add.at(sums, [index[label] for label in clusters], deviations)
    return sums
