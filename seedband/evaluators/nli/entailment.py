"""Natural-language inference: how likely a cross-encoder holds a sentence to be entailed by a text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from seedband.counts import counted
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.evaluators import Evaluator, Generations, Scored
from seedband.evaluators.nli.sentences import says_something, sentences
from seedband.models.bases import locate_base
from seedband.models.loading import from_folder, load_tokenizer
from seedband.models.model_folders import read_config
from seedband.recipe.scoring import Base
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seedband.data.dataset import Items

KEYS = ("args.model", "args.revision")
ENTAILMENT = "entailment"
#: The sets of labels that an NLI model may have, letters alone.
LABELS = ({ENTAILMENT, "neutral", "contradiction"}, {ENTAILMENT, "notentailment"})
#: A premise, a sentence that it entails, and one that it rules out, though it shares as many words with it.
PREMISE = "The parcel arrived on Monday and the customer has opened it."
ENTAILED, RULED_OUT = "The parcel has arrived.", "The parcel has not arrived."
#: Tokens of premise and sentence together: at most, unless said, and what has to be there for windows of any use.
USUAL_LENGTH, MIN_LENGTH = 512, 32
HINT = "name a sequence classifier that was trained for natural-language inference; docs/how-to/nli.md names some"


class Entailed(NamedTuple):
    """What a cross-encoder says of one text.

    Attributes:
        probabilities: Of every sentence, that the premise entails it; empty where the text asserts nothing.
        n_windows: How many the premise was split into, at most.
        n_cut: Sentences that were split as too long.
    """

    probabilities: tuple[float, ...]
    n_windows: int
    n_cut: int


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
        _length(self.max_length, config.get("max_position_embeddings"))

    def trivial_score(self, items: "Items", generations: Generations) -> float:
        """What an empty text scores."""
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


AGGREGATES: JsonObject = {"mean": _mean, "worst": min}


@dataclass(frozen=True)
class CrossEncoder:
    """An NLI model that reads premise and sentence together.

    Attributes:
        model: Sequence classifier of transformers.
        tokenizer: Its own.
        output: Which of its outputs stands for entailment.
        max_length: Tokens of premise and sentence together.
        backend: What tells it from other models.
    """

    model: Any
    tokenizer: Any
    output: int
    max_length: int
    backend: str

    @classmethod
    def load(cls, base: Base, max_length: int | None) -> "CrossEncoder":
        """Open a model.

        Raises:
            UsageError: No sequence classifier with the labels of NLI, or one that takes fewer tokens.
            Refused: Weights are missing, or its tokenizer does not say where in a text its tokens stand.
        """
        from transformers import AutoModelForSequenceClassification

        output = entailment_output(read_config(Path(base.path)), base.reference)
        model, info = from_folder(AutoModelForSequenceClassification, base.path)
        absent = [str(key) for kind in ("missing_keys", "mismatched_keys") for key in info[kind]]
        if absent:
            raise Refused(f"{base.reference}: weights are missing, {min(absent)} for one", hint=HINT)
        tokenizer = load_tokenizer(base.path)
        if not tokenizer.is_fast:
            raise Refused(f"{base.reference}: no fast tokenizer", hint="export it with its tokenizer.json")
        length = _length(max_length, getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length)
        content = json_files.digest([base.sha256, base.files_sha256])
        backend = f"nli {type(model).__name__} sha256:{content[:12]}"
        return cls(model.eval(), tokenizer, output, length, backend)

    def verify(self) -> None:
        """Find out whether its outputs mean what its config says.

        Raises:
            Refused: It takes a clear entailment for none, or the reverse.
        """
        labels = self.model.config.id2label
        for sentence, expected in ((ENTAILED, True), (RULED_OUT, False)):
            probabilities = self.probabilities(self._windows(PREMISE, sentence)[0])
            found = int(probabilities.argmax())
            if (found == self.output) != expected:
                raise Refused(
                    f"args.model: to {PREMISE!r} and {sentence!r} it says {labels[found]} "
                    f"({probabilities[found]:.2f}), expected {'' if expected else 'anything but '}"
                    f"{labels[self.output]}: no NLI model, or its config.json names its outputs in a wrong order",
                    hint=HINT,
                )

    def judge(self, premise: str, text: str) -> Entailed:
        """How likely a premise entails each sentence of a text."""
        whole = [sentence for sentence in sentences(text) if says_something(sentence)]
        parts = [self._parts(sentence) for sentence in whole]
        windows = [self._windows(premise, part) for part in chain.from_iterable(parts)]
        best = [max(float(self.probabilities(window)[self.output]) for window in row) for row in windows]
        return Entailed(tuple(best), max(map(len, windows), default=1), sum(len(part) > 1 for part in parts))

    def _windows(self, premise: str, sentence: str) -> list[dict[str, list[int]]]:
        """Token ids of a sentence beside each window of a premise."""
        encoded = self.tokenizer(
            premise,
            sentence,
            truncation="only_first",
            max_length=self.max_length,
            stride=self.max_length // 8,
            return_overflowing_tokens=True,
        )
        names = [name for name in self.tokenizer.model_input_names if name in encoded]
        return [{name: encoded[name][row] for name in names} for row in range(len(encoded["input_ids"]))]

    def _parts(self, sentence: str) -> list[str]:
        """A sentence, in parts of at most half of what fits, cut at a space where there is one."""
        most = self.max_length // 2
        parts: list[str] = []
        while True:
            offsets = self._offsets(sentence)
            if len(offsets) <= most:
                return [part for part in (*parts, sentence) if says_something(part)]
            end = max(1, offsets[most][0])
            end = sentence.rfind(" ", 1, end + 1) if " " in sentence[1 : end + 1] else end
            parts.append(sentence[:end].strip())
            sentence = sentence[end:].strip()

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets: list[tuple[int, int]] = encoded["offset_mapping"]
        return offsets

    def probabilities(self, window: Mapping[str, list[int]]) -> "NDArray[np.float64]":
        """Of every output, shape (n_outputs,)."""
        import torch

        with torch.inference_mode():
            logits = self.model(**{name: torch.tensor([ids]) for name, ids in window.items()}).logits[0]
            probabilities: NDArray[np.float64] = logits.double().softmax(-1).numpy()
        return probabilities


def locate(reference: str, revision: str | None, *, offline: bool = False) -> Base:
    """An NLI model on this machine, or from the hub; what is here already is not asked for again."""
    try:
        return locate_base(reference, revision, Path(), offline=True, keys=KEYS)
    except WorkFailed:
        if offline:
            raise
        return locate_base(reference, revision, Path(), offline=False, keys=KEYS)


def entailment_output(config: JsonObject, name: str) -> int:
    """Which output of a sequence classifier stands for entailment, by its config's `id2label`.

    Raises:
        UsageError: It is none, or its outputs are not those of NLI.

    Examples:
        >>> labels = {"0": "CONTRADICTION", "1": "Entailment", "2": "neutral"}
        >>> entailment_output({"architectures": ["BertForSequenceClassification"], "id2label": labels}, "nli")
        1
    """
    architectures = [str(entry) for entry in config.get("architectures") or ()]
    if not any(entry.endswith("ForSequenceClassification") for entry in architectures):
        raise UsageError(
            f"{KEYS[0]}: {name} is a {', '.join(architectures) or 'model of no known kind'}, expected a sequence "
            "classifier",
            hint=HINT,
        )
    plain = plain_labels(config)
    if sorted(plain) != list(range(len(plain))) or not any(
        len(plain) == len(names) and set(plain.values()) == names for names in LABELS
    ):
        raise UsageError(
            f"{KEYS[0]}: {name} has the labels {', '.join(plain.values()) or 'of no name'}, expected entailment, "
            "neutral and contradiction, or entailment and not_entailment, in any order",
            hint=HINT,
        )
    return next(key for key, label in plain.items() if label == ENTAILMENT)


def plain_labels(config: JsonObject) -> dict[int, str]:
    """What a model calls its outputs, letters alone: NOT_ENTAILMENT is notentailment."""
    labels = (config.get("id2label") or {}).items()
    return {int(key): re.sub(r"[^a-z]", "", str(label).casefold()) for key, label in labels}


def _length(asked: int | None, *limits: Any) -> int:
    """Tokens that are given to a model at once.

    Args:
        asked: By the recipe.
        limits: Of model and tokenizer, where they say any.

    Raises:
        UsageError: The model takes fewer.
    """
    most = min([limit for limit in limits if isinstance(limit, int) and limit > 0], default=USUAL_LENGTH)
    length = min(most, USUAL_LENGTH) if asked is None else asked
    if not MIN_LENGTH <= length <= most:
        raise UsageError(f"args.max_length: the model takes {counted(most, 'token')}, expected {length} to fit")
    return length
