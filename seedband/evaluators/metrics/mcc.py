"""Matthews correlation coefficient."""

from dataclasses import dataclass

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Predictions, Scored


@dataclass(frozen=True)
class Mcc(Evaluator):
    """Matthews correlation of true and predicted classes, -1 to 1; trivial: 0."""

    name = "mcc"
    version = "1"
    higher_is_better = True
    bounds = (-1.0, 1.0)
    unit = "correlation"
    backend = "scikit-learn"
    reads = "classes"

    def score(self, items: Items, predictions: Predictions) -> Scored:
        """Correlation over all items, 0 where only one class is true and predicted; no item has one."""
        from sklearn.metrics import matthews_corrcoef

        if len({*predictions.labels.tolist(), *predictions.predicted.tolist()}) == 1:
            return Scored(0.0)
        return Scored(float(matthews_corrcoef(predictions.labels, predictions.predicted)))

    def trivial_score(self, items: Items, predictions: Predictions) -> float:
        """0: a constant prediction correlates with nothing."""
        return 0.0
