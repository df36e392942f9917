"""An evaluator: the share of items whose answer is the first label."""

from dataclasses import dataclass
from typing import ClassVar

from seedband.evaluators import Evaluator


@dataclass(frozen=True)
class FirstLabel(Evaluator):
    """How often the first label is answered."""

    name: ClassVar[str] = "first_label"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "share"
    reads: ClassVar[str] = "classes"

    def score(self, items, predictions):
        return (predictions.logits.argmax(1) == 0).astype(float)
