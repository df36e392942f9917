"""Predictions: what a checkpoint says about the eval items, for evaluators to read; and the checkpoint itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seedband.models.encoded import Truncation
from seedband.models.model_folders import CheckpointFiles
from seedband.recipe.scoring import Base

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What a checkpoint says about the eval items; its arrays are read-only.

    Attributes:
        labels: The true class of every item, int, shape (n_items,).
        logits: Scores of every class, float64, shape (n_items, n_classes).
        truncated: What was left out of what it was given.
        settings: What else two checkpoints must have in common to be compared; of classes nothing.
    """

    labels: "NDArray[np.int64]"
    logits: "NDArray[np.float64]"
    truncated: Truncation = field(default_factory=Truncation)
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _close(self, "labels", "logits")

    @property
    def predicted(self) -> "NDArray[np.int64]":
        """The class with the largest logit, the first of equals, shape (n_items,)."""
        classes: NDArray[np.int64] = self.logits.argmax(axis=1)
        return classes

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.logits.shape[1])

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def usable(self) -> "NDArray[np.bool_]":
        """Of every item, whether its numbers are finite."""
        import numpy as np

        return np.asarray(np.isfinite(self.logits).all(axis=1))

    def reordered(self, own: Sequence[str], labels: Sequence[str]) -> "Predictions":
        """The same where the outputs stand for the labels in another order."""
        return replace(self, logits=self.logits[:, [own.index(label) for label in labels]])

    def columns(self, labels: Sequence[str]) -> dict[str, object]:
        """Their columns in items.parquet."""
        return {"prediction": [labels[index] for index in self.predicted], "logits": self.logits}


@dataclass(frozen=True)
class Generations:
    """What a language model says to the eval items, and how likely it holds their references; arrays are read-only.

    Attributes:
        texts: Greedy completion of every prompt, shape (n_items,).
        nll: Negative log-likelihood of every reference in nats, shape (n_items,).
        n_tokens: Tokens of every reference, its end included.
        vocabulary: Tokens that the model knows.
        truncated: What was left out of prompts and references.
        settings: What else two checkpoints must have in common to be compared: the tokens that end an answer.
    """

    texts: tuple[str, ...]
    nll: "NDArray[np.float64]"
    n_tokens: "NDArray[np.int64]"
    vocabulary: int
    truncated: Truncation = field(default_factory=Truncation)
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _close(self, "nll", "n_tokens")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def usable(self) -> "NDArray[np.bool_]":
        """Of every item, whether its numbers are finite."""
        import numpy as np

        return np.asarray(np.isfinite(self.nll))

    def columns(self, _: Sequence[str]) -> dict[str, object]:
        """Their columns in items.parquet."""
        return {"prediction": list(self.texts), "nll": self.nll, "n_tokens": self.n_tokens}


Outputs = Predictions | Generations


def _close(outputs: Outputs, *names: str) -> None:
    """Make arrays read-only: one evaluator that writes into them would change what the next one scores."""
    for name in names:
        view = getattr(outputs, name).view()
        view.setflags(write=False)
        object.__setattr__(outputs, name, view)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint itself, for evaluators that ask it questions of their own.

    Attributes:
        files: Where it lies, and whether it is an adapter or a whole model.
        base: What an adapter stands on.
        batch_size: Items in one forward pass.
        max_length: Tokens kept of a text.
        device: Where it runs.
        task: What it does.
    """

    files: CheckpointFiles
    base: Base
    batch_size: int
    max_length: int
    device: str
    task: str
