"""F1 over all decisions."""

from dataclasses import dataclass

import numpy as np

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Predictions, Scored


@dataclass(frozen=True)
class F1Micro(Evaluator):
    """F1 over all items and classes, 0 to 1; with one label an item it is accuracy."""

    name = "f1_micro"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "scikit-learn"
    reads = "classes"

    def score(self, items: Items, predictions: Predictions) -> Scored:
        """Over all items; no item has one."""
        from sklearn.metrics import f1_score

        return Scored(float(f1_score(predictions.labels, predictions.predicted, average="micro")))

    def trivial_score(self, items: Items, predictions: Predictions) -> float:
        """Share of the most frequent class."""
        return float(np.bincount(predictions.labels).max() / len(predictions.labels))
