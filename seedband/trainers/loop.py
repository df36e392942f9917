"""The training loop that lora and head share: AdamW, warm-up and schedule, clipping, accumulation, bf16 where asked.

Nothing in it draws from a global generator: the order comes from `seeding`, masks from `KeyedDropout`, and there is
no data loader that would draw a base seed. Evaluation happens after training, on the saved checkpoint.
"""

import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from transformers import get_scheduler

from seedband.determinism import lines_sha256, tensors_sha256
from seedband.errors import UsageError
from seedband.initializers import is_lora, plain_name
from seedband.records import SeedRun, TrainSection
from seedband.seeding import epoch_order
from seedband.trainers import Report, TrainContext, resume, trace_path
from seedband.trainers.dropout import KeyedDropout

#: `[train] schedule` → what transformers calls it, each with a warm-up.
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


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
        left_padded: Whether batches are padded on the left.
    """

    module: torch.nn.Module
    loss: Callable[[Sequence[int]], torch.Tensor]
    units: Callable[[Sequence[int]], int]
    parameters: Sequence[Named]
    new: Sequence[Named]
    left_padded: bool = False


@dataclass(frozen=True)
class Course:
    """How training went.

    Attributes:
        failure: Why it failed to train; empty otherwise.
        witnesses: Hashes of its draws, losses and final tensors.
        steps: Optimizer steps taken.
    """

    failure: str
    witnesses: dict[str, Any]
    steps: int


@dataclass(frozen=True)
class Step:
    """One optimizer step: the rows of each of its forward passes."""

    number: int
    epoch: int
    passes: Sequence[Sequence[int]]


def initial_witness(trainable: Trainable) -> dict[str, str | None]:
    """Hashes of what training starts from.

    What was drawn is hashed apart for adapter and head: an adapter that all seeds share must not hide behind heads
    that differ.
    """
    drawn = [(plain_name(name), parameter) for name, parameter in trainable.new]
    groups = {
        "init": [(plain_name(name), parameter) for name, parameter in trainable.parameters],
        "init_adapter": [pair for pair in drawn if is_lora(pair[0])],
        "init_head": [pair for pair in drawn if not is_lora(pair[0])],
    }
    return {name: tensors_sha256(pairs) if pairs else None for name, pairs in groups.items()}


def fit(context: TrainContext, trainable: Trainable, run: SeedRun, report: Report) -> Course:
    """Train one run to its end, or to the step at which its loss or weights stop being finite.

    A run that was killed goes on from its last training checkpoint, to the same bits.
    """
    section, folder = context.recipe.train, Path(run.folder)
    total = section.planned_steps(len(context.items))
    optimizer = _optimizer(trainable, section)
    orders = [epoch_order(run.streams["order"], epoch, context.item_keys) for epoch in range(section.epochs)]
    witnesses: dict[str, Any] = initial_witness(trainable)
    witnesses["order"] = lines_sha256(context.item_keys[row] for order in orders for row in order)
    before = resume.load(folder, trainable.parameters, optimizer, witnesses, context.identity)
    done, traced, losses = 0, 0, list[str]()
    if isinstance(before, str) and before:
        text = f"seed {run.seed} starts anew: its training checkpoint {before}"
        report("warning", run.seed, {"text": text})
    if isinstance(before, resume.Progress):
        done, traced, losses, witnesses = before.steps, before.trace_bytes, list(before.losses), before.witnesses
        report("witness", run.seed, witnesses)
        report("note", run.seed, {"text": f"seed {run.seed} goes on from step {done} of {total}"})
    schedule = _schedule(optimizer, section, total, done)
    failure = ""
    stream, left_padded = run.streams["dropout"], trainable.left_padded
    masks = KeyedDropout(trainable.module, stream, _module_name, left_padded=left_padded)
    if section.gradient_checkpointing:
        _recompute(trainable.module, masks)
    with _trace(trace_path(folder), traced) as trace, masks:
        for step in itertools.islice(_steps(orders, section, total), done, None):
            loss, norm = _backward(trainable, masks, step, context)
            if step.number == 0:
                witnesses["dropout"] = masks.witness()
                report("witness", run.seed, witnesses)
            rate = schedule.get_last_lr()[0]
            _write_step(trace, step, loss, rate, norm)
            losses.append(repr(loss))
            if not (math.isfinite(loss) and math.isfinite(norm)):
                failure = f"the {'loss' if not math.isfinite(loss) else 'gradient'} is not finite at step {step.number}"
                break
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            if section.save_steps and (step.number + 1) % section.save_steps == 0:
                trace.flush()
                os.fsync(trace.fileno())
                progress = resume.Progress(step.number + 1, tuple(losses), witnesses, trace.tell())
                resume.save(folder, trainable.parameters, optimizer, progress, context.identity)
            report("step", run.seed, {"step": step.number + 1, "steps": total, "loss": loss})
    if not failure and not all(bool(torch.isfinite(p).all()) for _, p in trainable.parameters):
        failure = "a weight is not finite after the last step"
    witnesses["losses"] = lines_sha256(losses)
    witnesses["final"] = tensors_sha256((plain_name(name), p) for name, p in trainable.parameters)
    return Course(failure, witnesses, len(losses))


def _schedule(optimizer: torch.optim.Optimizer, section: TrainSection, total: int, done: int) -> Any:
    """The learning rates, from the step that comes next."""
    schedule = get_scheduler(SCHEDULES[section.schedule], optimizer, math.ceil(total * section.warmup_ratio), total)
    if done:
        schedule.load_state_dict({**schedule.state_dict(), "last_epoch": done, "_step_count": done + 1})
        rates = [base * rate(done) for base, rate in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)]
        schedule._last_lr = rates  # noqa: SLF001  what get_last_lr reads, and no method sets
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
    return schedule


def _trace(path: Path, kept: int) -> TextIO:
    """trace.jsonl, open after the steps that were done; they are never rewritten, for a second kill would lose them."""
    trace = path.open("r+" if kept else "w", encoding="utf-8")
    trace.seek(kept)
    trace.truncate()
    return trace


def _optimizer(trainable: Trainable, section: TrainSection) -> torch.optim.AdamW:
    """Biases and norms, the tensors of one dimension, are not decayed."""
    decayed = [p for _, p in trainable.parameters if p.dim() > 1]
    others = [p for _, p in trainable.parameters if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": section.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=section.learning_rate)


def _steps(orders: Sequence[Sequence[int]], section: TrainSection, total: int) -> Iterator[Step]:
    number = 0
    for epoch, order in enumerate(orders):
        batches = [order[start : start + section.batch_size] for start in range(0, len(order), section.batch_size)]
        for start in range(0, len(batches), section.gradient_accumulation):
            if number == total:
                return
            yield Step(number, epoch, batches[start : start + section.gradient_accumulation])
            number += 1


def _backward(trainable: Trainable, masks: KeyedDropout, step: Step, context: TrainContext) -> tuple[float, float]:
    """Gradients of one optimizer step; returns its mean loss over units and the norm before clipping."""
    section, device = context.recipe.train, context.device
    units = sum(trainable.units(rows) for rows in step.passes)
    loss = torch.zeros((), device=device)
    for accumulated, rows in enumerate(step.passes):
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


def _write_step(trace: TextIO, step: Step, loss: float, rate: float, norm: float) -> None:
    """One line of trace.jsonl; a loss that is not finite is written as text, for JSON has no word for it."""
    values = {"loss": loss, "learning_rate": rate, "gradient_norm": norm}
    finite = {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
    trace.write(json.dumps({"step": step.number, "epoch": step.epoch, **finite}) + "\n")


def _module_name(name: str) -> str:
    """Name of a module, free of PEFT's wrappers, so that its masks survive a change of recipe."""
    return plain_name(f"{name}.").rstrip(".")
