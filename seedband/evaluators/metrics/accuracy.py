"""Share of items whose class is predicted."""

from dataclasses import dataclass

import numpy as np

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Predictions, Scored


@dataclass(frozen=True)
class Accuracy(Evaluator):
    """Share of items whose class is predicted, 0 to 1; trivial: always the most frequent class."""

    name = "accuracy"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "numpy"
    reads = "classes"

    def score(self, items: Items, predictions: Predictions) -> Scored:
        """1 for an item whose class is predicted, else 0."""
        hits = (predictions.predicted == predictions.labels).astype(np.float64)
        return Scored(float(hits.mean()), hits)

    def trivial_score(self, items: Items, predictions: Predictions) -> float:
        """Share of the most frequent class."""
        return float(np.bincount(predictions.labels).max() / len(predictions.labels))
