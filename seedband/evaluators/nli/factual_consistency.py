"""Whether a text says only what the reference says."""

from dataclasses import dataclass

from seedband.data.dataset import Items
from seedband.evaluators import Generations, Scored
from seedband.evaluators.nli.entailment import Entailment


@dataclass(frozen=True)
class FactualConsistency(Entailment):
    """How likely the reference entails the sentences of a text, by an NLI cross-encoder; 0 to 1.

    It asks whether what is said is true, not whether all is said. Arguments and rules are those of `Entailment`.
    """

    name = "factual_consistency"

    def score(self, items: Items, generations: Generations) -> Scored:
        """Of every item, and their mean.

        Raises:
            UsageError: No such model.
            Refused: A model that fails the fixed pairs.
        """
        return self.judge(items.targets, generations.texts)
