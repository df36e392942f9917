"""Cross-encoders: how likely a model for natural-language inference holds a sentence to be entailed by a text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seedband.counts import counted
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.evaluators.nli.sentences import says_something, sentences
from seedband.models.bases import locate_base
from seedband.models.loading import from_folder, load_tokenizer
from seedband.models.model_config import read_config
from seedband.recipe.scoring import Base
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
        absent = [str(key) for key in (*info["missing_keys"], *info["mismatched_keys"])]
        if absent:
            raise Refused(f"{base.reference}: weights are missing, {min(absent)} for one", hint=HINT)
        tokenizer = load_tokenizer(base.path)
        if not tokenizer.is_fast:
            raise Refused(f"{base.reference}: no fast tokenizer", hint="export it with its tokenizer.json")
        length = length_for(
            max_length, getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length
        )
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
        """Probabilities that a premise entails each sentence of a text."""
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
    """The output of a sequence classifier that stands for entailment, by its config's `id2label`.

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
    """Names of a model's outputs, letters alone: NOT_ENTAILMENT is notentailment."""
    labels = (config.get("id2label") or {}).items()
    return {int(key): re.sub(r"[^a-z]", "", str(label).casefold()) for key, label in labels}


def length_for(asked: int | None, *limits: Any) -> int:
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
