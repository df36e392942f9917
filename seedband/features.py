"""Features: what enters a linear head over a frozen backbone, computed once for all seeds, epochs and checkpoints."""

from collections.abc import Sequence
from typing import Any

import torch

from seedband.feature_cache import FeatureCache
from seedband.linear_heads import LinearHead
from seedband.networks import Network
from seedband.tasks import Lesson
from seedband.tasks.classes import batches


def compute_features(
    head: LinearHead, lesson: Lesson, batch_size: int, device: str, cache: FeatureCache, key: Sequence[Any]
) -> torch.Tensor:
    """Features of every row, shape (n_rows, width), on the device.

    Args:
        head: Of a network in eval mode.
        lesson: The rows.
        batch_size: Rows in one forward pass.
        device: "cpu" or "cuda".
        cache: Where they are kept.
        key: What they depend on beside that: base, rows, how they are read, pooling.
    """
    parts = batches(lesson.lengths, batch_size, equal=lesson.equal_lengths)
    way = {"left": lesson.left_padded, "equal": lesson.equal_lengths}
    key = [*key, batch_size, *([way] if any(way.values()) else [])]

    def compute(index: int) -> torch.Tensor:
        return head.features(lesson.batch(parts[index], torch.device(device))).cpu()

    features = torch.empty(len(lesson.lengths), head.layer.in_features)
    for index, part in cache.parts(key, len(parts), compute):
        features[parts[index]] = part
    return features.to(device)


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
