"""Answers to try an evaluator on: right, wrong, in between, and in another order."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from seedband.data.dataset import Items
from seedband.evaluators import Generations, Predictions, Reads

#: Every so many-th of the texts that are tried is the reference itself.
EXACT = 3


def middling(reads: Reads, items: Items) -> Any:
    """Predictions some of which are right."""
    draw = np.random.default_rng(0)
    if reads == "classes":
        return Predictions(_classes(items), draw.normal(size=(len(items.ids), len(set(items.targets)))))
    if reads == "checkpoint":
        raise ValueError("give check_evaluator a checkpoint for an evaluator that reads one")
    said = [
        " ".join(target.split()[: 2 + number % 5]) if number % EXACT else target
        for number, target in enumerate(items.targets)
    ]
    n_tokens = np.arange(len(said)) % 3 + 4
    return Generations(tuple(said), draw.uniform(1.0, 3.0, len(said)) * n_tokens, n_tokens, 1000)


def extreme(items: Items, given: Any, *, right: bool) -> Any:
    """Predictions that are right everywhere and sure of it, or wrong everywhere; of the kind that is given."""
    if isinstance(given, Predictions):
        classes, n = given.labels, given.n_classes
        return Predictions(classes, np.eye(n)[classes if right else (classes + 1) % n] * 20)
    n_tokens = np.full(len(items.ids), 5)
    said = items.targets if right else tuple(_garbled(target) for target in items.targets)
    return Generations(said, n_tokens * (0.01 if right else 9.0), n_tokens, 1000)


def _garbled(text: str) -> str:
    """A text as long as another that says nothing of it."""
    return "".join("x" if letter.isalnum() else letter for letter in text)


def _classes(items: Items) -> "np.typing.NDArray[np.int64]":
    names = sorted(set(items.targets))
    return np.array([names.index(target) for target in items.targets], dtype=np.int64)


def reordered(record: Any, order: "np.typing.NDArray[np.int64]") -> Any:
    """A record of ours with everything that has a value for each item in another order."""
    changed: dict[str, object] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, tuple) and len(value) == len(order):
            changed[field.name] = tuple(value[index] for index in order)
        elif isinstance(value, np.ndarray):
            changed[field.name] = value[order]
        elif isinstance(value, dict):
            changed[field.name] = {key: tuple(values[index] for index in order) for key, values in value.items()}
    return replace(record, **changed)
