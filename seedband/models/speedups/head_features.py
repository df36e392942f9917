"""Features: what enters a linear head over a frozen backbone, computed once for all seeds, epochs and checkpoints."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from seedband.events import Emit
from seedband.models.encoded import Lesson, batches
from seedband.models.loading import Network
from seedband.models.speedups.feature_cache import DROPPED, FeatureCache, is_near
from seedband.models.speedups.linear_heads import LinearHead

#: Batches of which rows are computed anew, to tell whether what was kept is of this model; and how many of each.
SPOTS, ROWS = 4, 2


def compute_features(
    head: LinearHead,
    lesson: Lesson,
    batch_size: int,
    device: str,
    cache: FeatureCache,
    key: Sequence[Any],
    emit: Emit,
) -> torch.Tensor:
    """Features of every row, shape (n_rows, width), on the device.

    A few are computed anew, whatever was kept: features of another model are dropped, and that is told.

    Args:
        head: Of a network in eval mode.
        lesson: The rows.
        batch_size: Rows in one forward pass.
        device: "cpu" or "cuda".
        cache: Where they are kept.
        key: What they depend on beside that: base, rows, how they are read, pooling.
        emit: Told where what was kept is not what the model says.
    """
    parts = batches(lesson.lengths, batch_size, equal=lesson.equal_lengths)
    way = {"left": lesson.left_padded, "equal": lesson.equal_lengths}
    key = [*key, batch_size, *([way] if any(way.values()) else [])]

    def live(rows: Sequence[int]) -> torch.Tensor:
        return head.features(lesson.batch(rows, torch.device(device))).cpu()

    def gathered() -> torch.Tensor:
        features = torch.empty(len(lesson.lengths), head.layer.in_features)
        for index, part in cache.parts(key, len(parts), lambda index: live(parts[index])):
            features[parts[index]] = part
        return features

    features = gathered()
    if cache.folder is not None and not _fit(features, parts, live):
        cache.drop(key, len(parts))
        emit("warning", None, {"text": DROPPED})
        features = gathered()
    return features.to(device)


def _fit(features: torch.Tensor, parts: Sequence[Sequence[int]], live: Callable[[Sequence[int]], torch.Tensor]) -> bool:
    """Check whether features of some rows are what the model says of them now.

    They are the longest of their batches, so that each is padded as it was there.
    """
    spots = (parts[index][-ROWS:] for index in range(0, len(parts), -(-len(parts) // SPOTS)))
    return all(is_near(features[rows].nan_to_num(), live(rows).nan_to_num()) for rows in spots)


class FeatureRows:
    """Rows of which the features are known: a lesson with targets, whose batches are features."""

    def __init__(self, lesson: Any, features: torch.Tensor) -> None:
        self._features = features
        self.targets: torch.Tensor = lesson.targets
        self.lengths, self.truncated, self.left_padded = lesson.lengths, lesson.truncated, False
        self.equal_lengths, self.sides, self.misread = False, (False,), lesson.misread
        self.loss, self.units = lesson.loss, lesson.units

    def batch(self, rows: Sequence[int], _: torch.device) -> dict[str, torch.Tensor]:
        """Features of some rows."""
        return {"features": self._features[list(rows)]}


def on_features(network: Network, head: LinearHead) -> Network:
    """The end of a network, which reads features."""
    dropout = torch.nn.Dropout(head.rate)
    modules = torch.nn.ModuleDict()
    for name, module in ((head.dropout or "dropout", dropout), (head.name, head.layer)):
        modules[name.replace(".", "/")] = module

    def forward(batch: Any) -> torch.Tensor:
        logits: torch.Tensor = head.layer(dropout(batch["features"]))
        return logits

    return Network(modules, forward, network.new, network.head_std, network.attention)
