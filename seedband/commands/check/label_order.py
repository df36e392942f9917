"""Label order: what stops a candidate whose outputs stand for the labels in another order than assumed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seedband.bands.stats import relabelling
from seedband.errors import Refused

if TYPE_CHECKING:
    import pandas as pd

#: Labels look permuted when, of the items whose label a permutation moves, so large a share is right under it …
PERMUTED_SHARE = 0.5
#: … and so many times what is right as things stand.
PERMUTED_RATIO = 2.0
#: … and so rarely as much is gained by chance.
PERMUTED_LEVEL = 0.001


def refuse_permuted(name: str, items: "pd.DataFrame", labels: Sequence[str]) -> None:
    """Refuse predictions that fit a permutation of the labels far better than the order assumed.

    Only labels that the best permutation moves count, so that one pair of labels swapped among many is seen, too, and
    most items of each must be predicted as its partner: a model that says one label for everything fits no permutation.
    Of few items some permutation fits any weak model, so it must do better than chance lets it.

    Args:
        name: Of the candidate, for the message.
        items: What it predicted; columns `label` and `prediction`.
        labels: Label of each of its outputs, as assumed.

    Raises:
        Refused: They do.
    """
    import numpy as np

    position = {label: index for index, label in enumerate(labels)}
    own, said = (items[column].map(position).to_numpy().astype(np.int64) for column in ("label", "prediction"))
    counts = relabelling.confusion(own, said, len(labels))
    columns, _ = relabelling.best_relabelling(counts)
    rows = np.flatnonzero(columns != np.arange(len(labels)))
    partners, total = columns[rows], counts[rows].sum()
    if not total:
        return
    right, as_is = counts[rows, partners].sum() / total, counts.diagonal()[rows].sum() / total
    each = bool((counts.argmax(axis=1)[rows] == partners).all())
    far = each and right >= PERMUTED_SHARE and right >= PERMUTED_RATIO * as_is
    if far and relabelling.is_significant(own, said, PERMUTED_LEVEL):
        pairs = [
            f"{labels[row]} → {labels[partner]}" for row, partner in zip(rows.tolist(), partners.tolist(), strict=True)
        ]
        raise Refused(
            f"{name}: labels look permuted: {right:.0%} of the items of {len(pairs)} labels are predicted as another "
            f"one ({', '.join(pairs[:4])}), {as_is:.0%} as their own",
            hint="give the candidate's own label order with --labels FILE, one label a line",
        )
