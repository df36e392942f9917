"""Mean of the classes' recalls."""

from dataclasses import dataclass

import numpy as np

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Predictions, Scored


@dataclass(frozen=True)
class BalancedAccuracy(Evaluator):
    """Mean recall over the classes that occur, 0 to 1; trivial: one of them, always."""

    name = "balanced_accuracy"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "scikit-learn"
    reads = "classes"

    def score(self, items: Items, predictions: Predictions) -> Scored:
        """Over all items; no item has one."""
        from sklearn.metrics import recall_score

        present = np.unique(predictions.labels)
        recalls = recall_score(
            predictions.labels, predictions.predicted, labels=present, average="macro", zero_division=0.0
        )
        return Scored(float(recalls))

    def trivial_score(self, items: Items, predictions: Predictions) -> float:
        """One class right, the others wrong."""
        return 1.0 / len(np.unique(predictions.labels))
