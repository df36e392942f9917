"""Unweighted mean of the classes' F1."""

from dataclasses import dataclass

import numpy as np

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import Evaluator, Predictions, Scored


@dataclass(frozen=True)
class F1Macro(Evaluator):
    """Unweighted mean of the F1 of every class of the label set, 0 to 1; trivial: always the most frequent class.

    Attributes:
        zero_division: F1 of a class that is neither present nor predicted.
    """

    zero_division: float = 0.0

    def __post_init__(self) -> None:
        if self.zero_division not in (0, 1):
            raise UsageError(f"zero_division {self.zero_division!r} is neither 0 nor 1")

    name = "f1_macro"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "F1"
    backend = "scikit-learn"
    reads = "classes"

    def score(self, items: Items, predictions: Predictions) -> Scored:
        """F1 over all items; no item has one."""
        return Scored(self._f1(predictions, predictions.predicted))

    def trivial_score(self, items: Items, predictions: Predictions) -> float:
        """F1 of always predicting the most frequent class."""
        majority = int(np.bincount(predictions.labels).argmax())
        return self._f1(predictions, np.full_like(predictions.labels, majority))

    def _f1(self, predictions: Predictions, predicted: "np.typing.NDArray[np.int64]") -> float:
        from sklearn.metrics import f1_score

        classes = range(predictions.n_classes)
        return float(
            f1_score(predictions.labels, predicted, labels=classes, average="macro", zero_division=self.zero_division)
        )
