"""What classifying texts and images has in common."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from seedband.data.dataset import Items
from seedband.models.encoded import batches
from seedband.models.loading import Network
from seedband.tasks import Outputs, Task

if TYPE_CHECKING:
    import torch


class Classification(Task):
    """One label an item, by a new or a known head."""

    outputs: ClassVar[Outputs] = "classes"
    scored_by = ("classes", "any")


def classes(labels: Sequence[str]) -> dict[str, object]:
    """Settings of a classifier of transformers for its outputs."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "ignore_mismatched_sizes": True,
    }


def targets_of(items: Items, labels: Sequence[str]) -> "torch.Tensor":
    """Class of every item, as an index into the labels."""
    import torch

    class_of = {label: index for index, label in enumerate(labels)}
    return torch.tensor([class_of[label] for label in items.targets], dtype=torch.int64)


def loss(logits: "torch.Tensor", targets: "torch.Tensor", rows: Sequence[int]) -> "torch.Tensor":
    """Sum of the rows' cross-entropies, in fp32."""
    from torch.nn import functional

    return functional.cross_entropy(logits.float(), targets[list(rows)].to(logits.device), reduction="sum")


def in_batches(model: Network, lesson: Any, batch_size: int, device: str) -> NDArray[np.float64]:
    """Logits of every row, shape (n_rows, n_classes), computed in the order of their lengths."""
    import torch

    model.module.to(device).eval()
    parts: list[Any] = [None] * len(lesson.lengths)
    with torch.inference_mode():
        for chosen in batches(lesson.lengths, batch_size, equal=lesson.equal_lengths):
            logits = model.forward(lesson.batch(chosen, torch.device(device)))
            for row, values in zip(chosen, logits.double().cpu().numpy(), strict=True):
                parts[row] = values
    return np.stack(parts)
