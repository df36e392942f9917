"""How unlikely the reference is to the model."""

import math
from dataclasses import dataclass

import numpy as np

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Generations, Scored


@dataclass(frozen=True)
class ReferenceNll(Evaluator):
    """Negative log-likelihood of the reference in nats per token, 0 or more: continuous, so of little noise."""

    name = "reference_nll"
    version = "1"
    higher_is_better = False
    bounds = (0.0, math.inf)
    unit = "nats per token"
    backend = "torch"
    reads = "texts"

    def score(self, items: Items, generations: Generations) -> Scored:
        """Mean per token of every item, and their mean over items."""
        per_item = np.asarray(generations.nll) / np.maximum(generations.n_tokens, 1)
        return Scored(float(per_item.mean()), per_item)

    def trivial_score(self, items: Items, generations: Generations) -> float:
        """The score of a model for which every token is equally likely."""
        return math.log(generations.vocabulary)
