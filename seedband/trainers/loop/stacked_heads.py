"""Linear heads of many seeds trained at once: their weights are stacked, and every step is one batched product.

A seed's numbers do not depend on who it is stacked with. Products are batched, so each seed's is computed by itself;
what works by element or by row meets every seed at the same place in memory, for all sizes are padded to a multiple of
`ALIGN`; and what is summed is summed for each seed alone.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch.nn import functional

from seedband.determinism.seeds import derive
from seedband.recipe.sections import TrainSection
from seedband.trainers import Report, SeedRun, TrainContext
from seedband.trainers.loop.dropout import draw_kept, row_key
from seedband.trainers.loop.journal import Course, Journal, Named
from seedband.trainers.loop.optimizer import adamw, schedule_of
from seedband.trainers.loop.steps import Step

#: Elements that the widest vector instructions take at once.
ALIGN = 16
#: Heads that are stepped together: with their moments they stay in a processor's cache.
MAX_STACK = 16
#: What weights, gradients and moments of a stack take at most, where heads are large.
MAX_STACK_BYTES = 256 * 1024**2
#: How often a seed tells how far it is, over a run.
TOLD = 20


@dataclass(frozen=True)
class Fixed:
    """What all seeds have in common.

    Attributes:
        features: Of every training row, shape (n_rows, width).
        targets: Class of every row.
        layer: Name of the linear layer.
        dropout: Name of the dropout on the features.
        rate: Of that dropout.
    """

    features: torch.Tensor
    targets: torch.Tensor
    layer: str
    dropout: str
    rate: float


@dataclass(frozen=True)
class Drawn:
    """A head as it was drawn.

    Attributes:
        run: Which run.
        weight: Shape (classes, width).
        bias: Shape (classes,), if it has one.
    """

    run: SeedRun
    weight: torch.Tensor
    bias: torch.Tensor | None


class Fitted(NamedTuple):
    """A head that was trained: how that went, and its tensors by their names in the network."""

    run: SeedRun
    course: Course
    tensors: dict[str, torch.Tensor]


@dataclass
class _Views:
    """One seed's part of a stack, for its journal: named tensors, and an optimizer's state by tensor."""

    named: Sequence[Named]
    state: dict[torch.Tensor, Mapping[str, torch.Tensor]] = field(default_factory=dict)


def fit_stack(context: TrainContext, fixed: Fixed, heads: Sequence[Drawn], report: Report) -> Iterator[Fitted]:
    """Train heads side by side: no more than `stack_size`.

    Seeds that a kill left at different steps are trained in stacks of their own.
    """
    with ExitStack() as opened:
        seats = [_seat(context, fixed, head, report, opened) for head in heads]
        for done in sorted({seat.journal.done for seat in seats}):
            yield from _train(context, fixed, [seat for seat in seats if seat.journal.done == done])


def stack_size(weight: torch.Tensor, section: TrainSection, n_rows: int, *, biased: bool) -> int:
    """Number of heads that are stepped together: one wherever more would not give each the bits that it has alone.

    Args:
        weight: Of one of them, shape (classes, width).
        section: How they are trained.
        n_rows: Training rows.
        biased: Whether they have biases.
    """
    # Several threads, and a GPU, may share a stack out otherwise than one head.
    if torch.get_num_threads() > 1 or weight.device.type != "cpu":
        return 1
    size = min(MAX_STACK, MAX_STACK_BYTES // (4 * weight.nbytes))  # with gradient and two moments
    return size if size > 1 and _alike(weight.shape, section, size, n_rows, biased=biased) else 1


def _alike(shape: torch.Size, section: TrainSection, size: int, n_rows: int, *, biased: bool) -> bool:
    """Check whether heads take a step together as each does alone: a library may multiply many otherwise than one."""
    classes, width = shape
    drawn = torch.Generator().manual_seed(0)
    n = min(section.batch_size * section.gradient_accumulation, n_rows)
    features = torch.randn(size, n, width, generator=drawn)
    targets = torch.randint(classes, (size, n), generator=drawn)
    weights = torch.randn(size, classes, width, generator=drawn)

    def stepped(seeds: range) -> _Stack:
        stack = _Stack(len(seeds), shape, features.device, section, biased=biased)
        for index, seed in enumerate(seeds):
            stack.part(stack.weight, index).copy_(weights[seed])
        with torch.no_grad():
            stack.differentiate(features[seeds.start : seeds.stop], targets[seeds.start : seeds.stop])
            stack.optimizer.step()
        return stack

    for number in {2, size}:
        together = stepped(range(number))
        for seed in {0, number // 2, number - 1}:
            alone = stepped(range(seed, seed + 1))
            pairs = (alone.weight[0], together.weight[seed]), (alone.bias[0], together.bias[seed])
            if not all(torch.equal(*pair) for pair in pairs):
                return False
    return True


@dataclass
class _Seat:
    """One seed in a stack."""

    head: Drawn
    views: _Views
    journal: Journal


def _seat(context: TrainContext, fixed: Fixed, head: Drawn, report: Report, opened: ExitStack) -> _Seat:
    named = [(f"{fixed.layer}.weight", torch.nn.Parameter(head.weight))]
    if head.bias is not None:
        named.append((f"{fixed.layer}.bias", torch.nn.Parameter(head.bias)))
    views = _Views(named)
    seldom = _Seldom(report)
    return _Seat(head, views, opened.enter_context(Journal(context, head.run, named, named, views, seldom)))


@dataclass
class _Seldom:
    """A report that passes on a few of many steps: hundreds of seeds take them at one time."""

    report: Report

    def __call__(self, kind: str, seed: int | None, content: Mapping[str, object], /) -> None:
        step, steps = content.get("step"), content.get("steps")
        if not (isinstance(step, int) and isinstance(steps, int)) or step == steps or step % _often(steps) == 0:
            self.report(kind, seed, content)


def _often(steps: int) -> int:
    return max(1, steps // TOLD)


class _Stack:
    """Weights, biases and moments of some seeds, padded; each seed's own tensors are views of them."""

    def __init__(self, n: int, shape: torch.Size, device: torch.device, section: TrainSection, *, biased: bool) -> None:
        (self.classes, self.width), self.biased = shape, biased
        rows, columns = _padded(self.classes), _padded(self.width)
        self.weight = torch.zeros(n, rows, columns, device=device)
        self.bias = torch.zeros(n, rows, device=device)
        self.weight.grad, self.bias.grad = torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        self.optimizer = adamw([self.weight], [self.bias], section, fused=True)

    def part(self, stacked: torch.Tensor, index: int) -> torch.Tensor:
        """One seed's part of the weights or of the biases, or of their moments."""
        own = stacked[index, : self.classes]
        return own[:, : self.width] if own.dim() > 1 else own

    def seat(self, seats: Sequence[_Seat]) -> None:
        """Bring in what every seed has; from here on its tensors lie in the stack."""
        stacks = (self.weight, self.bias)
        for stacked in stacks:
            kept = {"exp_avg": torch.zeros_like(stacked), "exp_avg_sq": torch.zeros_like(stacked)}
            step = torch.tensor(float(seats[0].journal.done))
            self.optimizer.state[stacked] = {"step": step, **kept}
        for index, seat in enumerate(seats):
            for (_, parameter), stacked in zip(seat.views.named, stacks, strict=False):
                left = seat.views.state.get(parameter)
                state, own = self.optimizer.state[stacked], self.part(stacked, index)
                own.copy_(parameter.detach())
                parameter.data = own
                moments = {name: self.part(state[name], index) for name in ("exp_avg", "exp_avg_sq")}
                if left is not None:
                    for name, moment in moments.items():
                        moment.copy_(left[name])
                seat.views.state[parameter] = {"step": state["step"], **moments}

    def differentiate(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Gradients of every seed's mean cross-entropy; returns that of each row, shape (seeds, rows).

        The gradient by the logits is what softmax says less what is true.

        Args:
            features: What the heads read, shape (seeds, rows, width).
            targets: Class of each row, shape (seeds, rows).
        """
        n, features = features.shape[1], functional.pad(features, (0, self.weight.shape[2] - self.width))
        targets = targets.unsqueeze(2)
        products = torch.baddbmm(self.bias.unsqueeze(1), features, self.weight.transpose(1, 2))
        logits = products[:, :, : self.classes]
        found = -torch.log_softmax(logits, 2).gather(2, targets).squeeze(2)
        wrong = torch.zeros_like(products)
        wrong[:, :, : self.classes] = torch.softmax(logits, 2).scatter_add_(
            2, targets, torch.full_like(found, -1.0).unsqueeze(2)
        )
        wrong.div_(n)
        weight, bias = self.gradients()
        torch.bmm(wrong.transpose(1, 2), features, out=weight)
        if self.biased:
            torch.bmm(wrong.new_ones(len(features), 1, n), wrong, out=bias.unsqueeze(1))
        return found

    def gradients(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the weights and of the biases."""
        weight, bias = self.weight.grad, self.bias.grad
        assert weight is not None
        assert bias is not None
        return weight, bias


def _train(context: TrainContext, fixed: Fixed, seats: Sequence[_Seat]) -> Iterator[Fitted]:
    section, first = context.recipe.train, seats[0].head
    stack = _Stack(len(seats), first.weight.shape, first.weight.device, section, biased=first.bias is not None)
    stack.seat(seats)
    schedule = schedule_of(stack.optimizer, section, seats[0].journal.total, seats[0].journal.done)
    masks = _Masks(context, fixed, seats)
    ended: dict[int, Fitted] = {}
    with torch.no_grad():
        for steps in zip(*(seat.journal.steps() for seat in seats), strict=True):
            losses, norms = _gradients(fixed, stack, masks, steps, section.max_grad_norm)
            rate = schedule.get_last_lr()[0]
            for index, (seat, step) in enumerate(zip(seats, steps, strict=True)):
                if index in ended:
                    continue
                if step.number == 0:
                    seat.journal.began(masks.witness(index))
                seat.journal.write(step, losses[index], rate, norms[index])
                if seat.journal.failure:
                    ended[index] = _fitted(seat)
            if len(ended) == len(seats):
                break
            stack.optimizer.step()
            schedule.step()
            for index, (seat, step) in enumerate(zip(seats, steps, strict=True)):
                if index not in ended:
                    seat.journal.stepped(step)
    for index, seat in enumerate(seats):
        yield ended.get(index) or _fitted(seat)


def _fitted(seat: _Seat) -> Fitted:
    """A seed at its end; others of the stack may go on."""
    tensors = {name: parameter.detach().clone() for name, parameter in seat.views.named}
    return Fitted(seat.head.run, seat.journal.course(), tensors)


def _gradients(
    fixed: Fixed, stack: _Stack, masks: "_Masks", steps: Sequence[Step], max_norm: float
) -> tuple[list[float], list[float]]:
    """Gradients of one step, clipped for each seed; returns every seed's mean loss and norm before clipping."""
    rows = torch.tensor([step.rows for step in steps], device=fixed.features.device)
    found = stack.differentiate(masks.drop(fixed.features[rows], steps), fixed.targets[rows])
    weight, bias = stack.gradients()
    norms = [math.hypot(float(weight[index].norm()), float(bias[index].norm())) for index in range(len(steps))]
    scales = [min(1.0, max_norm / (norm + 1e-6)) for norm in norms]
    for gradient in (weight, bias):
        gradient.mul_(torch.tensor(scales, device=gradient.device).reshape(-1, *[1] * (gradient.dim() - 1)))
    return [math.fsum(row) / rows.shape[1] for row in found.tolist()], norms


class _Masks:
    """The dropout masks of some seeds: those that `KeyedDropout` draws for each of them."""

    def __init__(self, context: TrainContext, fixed: Fixed, seats: Sequence[_Seat]) -> None:
        self._keys, self._name, self._rate = context.item_keys, fixed.dropout, fixed.rate
        self._streams = [seat.head.run.streams["dropout"] for seat in seats]
        self._generator = torch.Generator(fixed.features.device)
        self._first: list[str | None] = [None] * len(seats)

    def drop(self, features: torch.Tensor, steps: Sequence[Step]) -> torch.Tensor:
        """Features, shape (seeds, rows, width), without those that are dropped."""
        if not self._rate:
            return features
        seeds = [
            derive(stream, row_key(step.epoch, self._keys[row]), self._name, 0)
            for stream, step in zip(self._streams, steps, strict=True)
            for row in step.rows
        ]
        kept = draw_kept([features.shape[2]] * len(seeds), self._rate, seeds, self._generator).view(features.shape)
        if steps[0].number == 0:
            self._first = [hashlib.sha256(mask.cpu().numpy().tobytes()).hexdigest() for mask in kept]
        return features * kept.to(features.dtype).mul_(1.0 / (1.0 - self._rate))

    def witness(self, index: int) -> str | None:
        """Hash of a seed's masks in the first step."""
        return self._first[index]


def _padded(n: int) -> int:
    return -(-n // ALIGN) * ALIGN
