"""Mean negative log-likelihood of the true class."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Predictions, Scored


@dataclass(frozen=True)
class LogLoss(Evaluator):
    """Mean negative log-likelihood of the true class in nats, 0 or more; trivial: entropy of the labels' shares."""

    name = "log_loss"
    version = "1"
    higher_is_better = False
    bounds = (0.0, math.inf)
    unit = "nats"
    backend = "scipy"
    reads = "classes"

    def score(self, items: Items, predictions: Predictions) -> Scored:
        """Negative log-likelihood of every item and their mean, from the logits: no probability is clipped."""
        log_shares = log_softmax(predictions.logits, axis=1)
        per_item = -log_shares[np.arange(len(predictions.labels)), predictions.labels]
        return Scored(float(per_item.mean()), per_item)

    def trivial_score(self, items: Items, predictions: Predictions) -> float:
        """Log-loss of predicting every class with its share."""
        from sklearn.metrics import log_loss

        shares = np.bincount(predictions.labels, minlength=predictions.n_classes) / len(predictions.labels)
        everywhere = np.broadcast_to(shares, (len(predictions.labels), predictions.n_classes))
        return float(log_loss(predictions.labels, everywhere, labels=range(predictions.n_classes)))
