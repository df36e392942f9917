"""Tasks: what a model learns to do, and with it how rows are encoded, what its loss is and what it predicts.

Modules in this folder are imported by jobs only, so they import torch at their top.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch

    from seedband.dataset import Items
    from seedband.encoded import Truncation
    from seedband.networks import Network
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


class Lesson(Protocol):
    """Rows to learn from or to be asked about, encoded once for all seeds of a job."""

    #: How much of a batch every row takes, in tokens where it is text: rows of like length share batches best.
    lengths: Sequence[int]
    #: Whether a batch is padded on the left.
    left_padded: bool
    #: On which sides it may be, as `left_padded` says it, the first choice first.
    sides: "Sequence[bool]"
    #: Whether the rows of a batch must be of one length; see `padding`.
    equal_lengths: bool
    #: What was left out of them.
    truncated: "Truncation"

    def batch(self, rows: Sequence[int], device: "torch.device") -> "dict[str, torch.Tensor]":
        """Some rows as the model reads them, padded."""
        ...

    def loss(self, logits: "torch.Tensor", rows: Sequence[int]) -> "torch.Tensor":
        """Sum of the losses of all units in these rows, given their logits."""
        ...

    def units(self, rows: Sequence[int]) -> int:
        """How many units these rows have, over which the loss is averaged: rows, or tokens of their completions."""
        ...

    def misread(self, pad_id: int | None) -> bool:
        """Whether padding that was found by this id, or written into answers, gave other numbers than rows alone."""
        ...


class Task(Protocol):
    """What a module of this folder has."""

    #: The class of transformers that opens a model for it.
    AUTO: str
    #: What PEFT calls the task; None where it has no name for it.
    PEFT: str | None
    #: Heads that PEFT trains and saves without being told.
    HEADS: frozenset[str]

    def load(self, path: str, labels: Sequence[str]) -> "Network":
        """A base, or a whole model, with what it takes to do the task."""
        ...

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


def probe_rows(lesson: Lesson) -> list[int]:
    """Rows to try a network on, of several lengths, so that some are padded; not the longest, which would cost most."""
    order = sorted(range(len(lesson.lengths)), key=lesson.lengths.__getitem__)
    chosen = {order[part * len(order) // 4] for part in range(4)}
    differ = len({lesson.lengths[row] for row in chosen}) > 1
    return sorted(chosen if differ else {*chosen, order[-1]})
