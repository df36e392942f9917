"""Relabelling: whether predictions fit a permutation of the labels better than chance lets them.

Of a weak model on few items of many classes some permutation always fits better than the labels as they are: the best
of many is looked for. So the gain of the best is compared with the gains of the best where nothing is to be found.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

#: Shuffles of the predictions over the items.
SHUFFLES = 1999
SEED = 0


def confusion(labels: "NDArray[np.int64]", predicted: "NDArray[np.int64]", n_classes: int) -> "NDArray[np.int64]":
    """Counts of items by label and prediction, shape (n_classes, n_classes).

    Args:
        labels: Class of every item, shape (n_items,).
        predicted: What each was predicted as, shape (n_items,).
        n_classes: Number of classes.

    Examples:
        >>> import numpy as np
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    import numpy as np

    counts: NDArray[Any] = np.bincount(labels * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def best_relabelling(counts: "NDArray[np.int64]") -> "tuple[NDArray[np.int64], int]":
    """The permutation of labels under which most predictions are right, and how many more than as things stand.

    Found by the Hungarian method (Kuhn 1955), as `scipy.optimize.linear_sum_assignment` has it.

    Args:
        counts: Of items by label and prediction, shape (n_classes, n_classes).

    Returns:
        Prediction that stands for each label, shape (n_classes,), and the gain in items, 0 or more.

    Examples:
        >>> import numpy as np
        >>> order, gain = best_relabelling(np.array([[1, 5], [4, 0]]))
        >>> order.tolist(), gain
        ([1, 0], 8)
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(counts, maximize=True)
    return columns, int(counts[rows, columns].sum() - counts.diagonal().sum())


def is_significant(labels: "ArrayLike", predicted: "ArrayLike", alpha: float = 0.001) -> bool:
    """Whether the gain of the best relabelling is more than chance gives predictions that know nothing of the labels.

    A permutation test (Phipson and Smyth 2010): predictions are shuffled over the items, the relabelling is optimised
    anew each time, and p = (1 + gains as large as the one found) / (1 + shuffles). It ends as soon as p cannot be small
    enough any more.

    Args:
        labels: Class of every item, 0 or more, shape (n_items,).
        predicted: What each was predicted as, shape (n_items,).
        alpha: Level, at least 1 / (1 + SHUFFLES).

    Examples:
        >>> is_significant([0, 1, 2] * 10, [1, 2, 0] * 10)
        True
        >>> is_significant([0, 1, 2], [1, 2, 0])
        False
    """
    import numpy as np

    # Classes that do not occur take no part: what is left is the same question, sooner answered.
    occurring, inverse = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
    n_classes, (own, said) = len(occurring), np.split(inverse, 2)
    gain = best_relabelling(confusion(own, said, n_classes))[1]
    draw, as_large = np.random.default_rng(SEED), 0
    for _ in range(SHUFFLES):
        as_large += best_relabelling(confusion(own, draw.permutation(said), n_classes))[1] >= gain
        if 1 + as_large > alpha * (1 + SHUFFLES):
            return False
    return True
