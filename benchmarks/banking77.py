"""Banking77, 77 intents of customers' messages to a bank (PolyAI-LDN/task-specific-datasets, CC-BY-4.0).

Both sides of a benchmark take from here what must be equal: messages and their order, and how training is set.
"""

import csv
import random
from pathlib import Path
from typing import NamedTuple

#: Messages that are learnt from, and that are scored.
TRAIN, EVAL = 1500, 800
MAX_LENGTH, BATCH_SIZE, EPOCHS = 64, 16, 3
#: By method; the last two layers are `lora`'s.
LEARNING_RATES = {"head": 2e-2, "lora": 5e-3}
LORA = {"r": 8, "alpha": 16, "dropout": 0.1, "target_modules": ["query", "value"]}


class Message(NamedTuple):
    """What a customer writes, and what it is about."""

    text: str
    label: str


def draw(data: Path, n_train: int = TRAIN, n_eval: int = EVAL) -> tuple[list[Message], list[Message]]:
    """Messages of DIR/train.csv and of DIR/test.csv, drawn with a fixed seed each."""
    return _drawn(data / "train.csv", n_train, seed=7), _drawn(data / "test.csv", n_eval, seed=8)


def _drawn(path: Path, count: int, seed: int) -> list[Message]:
    with path.open(encoding="utf-8", newline="") as file:
        messages = [Message(row["text"], row["category"]) for row in csv.DictReader(file)]
    random.Random(seed).shuffle(messages)
    return messages[:count]
