"""What a run will take, before it is started: steps, disk and time."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seedband import tasks, trainers
from seedband.commands.sweep.prepare import Prepared
from seedband.models.lora_targets import targeted
from seedband.models.model_folders import tensor_names

#: For a guess at the time of a run: what a CPU thread computes a second, and a job's start.
FLOPS_PER_THREAD = 2.5e10
START_S = 8.0


class Cost(NamedTuple):
    """What a run will take.

    Attributes:
        steps: Optimizer steps; None where only a script of the user's knows.
        bytes_per_run: Disk that a run fills, about; likewise.
        seconds_per_run: Time to train it, about; likewise.
        seconds_once: Time for what all runs of a sweep share, about.
        seconds_from: How the time is known.
    """

    steps: int | None
    bytes_per_run: int | None
    seconds_per_run: float | None
    seconds_once: float
    seconds_from: str

    def seconds(self, runs: int, at_a_time: int) -> float | None:
        """Time for some runs, about; None where it is not known."""
        if self.seconds_per_run is None or not runs:
            return None if runs else 0.0
        return round(self.seconds_once + runs * self.seconds_per_run / at_a_time, 1)


def estimate(prepared: Prepared, seconds_before: Sequence[float] = ()) -> Cost:
    """Estimate the cost of a run, from the seconds of runs before it, else from the size of model and data."""
    recipe, section = prepared.recipe, prepared.recipe.train
    if section.command is not None:
        known = sum(seconds_before) / len(seconds_before) if seconds_before else None
        return Cost(
            None, None, known, 0.0, "from the runs that are finished" if seconds_before else "known after one run"
        )
    method = trainers.find(section.method)
    shapes = tensor_names(Path(prepared.scoring.base.path))
    matrices = [shape for name, shape in shapes.items() if len(shape) == 2 and "embedding" not in name]  # noqa: PLR2004
    steps = section.planned_steps(len(prepared.train_items))
    adapter = (
        sum(recipe.lora.r * sum(shape) for name, shape in shapes.items() if targeted(name, shape, recipe))
        if method.adapts
        else 0
    )
    head = len(prepared.scoring.labels) * max((shape[1] for shape in matrices), default=0)
    rows = len(prepared.eval_items) * (8 * len(prepared.scoring.labels) + 64)
    size = 4 * (adapter + head) + rows + 200 * steps
    if seconds_before:
        return Cost(steps, size, sum(seconds_before) / len(seconds_before), START_S, "from the runs that are finished")
    model = recipe.model
    row = tasks.find(model.task).tokens_per_row
    tokens = row(prepared.train_items.inputs, model.max_length, Path(prepared.scoring.base.path))
    forward = 2 * sum(math.prod(shape) for shape in matrices) * tokens
    forward /= FLOPS_PER_THREAD * recipe.determinism.threads
    guess = "a rough guess, for CPU"
    rows_seen = steps * section.batch_size * section.gradient_accumulation
    each, once = method.seconds(forward, rows_seen, (len(prepared.train_items), len(prepared.eval_items)))
    return Cost(steps, size, each, START_S + once, guess)
