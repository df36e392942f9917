"""Image classification: one label an image, from a ViT-like model and its own image processor."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband.data.dataset import Items
from seedband.data.images import check_images, decoded
from seedband.data.rows import Reading, labelled
from seedband.determinism import witnesses
from seedband.errors import Problem, UsageError
from seedband.models.encoded import Truncation
from seedband.models.loading import Network, from_folder, load_processor, network
from seedband.models.model_config import read_config
from seedband.models.readers import PROCESSOR
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import Recipe
from seedband.tasks.classification import Classification, classes, in_batches, loss, targets_of
from seedband.tasks.outputs import Predictions

if TYPE_CHECKING:
    import torch

#: Images of which pixels are hashed, at most: the files themselves are known by their content.
HASHED = 256
#: What is kept of images that are decoded, in bytes.
MAX_KEPT_BYTES = 1024**3
#: Patches of an image whose model does not say it: ViT-B/16's.
PATCHES = 196


class Images:
    """Images as the model reads them; what fits into memory is decoded once."""

    def __init__(self, base: str, paths: Sequence[str], processor: Any = None) -> None:
        self._processor = processor or load_processor(base)
        self._paths = paths
        self._kept: dict[int, torch.Tensor] = {}
        self._room = MAX_KEPT_BYTES

    def batch(self, rows: Sequence[int], device: "torch.device") -> "dict[str, torch.Tensor]":
        """Pixels, shape (rows, channels, height, width).

        Raises:
            UsageError: An image cannot be decoded, or comes out of the processor in a size of its own.
        """
        import torch

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

    def _pixels(self, row: int) -> "torch.Tensor":
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
        self.targets = targets_of(items, scoring.labels)
        self.batch = self.images.batch
        self.lengths = [1] * len(items)
        self.truncated = Truncation()

    def loss(self, logits: "torch.Tensor", rows: Sequence[int]) -> "torch.Tensor":
        """Sum of cross-entropies."""
        return loss(logits, self.targets, rows)

    def units(self, rows: Sequence[int]) -> int:
        """Rows."""
        return len(rows)

    def misread(self, _: int | None) -> bool:
        """Images have no padding."""
        return False


class ImageClassification(Classification):
    """Images with one label each."""

    name = "image-classification"
    reading = Reading(("image", "label"), labelled("image"), files=True)
    architectures = (
        "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
        "a model with a classifier of images, such as ViT",
    )
    auto = "AutoModelForImageClassification"
    # PEFT has no name for it, so the head must be listed to be trained and saved.
    peft = None
    renamed = True
    reader = PROCESSOR
    decoders = ("pillow",)
    pads = False
    extra = "image"
    pipeline = "image-classification"

    def length_problems(self, recipe: Recipe, base: Base) -> list[Problem]:  # noqa: ARG002
        """Images have no length."""
        return []

    def check_items(self, items: Items) -> None:
        """Refuse images that cannot be opened, or are too large."""
        check_images(items.ids, items.inputs, items.path)

    def recognise(self, survey: Any, said: Collection[str], *, generates: bool) -> int | None:  # noqa: ARG002
        """A column of images that is named or found."""
        return 0 if "image" in said else 1 if survey.column_of("image") is not None else None

    def lengths(self, items: Items, base: Path) -> None:
        """Images have no length."""

    def tokens_per_row(self, inputs: Sequence[str], max_length: int, base: Path) -> float:  # noqa: ARG002
        """Patches of an image."""
        config = read_config(base)
        size, patch = config.get("image_size"), config.get("patch_size")
        if isinstance(size, int) and isinstance(patch, int) and patch > 0:
            return (size / patch) ** 2
        return PATCHES

    def load(self, path: str, labels: Sequence[str]) -> Network:
        """An image classifier; what the base lacks is drawn by chance and listed in `new`."""
        from transformers import AutoModelForImageClassification

        model, info = from_folder(AutoModelForImageClassification, path, **classes(labels))
        return network(model, info)

    def encode(self, items: Items, scoring: Scoring, reader: Any = None) -> "Lesson":
        """Images as the base's image processor reads them, or another one."""
        return Lesson(items, scoring, reader)

    def reads(self, lesson: "Lesson", row: int) -> dict[str, str]:
        """The input of the model for an image, as a hash of its pixels."""
        import torch

        pixels = lesson.batch([row], torch.device("cpu"))["pixel_values"]
        return {"pixels": witnesses.tensors_sha256([("pixels", pixels)])}

    def encoded_sha256(self, lesson: "Lesson") -> str:
        """SHA-256 of the pixels of every image, or of so many of them as say how the processor works."""
        return lesson.images.pixels_sha256(range(0, len(lesson.lengths), -(-len(lesson.lengths) // HASHED)))

    def predict(self, network: Network, lesson: "Lesson", scoring: Scoring, device: str) -> Predictions:
        """Logits of every image."""
        return Predictions(lesson.targets.numpy(), in_batches(network, lesson, scoring.batch_size, device))
