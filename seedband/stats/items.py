"""What the items say about the noise of a score."""

import math
from collections.abc import Sequence

import numpy as np


def item_floor(items: Sequence[Sequence[float]]) -> float:
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
    table = np.asarray(items, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or not table.shape[1] or not np.isfinite(table).all():  # noqa: PLR2004
        raise ValueError(
            f"item scores of shape {table.shape}: expected finite scores, 2 or more seeds by 1 or more items"
        )
    m = table.shape[1]
    floor = math.sqrt(float(table.var(axis=0, ddof=1).mean()) / m)
    return max(floor, 1 / m) if np.isin(table, (0.0, 1.0)).all() else floor
