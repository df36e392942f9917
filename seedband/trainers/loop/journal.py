"""What a run keeps while it trains: losses, trace, witnesses, training checkpoints; and how it goes on from them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from seedband.determinism.seeds import epoch_order
from seedband.determinism.witnesses import lines_sha256, tensors_sha256
from seedband.models.initializers import is_lora, plain_name
from seedband.trainers import Report, SeedRun, TrainContext
from seedband.trainers.loop import resume
from seedband.trainers.loop.steps import Step, plan_steps
from seedband.trainers.loop.trace import Trace

Named = tuple[str, torch.nn.Parameter]


@dataclass(frozen=True)
class Course:
    """How training went.

    Attributes:
        failure: Why it failed to train; empty otherwise.
        witnesses: Hashes of its draws, losses and final tensors.
        steps: Optimizer steps taken.
    """

    failure: str
    witnesses: dict[str, str | None]
    steps: int


class Journal:
    """The journal of one run; a run that was killed goes on from its last training checkpoint, to the same bits.

    Args:
        context: Recipe and rows.
        run: Which run.
        parameters: Everything that is trained, as drawn; brought to where a killed run stopped.
        new: What of it was drawn.
        optimizer: Over them, not stepped yet; likewise.
        report: Told of steps and witnesses.

    Attributes:
        done: Steps that a killed run had taken.
        total: Steps in all.
        failure: Why the run fails to train, as soon as that is known.
    """

    def __init__(
        self,
        context: TrainContext,
        run: SeedRun,
        parameters: Sequence[Named],
        new: Sequence[Named],
        optimizer: resume.Moments,
        report: Report,
    ) -> None:
        self._context, self._section, self._folder = context, context.recipe.train, Path(run.folder)
        self._seed, self._parameters, self._optimizer, self._report = run.seed, parameters, optimizer, report
        self.total, self.failure = self._section.planned_steps(len(context.items)), ""
        self._orders = [
            epoch_order(run.streams["order"], epoch, context.item_keys) for epoch in range(self._section.epochs)
        ]
        drawn = lines_sha256(context.item_keys[row] for order in self._orders for row in order)
        progress = self._progress({**initial_witness(parameters, new), "order": drawn})
        self.done, self._losses, self._witnesses = progress.steps, list(progress.losses), progress.witnesses
        self._trace = Trace(self._folder, progress.trace_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._trace.close()

    def steps(self) -> Iterator[Step]:
        """The steps that are left."""
        return itertools.islice(plan_steps(self._orders, self._section, self.total), self.done, None)

    def began(self, dropout: str | None) -> None:
        """The first masks were drawn; their hash is the last witness of the run's draws."""
        self._witnesses["dropout"] = dropout
        self._report("witness", self._seed, self._witnesses)

    def write(self, step: Step, loss: float, rate: float, norm: float) -> None:
        """Gradients of a step are there: its loss, its learning rate and their norm before clipping."""
        self._trace.write(step, loss, rate, norm)
        self._losses.append(repr(loss))
        wrong = [name for name, value in (("loss", loss), ("gradient", norm)) if not math.isfinite(value)]
        if wrong:
            self.failure = f"the {wrong[0]} is not finite at step {step.number}"

    def stepped(self, step: Step) -> None:
        """The weights were changed: keep them where the recipe says so."""
        taken = step.number + 1
        if self._section.save_steps and taken % self._section.save_steps == 0:
            progress = resume.Progress(taken, tuple(self._losses), self._witnesses, self._trace.flushed())
            resume.save(self._folder, self._parameters, self._optimizer, progress, self._context.identity)
        self._report("step", self._seed, {"step": taken, "steps": self.total, "loss": float(self._losses[-1])})

    def course(self) -> Course:
        """The course, once the last step is taken or the run has failed."""
        if not self.failure and not all(bool(torch.isfinite(p).all()) for _, p in self._parameters):
            self.failure = "a weight is not finite after the last step"
        self._witnesses["losses"] = lines_sha256(self._losses)
        self._witnesses["final"] = tensors_sha256((plain_name(name), p) for name, p in self._parameters)
        return Course(self.failure, self._witnesses, len(self._losses))

    def _progress(self, witnesses: dict[str, str | None]) -> resume.Progress:
        """The progress of a killed run, or the beginning."""
        folder, identity = self._folder, self._context.identity
        before = resume.load(folder, self._parameters, self._optimizer, witnesses, identity)
        if isinstance(before, resume.Progress):
            self._report("witness", self._seed, before.witnesses)
            text = f"seed {self._seed} goes on from step {before.steps} of {self.total}"
            self._report("note", self._seed, {"text": text})
            return before
        if before:
            text = f"seed {self._seed} starts over: its training checkpoint {before}"
            self._report("warning", self._seed, {"text": text})
        return resume.Progress(0, (), witnesses)


def initial_witness(parameters: Sequence[Named], new: Sequence[Named]) -> dict[str, str | None]:
    """Hashes of what training starts from.

    What was drawn is hashed apart for adapter and head: an adapter that all seeds share must not hide behind heads
    that differ.
    """
    drawn = [(plain_name(name), parameter) for name, parameter in new]
    groups = {
        "init": [(plain_name(name), parameter) for name, parameter in parameters],
        "init_adapter": [pair for pair in drawn if is_lora(pair[0])],
        "init_head": [pair for pair in drawn if not is_lora(pair[0])],
    }
    return {name: tensors_sha256(pairs) if pairs else None for name, pairs in groups.items()}
