"""Character n-grams shared with the reference."""

from dataclasses import dataclass

import numpy as np

from seedband.dataset import Items
from seedband.evaluators import Evaluator, Generations, Scored
from seedband.evaluators.extras import require


@dataclass(frozen=True)
class Chrf(Evaluator):
    """chrF (Popović 2015) as sacrebleu computes it, over the corpus, 0 to 100; chrF++ with `word_order` 2.

    Attributes:
        char_order: Longest character n-gram.
        word_order: Longest word n-gram; 0 leaves words out.
        beta: Weight of recall.
    """

    char_order: int = 6
    word_order: int = 0
    beta: int = 2

    name = "chrf"
    version = "1"
    higher_is_better = True
    bounds = (0.0, 100.0)
    unit = "points"
    backend = "sacrebleu"
    reads = "texts"

    def score(self, items: Items, generations: Generations) -> Scored:
        """Over the corpus; every item's own chrF beside it."""
        metric = require("sacrebleu.metrics", "text").CHRF(
            char_order=self.char_order, word_order=self.word_order, beta=self.beta
        )
        corpus = metric.corpus_score(list(generations.texts), [list(items.targets)])
        pairs = zip(generations.texts, items.targets, strict=True)
        per_item = np.array([metric.sentence_score(text, [reference]).score for text, reference in pairs])
        return Scored(float(corpus.score), per_item, str(metric.get_signature()))

    def trivial_score(self, items: Items, generations: Generations) -> float:
        """What an empty text scores."""
        return 0.0
