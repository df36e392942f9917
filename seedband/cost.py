"""What a run will take, before it is started: steps, disk and time."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seedband.dataset import IMAGES
from seedband.lengths import TOKENS_PER_WORD
from seedband.models import read_config, tensor_names
from seedband.preflight import Prepared
from seedband.targets import targeted

#: For a guess at the time of a run: what a CPU thread computes a second, and a job's start.
FLOPS_PER_THREAD = 2.5e10
START_S = 12.0
#: Of an image whose model does not say it: ViT-B/16's.
PATCHES = 196


class Cost(NamedTuple):
    """What a run will take.

    Attributes:
        steps: Optimizer steps; None where only a script of the user's knows.
        bytes_per_run: Disk that a run fills, about; likewise.
        seconds_per_run: Time to train it, about; likewise.
        seconds_from: How the time is known.
    """

    steps: int | None
    bytes_per_run: int | None
    seconds_per_run: float | None
    seconds_from: str


def estimate(prepared: Prepared, seconds_before: Sequence[float] = ()) -> Cost:
    """What a run will take, from the seconds of runs before it, else from the size of model and data."""
    recipe, section = prepared.recipe, prepared.recipe.train
    if section.command is not None:
        known = sum(seconds_before) / len(seconds_before) if seconds_before else None
        return Cost(None, None, known, "from the runs that are finished" if seconds_before else "known after one run")
    shapes = tensor_names(Path(prepared.scoring.base.path))
    matrices = [shape for name, shape in shapes.items() if len(shape) == 2 and "embedding" not in name]  # noqa: PLR2004
    steps = section.planned_steps(len(prepared.train_items))
    adapter = sum(recipe.lora.r * sum(shape) for name, shape in shapes.items() if targeted(name, shape, recipe))
    head = len(prepared.scoring.labels) * max((shape[1] for shape in matrices), default=0)
    rows = len(prepared.eval_items) * (8 * len(prepared.scoring.labels) + 64)
    size = 4 * (adapter + head) + rows + 200 * steps
    if seconds_before:
        return Cost(steps, size, sum(seconds_before) / len(seconds_before), "from the runs that are finished")
    tokens = _tokens(prepared)
    rows_seen = steps * section.batch_size * section.gradient_accumulation
    passes = 1 / steps if section.method == "head" else 2.0
    flops = 2 * (1 + passes) * sum(math.prod(shape) for shape in matrices) * tokens * rows_seen
    return Cost(
        steps, size, START_S + flops / (FLOPS_PER_THREAD * recipe.determinism.threads), "a rough guess, for CPU"
    )


def _tokens(prepared: Prepared) -> float:
    """Tokens of a row, about: words, or patches of an image."""
    model, texts = prepared.recipe.model, prepared.train_items.inputs
    if model.task == IMAGES:
        config = read_config(Path(prepared.scoring.base.path))
        size, patch = config.get("image_size"), config.get("patch_size")
        if isinstance(size, int) and isinstance(patch, int) and patch > 0:
            return (size / patch) ** 2
        return PATCHES
    words = sum(len(text.split()) for text in texts)
    return min(model.max_length, TOKENS_PER_WORD * words / len(texts))
