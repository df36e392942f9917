"""sklearn:<scorer>: any scorer of scikit-learn for classes; one for numbers or clusters would take ids for values."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, get_scorer_names

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import Evaluator, Predictions, Scored, bind

#: Where scikit-learn keeps what scores classes; its scorers themselves do not say what they are for.
OF_CLASSES = ("sklearn.metrics._classification", "sklearn.metrics._ranking")


def load(scorer: str, folder: Path, args: Mapping[str, object]) -> Evaluator:
    """A scorer by its name in scikit-learn.

    Raises:
        UsageError: No such scorer, one that is not for classes, or arguments: it takes none.
    """
    if scorer not in scorers():
        what = "is not for classes" if scorer in get_scorer_names() else "no such scorer"
        raise UsageError(f"evaluator 'sklearn:{scorer}': {what}", hint=f"one of {', '.join(scorers())}")
    if args:
        raise UsageError(f"evaluator 'sklearn:{scorer}' takes no arguments, found {', '.join(args)}")
    return bind(SklearnScorer, {"scorer": scorer}, f"sklearn:{scorer}", folder)


def scorers() -> list[str]:
    """Names of the scorers for classes."""
    return [name for name in get_scorer_names() if get_scorer(name)._score_func.__module__ in OF_CLASSES]  # noqa: SLF001


@dataclass(frozen=True)
class SklearnScorer(Evaluator):
    """A scorer of scikit-learn over all items; higher is better, for it negates losses itself ("neg_log_loss").

    Attributes:
        scorer: Its name.
    """

    scorer: str

    version = "1"
    higher_is_better = True
    unit = "scorer"
    backend = "scikit-learn"
    reads = "classes"

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the recipe says it."""
        return f"sklearn:{self.scorer}"

    def arguments(self) -> dict[str, object]:
        """None: the scorer is its name."""
        return {}

    def score(self, items: Items, predictions: Predictions) -> Scored:
        """Over all items; no item has one."""
        backend = f"{self.backend} {version('scikit-learn')}"
        return Scored(self._scored(predictions, predictions.logits), backend=backend)

    def trivial_score(self, items: Items, predictions: Predictions) -> float:
        """The score of the shares of the classes, predicted for every item."""
        shares = np.bincount(predictions.labels, minlength=predictions.n_classes) / len(predictions)
        logits = np.log(np.maximum(shares, np.finfo(float).tiny))
        return self._scored(predictions, np.tile(logits, (len(predictions), 1)))

    def _scored(self, predictions: Predictions, logits: "np.typing.NDArray[np.float64]") -> float:
        rows = np.arange(len(predictions)).reshape(-1, 1)
        # Two classes have one margin in scikit-learn; classes that no item has are columns all the same.
        return float(get_scorer(self.scorer)(_Classifier(logits), rows, predictions.labels))


class _Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Predictions in the form in which scikit-learn asks for them: items are their rows."""

    def __init__(self, logits: "np.typing.NDArray[np.float64]") -> None:
        self.logits = logits
        self.classes_ = np.arange(logits.shape[1])

    def predict(self, rows: Any) -> Any:
        return self.logits[rows[:, 0]].argmax(axis=1)

    def predict_proba(self, rows: Any) -> Any:
        return softmax(self.logits[rows[:, 0]], axis=1)

    def decision_function(self, rows: Any) -> Any:
        logits = self.logits[rows[:, 0]]
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits  # noqa: PLR2004
