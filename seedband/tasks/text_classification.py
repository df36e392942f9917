"""Text classification: one label a text, from a sequence classifier of transformers."""

from collections.abc import Sequence
from typing import Any

import torch

from seedband.dataset import Items
from seedband.networks import Network, from_folder, load_tokenizer, network
from seedband.predictions import Predictions
from seedband.records import Scoring, Truncation
from seedband.tasks.classes import classes, in_batches, loss, targets_of

PEFT = "SEQ_CLS"
HEADS = frozenset({"classifier", "score"})
#: What messages call the inputs of a model.
READ = {"input_ids": "text"}


def load(path: str, labels: Sequence[str]) -> Network:
    """A sequence classifier; what the base lacks is drawn by chance and listed in `new`."""
    from transformers import AutoModelForSequenceClassification

    model, info = from_folder(AutoModelForSequenceClassification, path, **classes(labels))
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    return network(model, info)


class Lesson:
    """Texts with their classes."""

    left_padded = False

    def __init__(self, items: Items, scoring: Scoring, reader: Any = None) -> None:
        self.tokenizer = self._tokenizer = reader or load_tokenizer(scoring.base.path)
        self.padding_id = self._tokenizer.pad_token_id or 0
        self._rows = encode_texts(self._tokenizer, items.inputs, scoring.max_length)
        self.targets = torch.tensor(targets_of(items, scoring.labels))
        self.lengths = [len(row["input_ids"]) for row in self._rows]
        self.truncated = truncation(self._tokenizer, items.inputs, self._rows, scoring.max_length)

    def batch(self, rows: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """Token ids and their mask, padded on the right to the longest row."""
        return collate(self._tokenizer, [self._rows[row] for row in rows], device)

    def loss(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """Sum of cross-entropies."""
        return loss(logits, self.targets, rows)

    def units(self, rows: Sequence[int]) -> int:
        """Rows."""
        return len(rows)

    def read(self, row: int) -> dict[str, list[int]]:
        """What the model is given of a row."""
        return self._rows[row]


def encode(items: Items, scoring: Scoring, reader: Any = None) -> Lesson:
    """Texts as the base's tokenizer reads them, or another one."""
    return Lesson(items, scoring, reader)


def reads(lesson: Lesson, row: int) -> dict[str, list[int]]:
    """What the model reads of a row, by name."""
    return {READ.get(name, name): ids for name, ids in lesson.read(row).items()}


def predict(model: Network, lesson: Lesson, scoring: Scoring, device: str) -> Predictions:
    """Logits of every text."""
    logits = in_batches(model, lesson, scoring.batch_size, device)
    return Predictions(lesson.targets.numpy(), logits, lesson.truncated)


def encode_texts(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[dict[str, list[int]]]:
    """Token ids of every text, truncated and not yet padded."""
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)
    return [{name: encoded[name][row] for name in encoded} for row in range(len(texts))]


def truncation(
    tokenizer: Any, texts: Sequence[str], rows: Sequence[dict[str, list[int]]], max_length: int
) -> Truncation:
    """What `encode_texts` left out of the texts: those that fill the length are looked at once more, whole."""
    full = [text for text, row in zip(texts, rows, strict=True) if len(row["input_ids"]) >= max_length]
    whole = tokenizer(full, verbose=False)["input_ids"] if full else []
    cut = [len(ids) - max_length for ids in whole if len(ids) > max_length]
    return Truncation(len(cut), sum(cut))


def collate(tokenizer: Any, rows: Sequence[dict[str, list[int]]], device: torch.device) -> dict[str, torch.Tensor]:
    """One batch, padded on the right to its longest row."""
    length = max(len(row["input_ids"]) for row in rows)
    padding = {"input_ids": tokenizer.pad_token_id or 0}
    return {
        name: torch.tensor(
            [row[name] + [padding.get(name, 0)] * (length - len(row[name])) for row in rows], device=device
        )
        for name in rows[0]
    }
