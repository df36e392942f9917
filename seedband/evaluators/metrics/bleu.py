"""Word n-grams shared with the reference."""

from dataclasses import dataclass
from typing import Literal

from seedband.data.dataset import Items
from seedband.evaluators import Evaluator, Generations, Scored
from seedband.storage.optional import require


@dataclass(frozen=True)
class Bleu(Evaluator):
    """BLEU (Papineni et al. 2002) as sacrebleu computes it, over the corpus, 0 to 100; it has no score of an item.

    Attributes:
        tokenize: Tokenizer of sacrebleu.
        lowercase: Leave case out.
    """

    tokenize: Literal["13a", "intl", "char", "none"] = "13a"
    lowercase: bool = False

    name = "bleu"
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
        metric = require("sacrebleu.metrics", self.extra).BLEU(tokenize=self.tokenize, lowercase=self.lowercase)
        corpus = metric.corpus_score(list(generations.texts), [list(items.targets)])
        return Scored(float(corpus.score), None, str(metric.get_signature()))

    def trivial_score(self, items: Items, generations: Generations) -> float:
        """The score of an empty text."""
        return 0.0
