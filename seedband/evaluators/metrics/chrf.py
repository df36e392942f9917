"""Character n-grams shared with the reference."""

from dataclasses import dataclass

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Generations, Scored
from seedband.storage.optional import require


@dataclass(frozen=True)
class Chrf(Evaluator):
    """chrF (Popović 2015) as sacrebleu computes it, over the corpus, 0 to 100; it has no score of an item.

    Attributes:
        char_order: Longest character n-gram.
        word_order: Longest word n-gram; 0 leaves words out, 2 is chrF++.
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
    library = "sacrebleu"
    extra = "text"

    def score(self, items: Items, generations: Generations) -> Scored:
        """Over the corpus."""
        metric = require("sacrebleu.metrics", self.extra).CHRF(
            char_order=self.char_order, word_order=self.word_order, beta=self.beta
        )
        corpus = metric.corpus_score(list(generations.texts), [list(items.targets)])
        return Scored(float(corpus.score), None, str(metric.get_signature()))

    def trivial_score(self, items: Items, generations: Generations) -> float:
        """The score of an empty text."""
        return 0.0
