"""Image classification: one label an image, from a ViT-like model and its own image processor."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from seedband.data.dataset import Items
from seedband.data.images import decoded
from seedband.determinism import witnesses
from seedband.errors import UsageError
from seedband.models.encoded import Truncation
from seedband.models.loading import Network, from_folder, load_processor, network
from seedband.recipe.scoring import Scoring
from seedband.tasks.classes import classes, in_batches, loss, targets_of
from seedband.tasks.outputs import Predictions

#: The class of transformers that opens a model for it.
AUTO = "AutoModelForImageClassification"
#: PEFT has no name for it, so the head must be listed to be trained and saved.
PEFT = None
HEADS: frozenset[str] = frozenset()
RENAMED = True
#: Images of which pixels are hashed, at most: the files themselves are known by their content.
HASHED = 256
#: What is kept of images that are decoded, in bytes.
MAX_KEPT_BYTES = 1024**3


def load(path: str, labels: Sequence[str]) -> Network:
    """An image classifier; what the base lacks is drawn by chance and listed in `new`."""
    from transformers import AutoModelForImageClassification

    model, info = from_folder(AutoModelForImageClassification, path, **classes(labels))
    return network(model, info)


class Images:
    """Images as the model reads them; what fits into memory is decoded once."""

    def __init__(self, base: str, paths: Sequence[str], processor: Any = None) -> None:
        self._processor = processor or load_processor(base)
        self._paths = paths
        self._kept: dict[int, torch.Tensor] = {}
        self._room = MAX_KEPT_BYTES

    def batch(self, rows: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """Pixels, shape (rows, channels, height, width).

        Raises:
            UsageError: An image cannot be decoded, or comes out of the processor in a size of its own.
        """
        pixels = [self._pixels(row) for row in rows]
        for row, own in zip(rows, pixels, strict=True):
            if own.shape != pixels[0].shape:
                first = self._paths[rows[0]]
                found = f"{self._paths[row]} comes out in {list(own.shape)}, {first} in {list(pixels[0].shape)}"
                raise UsageError(f"the base's image processor gives no one size: {found}", hint="crop the images")
        return {"pixel_values": torch.stack(pixels).to(device)}

    def pixels_sha256(self, rows: Sequence[int]) -> str:
        """SHA-256 of the pixels of some rows, and of their shapes."""
        found = hashlib.sha256()
        for row in rows:
            pixels = self._pixels(row).contiguous()
            found.update(f"{row} {list(pixels.shape)} {pixels.dtype} ".encode())
            found.update(pixels.numpy().tobytes())
        return found.hexdigest()

    def _pixels(self, row: int) -> torch.Tensor:
        if row in self._kept:
            return self._kept[row]
        pixels: torch.Tensor = self._processor(decoded(Path(self._paths[row])), return_tensors="pt")["pixel_values"][0]
        if pixels.nbytes <= self._room:
            self._kept[row] = pixels
            self._room -= pixels.nbytes
        return pixels


class Lesson:
    """Images with their classes."""

    left_padded = equal_lengths = False
    sides = (False,)

    def __init__(self, items: Items, scoring: Scoring, reader: Any = None) -> None:
        self.images = Images(scoring.base.path, items.inputs, reader)
        self.targets = torch.tensor(targets_of(items, scoring.labels))
        self.batch = self.images.batch
        self.lengths = [1] * len(items)
        self.truncated = Truncation()

    def loss(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """Sum of cross-entropies."""
        return loss(logits, self.targets, rows)

    def units(self, rows: Sequence[int]) -> int:
        """Rows."""
        return len(rows)

    def misread(self, _: int | None) -> bool:
        """Images have no padding."""
        return False


def encode(items: Items, scoring: Scoring, reader: Any = None) -> Lesson:
    """Images as the base's image processor reads them, or another one."""
    return Lesson(items, scoring, reader)


def reads(lesson: Lesson, row: int) -> dict[str, str]:
    """What the model reads of an image: a hash of its pixels."""
    pixels = lesson.batch([row], torch.device("cpu"))["pixel_values"]
    return {"pixels": witnesses.tensors_sha256([("pixels", pixels)])}


def encoded_sha256(lesson: Lesson) -> str:
    """SHA-256 of the pixels of every image, or of so many of them as say how the processor works."""
    return lesson.images.pixels_sha256(range(0, len(lesson.lengths), -(-len(lesson.lengths) // HASHED)))


def predict(model: Network, lesson: Lesson, scoring: Scoring, device: str) -> Predictions:
    """Logits of every image."""
    logits: Any = in_batches(model, lesson, scoring.batch_size, device)
    return Predictions(lesson.targets.numpy(), logits)
