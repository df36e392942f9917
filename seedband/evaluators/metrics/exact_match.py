"""Share of texts that are the reference, after normalisation."""

from dataclasses import dataclass

import numpy as np

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Generations, Scored
from seedband.evaluators.metrics.squad_normalisation import evened


@dataclass(frozen=True)
class ExactMatch(Evaluator):
    """1 where the text is the reference once case, punctuation, articles and spaces are evened out, as SQuAD does.

    Attributes:
        normalise: Even them out; otherwise every letter counts.
    """

    normalise: bool = True

    name = "exact_match"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "seedband"
    reads = "texts"

    def score(self, items: Items, generations: Generations) -> Scored:
        """1 for an item whose text is its reference, else 0."""
        pairs = zip(generations.texts, items.targets, strict=True)
        hits = np.array([float(self._match(*pair)) for pair in pairs])
        return Scored(float(hits.mean()), hits)

    def _match(self, text: str, reference: str) -> bool:
        said, expected = evened(text, reference) if self.normalise else (text.strip(), reference.strip())
        return said == expected

    def trivial_score(self, items: Items, generations: Generations) -> float:
        """The score of an empty text."""
        return 0.0
