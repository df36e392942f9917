"""Natural-language inference: how likely a cross-encoder holds a sentence to be entailed by a text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from seedband.errors import UsageError
from seedband.evaluators import Evaluator, Generations, Scored
from seedband.evaluators.nli.cross_encoder import (
    MIN_LENGTH,
    CrossEncoder,
    Entailed,
    entailment_output,
    length_for,
    locate,
)
from seedband.models.model_config import read_config

if TYPE_CHECKING:
    from seedband.data.dataset import Items


@dataclass(frozen=True)
class Entailment(Evaluator):
    """What factual_consistency and groundedness share: texts judged sentence by sentence against a premise each.

    A premise that does not fit beside a sentence in `max_length` tokens is split into windows that overlap by an eighth
    of it, and the best of them counts: what a sentence says must then stand in one place. A sentence longer than half
    of `max_length` is split between words, and each part counts as a sentence. Nothing is left out; both are counted.
    A text without a letter or digit asserts nothing, and scores 0: else a model could win by saying nothing. An item
    whose premise is blank has no score.

    The model runs on the CPU in fp32, one pair at a time: no score depends on the other items.

    Attributes:
        model: NLI cross-encoder: a folder, package:<installed package>/<folder>, or a hub id.
        revision: Commit of a hub id.
        aggregate: What the sentences of a text make: the mean of their probabilities, or the least.
        max_length: Tokens of premise and sentence together; as many as the model takes, and no more than 512, unless
            said.
    """

    model: str
    revision: str | None = None
    aggregate: Literal["mean", "worst"] = "mean"
    max_length: int | None = None

    version = "1"
    higher_is_better = True
    bounds = (0.0, 1.0)
    unit = "probability"
    reads = "texts"
    backend = "nli"
    paths = ("model", "revision")

    def __post_init__(self) -> None:
        """Refuse what is no value of an argument."""
        if self.aggregate not in AGGREGATES:
            raise UsageError(f"args.aggregate: found {self.aggregate!r}, expected one of {', '.join(AGGREGATES)}")
        given = self.max_length
        if given is not None and (not isinstance(given, int) or given < MIN_LENGTH):
            raise UsageError(f"args.max_length: found {given!r}, expected at least {MIN_LENGTH} tokens")

    def check_ready(self, *, offline: bool = False) -> None:
        """Find the model, and the meaning of its outputs; what it says to the fixed pairs is asked when it is loaded.

        Raises:
            UsageError: No such model, or no sequence classifier with the labels of NLI.
            Refused: Only pickled weights, or code that comes with it.
            WorkFailed: The hub cannot be reached.
        """
        base = locate(self.model, self.revision, offline=offline)
        config = read_config(Path(base.path))
        entailment_output(config, base.reference)
        length_for(self.max_length, config.get("max_position_embeddings"))

    def trivial_score(self, items: "Items", generations: Generations) -> float:
        """The score of an empty text."""
        return 0.0

    def judge(self, premises: Sequence[str], texts: Sequence[str]) -> Scored:
        """Score texts against their premises.

        Args:
            premises: What each may say, shape (n_items,).
            texts: What a model said, shape (n_items,).

        Raises:
            Refused: The model is none for NLI, or takes a clear entailment for none, or the reverse.
        """
        encoder = CrossEncoder.load(locate(self.model, self.revision), self.max_length)
        encoder.verify()
        pairs = list(zip(premises, texts, strict=True))
        judged = {pair: encoder.judge(*pair) for pair in dict.fromkeys(pairs) if pair[0].strip()}
        return self._scored([judged.get(pair) for pair in pairs], encoder.backend)

    def _scored(self, judged: Sequence[Entailed | None], backend: str) -> Scored:
        known = [item for item in judged if item is not None]
        scores = {
            name: np.array([np.nan if item is None else aggregate(item.probabilities or (0.0,)) for item in judged])
            for name, aggregate in AGGREGATES.items()
        }
        means = {name: float(values[~np.isnan(values)].mean()) if known else np.nan for name, values in scores.items()}
        other = next(name for name in AGGREGATES if name != self.aggregate)
        details = {
            f"{other} over sentences": means[other],
            "sentences": sum(len(item.probabilities) for item in known),
            "empty texts": sum(not item.probabilities for item in known),
            "premises in windows": sum(item.n_windows > 1 for item in known),
            "sentences split": sum(item.n_cut for item in known),
        }
        return Scored(means[self.aggregate], scores[self.aggregate], backend, details)


def _mean(probabilities: Sequence[float]) -> float:
    return float(np.mean(probabilities))


AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": _mean, "worst": min}
