"""Longest common subsequence with the reference."""

from dataclasses import dataclass
from importlib import metadata

import numpy as np

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import Evaluator, Generations, Scored
from seedband.storage.optional import require


@dataclass(frozen=True)
class RougeL(Evaluator):
    """ROUGE-L F-measure (Lin 2004) as rouge-score computes it; 0 to 1.

    Attributes:
        stemmer: Compare word stems, English.
    """

    stemmer: bool = True

    name = "rouge_l"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "share"
    backend = "rouge-score"
    reads = "texts"
    library = "rouge_score"
    extra = "text"

    def score(self, items: Items, generations: Generations) -> Scored:
        """F-measure of every item, and their mean.

        Raises:
            UsageError: A reference in which it knows no word: it would score 0, whatever is said.
        """
        scorer = require("rouge_score.rouge_scorer", self.extra).RougeScorer(["rougeL"], use_stemmer=self.stemmer)
        tokenize = require("rouge_score.tokenize", self.extra).tokenize
        for name, reference in zip(items.ids, items.targets, strict=True):
            if not tokenize(reference, None):
                raise UsageError(
                    f"{self.name}: item {name}: found no word in the reference {reference[:40]!r}, expected Latin "
                    "letters or digits, which is all that rouge-score reads",
                    hint="chrf reads every script",
                )
        pairs = zip(items.targets, generations.texts, strict=True)
        per_item = np.array([scorer.score(reference, text)["rougeL"].fmeasure for reference, text in pairs])
        return Scored(float(per_item.mean()), per_item, f"rouge-score {metadata.version('rouge-score')}")

    def trivial_score(self, items: Items, generations: Generations) -> float:
        """The score of an empty text."""
        return 0.0
