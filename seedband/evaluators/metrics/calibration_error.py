"""How far confidence and accuracy lie apart."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Predictions, Scored


@dataclass(frozen=True)
class CalibrationError(Evaluator):
    """Expected calibration error (Naeini et al. 2015; Guo et al. 2017, section 2), 0 to 1.

    It has no trivial score: a predictor that knows the labels' shares is calibrated, and tells nothing.

    Attributes:
        bins: Equal parts of the range of confidence.
    """

    bins: int = 15

    name = "calibration_error"
    version = "1"
    higher_is_better = False
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "seedband"
    reads = "classes"

    def score(self, items: Items, predictions: Predictions) -> Scored:
        """Mean over the bins of |accuracy - confidence|, weighted by their items; no item has one."""
        confidence = softmax(predictions.logits, axis=1).max(axis=1)
        gap = (predictions.predicted == predictions.labels) - confidence
        # A bin holds its upper end: confidence 1 belongs to the last.
        of_item = np.clip(np.ceil(confidence * self.bins).astype(int) - 1, 0, self.bins - 1)
        sums = np.bincount(of_item, weights=gap, minlength=self.bins)
        return Scored(float(np.abs(sums).sum() / len(gap)))
