"""Tasks: what a model learns to do, and with it how rows are encoded, what its loss is and what it predicts.

Modules in this folder are imported by jobs only, so they import torch at their top.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from seedband.models.encoded import Lesson
from seedband.models.loading import ModelTask

if TYPE_CHECKING:
    from seedband.data.dataset import Items
    from seedband.models.loading import Network
    from seedband.recipe.scoring import Scoring

Reads = Literal["classes", "texts"]


class Kind(NamedTuple):
    """One task, as far as anybody needs to know it before a job starts.

    Attributes:
        module: Where it lives; imported when it is used.
        outputs: What it predicts.
        scored_by: What an evaluator of it may read.
        methods: Methods that can train it.
    """

    module: str
    outputs: Reads
    scored_by: tuple[str, ...]
    methods: tuple[str, ...]


#: Task → what becomes of its rows; what it reads of a row stands in `rows.READINGS`.
BUILT_IN: Mapping[str, Kind] = {
    "text-classification": Kind(
        module="seedband.tasks.text_classification",
        outputs="classes",
        scored_by=("classes", "any"),
        methods=("lora", "head", "command"),
    ),
    "image-classification": Kind(
        module="seedband.tasks.image_classification",
        outputs="classes",
        scored_by=("classes", "any"),
        methods=("lora", "head", "command"),
    ),
    "causal-lm": Kind(
        module="seedband.tasks.causal_lm",
        outputs="texts",
        scored_by=("texts", "checkpoint", "any"),
        methods=("lora", "command"),
    ),
}


class Task(ModelTask, Protocol):
    """What a module of this folder has."""

    def encode(self, items: "Items", scoring: "Scoring", reader: Any = None) -> Lesson:
        """Rows as the base's tokenizer or image processor reads them, or another `reader`."""
        ...

    def reads(self, lesson: Any, row: int) -> Mapping[str, Any]:
        """What the model reads of a row, by name."""
        ...

    def encoded_sha256(self, lesson: Lesson) -> str:
        """SHA-256 of rows as a model reads them: of tokens, or pixels."""
        ...

    def predict(self, network: "Network", lesson: Lesson, scoring: "Scoring", device: str) -> Any:
        """What a network says about every row, in the order given; the same rows make the same batches for each."""
        ...


def find(name: str) -> Any:
    """The module of a task."""
    return import_module(BUILT_IN[name].module)
