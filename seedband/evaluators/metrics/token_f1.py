"""Overlap of a text's words with the reference's."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Generations, Scored
from seedband.evaluators.metrics.squad_normalisation import evened


@dataclass(frozen=True)
class TokenF1(Evaluator):
    """Harmonic mean of precision and recall over words, as SQuAD counts them; 0 to 1."""

    name = "token_f1"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "seedband"
    reads = "texts"

    def score(self, items: Items, generations: Generations) -> Scored:
        """F1 of every item, and their mean."""
        pairs = zip(generations.texts, items.targets, strict=True)
        per_item = np.array([_f1(*(form.split() for form in evened(*pair))) for pair in pairs])
        return Scored(float(per_item.mean()), per_item)

    def trivial_score(self, items: Items, generations: Generations) -> float:
        """The score of an empty text."""
        return 0.0


def _f1(said: list[str], expected: list[str]) -> float:
    if not said or not expected:
        return float(said == expected)
    shared = sum((Counter(said) & Counter(expected)).values())
    return 2 * shared / (len(said) + len(expected))
