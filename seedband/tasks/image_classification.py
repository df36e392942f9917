"""Image classification: one label an image, from a ViT-like model and its own image processor."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from seedband.dataset import Items
from seedband.networks import Network, from_folder, network
from seedband.predictions import Predictions
from seedband.records import Scoring, Truncation
from seedband.tasks.classes import classes, in_batches, loss, targets_of

#: PEFT has no name for it, so the head must be listed to be trained and saved.
PEFT = None
HEADS: frozenset[str] = frozenset()


def load(path: str, labels: Sequence[str]) -> Network:
    """An image classifier; what the base lacks is drawn by chance and listed in `new`."""
    from transformers import AutoModelForImageClassification

    model, info = from_folder(AutoModelForImageClassification, path, **classes(labels))
    return network(model, info)


class Images:
    """Images as the model reads them, each decoded once."""

    def __init__(self, base: str, paths: Sequence[str]) -> None:
        from PIL import Image
        from transformers import AutoImageProcessor

        processor = AutoImageProcessor.from_pretrained(base, local_files_only=True, trust_remote_code=False)
        pixels = []
        for path in paths:
            with Image.open(Path(path)) as image:
                pixels.append(processor(image.convert("RGB"), return_tensors="pt")["pixel_values"][0])
        self._pixels = torch.stack(pixels)

    def batch(self, rows: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """Pixels, shape (rows, channels, height, width)."""
        return {"pixel_values": self._pixels[list(rows)].to(device)}


class Lesson:
    """Images with their classes."""

    left_padded = False

    def __init__(self, items: Items, scoring: Scoring) -> None:
        self._images = Images(scoring.base.path, items.inputs)
        self._targets = torch.tensor(targets_of(items, scoring.labels))
        self.batch = self._images.batch
        self.by_length = range(len(items))
        self.truncated = Truncation()

    def loss(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """Sum of cross-entropies."""
        return loss(logits, self._targets, rows)

    def units(self, rows: Sequence[int]) -> int:
        """Rows."""
        return len(rows)


def encode(items: Items, scoring: Scoring) -> Lesson:
    """Rows to learn from."""
    return Lesson(items, scoring)


def predict(model: Network, items: Items, scoring: Scoring, device: str) -> Predictions:
    """Logits of every image."""
    images = Images(scoring.base.path, items.inputs)

    def batch(chosen: Sequence[int]) -> dict[str, torch.Tensor]:
        return images.batch(chosen, torch.device(device))

    logits: Any = in_batches(model, batch, range(len(items)), scoring.batch_size, device)
    return Predictions(targets_of(items, scoring.labels), logits)
