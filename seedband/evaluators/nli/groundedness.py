"""Whether a text says only what its context says."""

from dataclasses import dataclass

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import Generations, Scored
from seedband.evaluators.nli.entailment import Entailment


@dataclass(frozen=True)
class Groundedness(Entailment):
    """How likely the context of an item entails the sentences of a text, by an NLI cross-encoder; 0 to 1.

    Arguments and rules are those of `Entailment`.
    """

    name = "groundedness"
    needs_context = True

    def score(self, items: Items, generations: Generations) -> Scored:
        """Of every item, and their mean.

        Raises:
            UsageError: No such model, or data without contexts.
            Refused: A model that fails the fixed pairs.
        """
        if items.contexts is None:
            raise UsageError(f"{items.path}: has no contexts, on which {self.name} rests", hint="set data.context")
        return self.judge(items.contexts, generations.texts)
