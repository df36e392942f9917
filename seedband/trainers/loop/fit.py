"""The training loop that lora and head share: AdamW, warm-up and schedule, clipping, accumulation, bf16 where asked.

Nothing in it draws from a global generator: the order comes from `seeding`, masks from `KeyedDropout`, and there is
no data loader that would draw a base seed. Evaluation happens after training, on the saved checkpoint.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from seedband.errors import UsageError
from seedband.models.initializers import plain_name
from seedband.models.speedups.packing import Layout
from seedband.recipe.sections import TrainSection
from seedband.trainers import Report, SeedRun, TrainContext
from seedband.trainers.loop.dropout import KeyedDropout
from seedband.trainers.loop.journal import Course, Journal
from seedband.trainers.loop.optimizer import adamw, schedule_of
from seedband.trainers.loop.steps import Step

Named = tuple[str, torch.nn.Parameter]


@dataclass(frozen=True)
class Trainable:
    """What the loop trains.

    Attributes:
        module: Holds every weight, in train mode where it shall drop out.
        loss: Sum of the losses of some rows of the training data, given their indices.
        units: How many units they have, over which the loss is averaged.
        parameters: The trainable tensors with their names.
        new: Those among them that were drawn, not loaded.
        layout: Where the tokens of the batch at hand lie, where its rows may be packed.
        left_padded: Whether batches are padded on the left.
        parts: Rows of a forward pass that are computed together: all of them unless said.
    """

    module: torch.nn.Module
    loss: Callable[[Sequence[int]], torch.Tensor]
    units: Callable[[Sequence[int]], int]
    parameters: Sequence[Named]
    new: Sequence[Named]
    layout: Layout | None = None
    left_padded: bool = False
    parts: Callable[[Sequence[int]], Sequence[Sequence[int]]] = lambda rows: [rows]


def fit(context: TrainContext, trainable: Trainable, run: SeedRun, report: Report) -> Course:
    """Train one run to its end, or to the step at which its loss or weights stop being finite."""
    section = context.recipe.train
    optimizer = _optimizer(trainable, section)
    masks = KeyedDropout(
        trainable.module,
        run.streams["dropout"],
        _module_name,
        left_padded=trainable.left_padded,
        layout=trainable.layout,
    )
    if section.gradient_checkpointing:
        _recompute(trainable.module, masks)
    with Journal(context, run, trainable.parameters, trainable.new, optimizer, report) as journal, masks:
        schedule = schedule_of(optimizer, section, journal.total, journal.done)
        for step in journal.steps():
            loss, norm = _backward(trainable, masks, step, context)
            if step.number == 0:
                journal.began(masks.witness())
            journal.write(step, loss, schedule.get_last_lr()[0], norm)
            if journal.failure:
                break
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            journal.stepped(step)
        return journal.course()


def _optimizer(trainable: Trainable, section: TrainSection) -> torch.optim.AdamW:
    """Biases and norms are the tensors of one dimension."""
    decayed = [p for _, p in trainable.parameters if p.dim() > 1]
    return adamw(decayed, [p for _, p in trainable.parameters if p.dim() <= 1], section)


def _backward(trainable: Trainable, masks: KeyedDropout, step: Step, context: TrainContext) -> tuple[float, float]:
    """Gradients of one optimizer step; returns its mean loss over units and the norm before clipping."""
    section, device = context.recipe.train, context.device
    units = sum(trainable.units(rows) for rows in step.passes)
    loss = torch.zeros((), device=device)
    parts = (part for rows in step.passes for part in trainable.parts(rows))
    for accumulated, rows in enumerate(parts):
        masks.start_pass(step.number, accumulated, step.epoch, [context.item_keys[row] for row in rows])
        with _precision(section.precision, device):
            share = trainable.loss(rows) / units
        share.backward()  # type: ignore[no-untyped-call]
        loss += share.detach()
    norm = torch.nn.utils.clip_grad_norm_([p for _, p in trainable.parameters], section.max_grad_norm)
    return float(loss), float(norm)


def _recompute(module: Any, masks: KeyedDropout) -> None:
    """Have activations computed again in the backward pass, under the masks that they were computed under."""
    if not getattr(module, "supports_gradient_checkpointing", False):
        raise UsageError(
            f"train.gradient_checkpointing: {type(module).__name__} does not support it",
            hint="leave it false; a smaller train.batch_size with train.gradient_accumulation saves memory, too",
        )
    # The second is what transformers called the first before 5.23.
    names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
    enable = next(getattr(module, name) for name in names if hasattr(module, name))
    enable({"use_reentrant": False, "context_fn": masks.checkpointed})


def _precision(precision: str, device: str) -> AbstractContextManager[Any]:
    return torch.autocast(device, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def _module_name(name: str) -> str:
    """Name of a module, free of PEFT's wrappers, so that its masks survive a change of recipe."""
    return plain_name(f"{name}.").rstrip(".")
