"""Padding: what a model says of a row must not hang on the rows beside it.

Most architectures mask padding well; some let it leak. So at the load of a base a few rows are computed alone and
padded, on each side that its tokenizer knows; where both differ, batches hold rows of equal length.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import torch

from seedband.counts import counted
from seedband.errors import UsageError
from seedband.events import Emit
from seedband.models.encoded import Lesson, probe_rows
from seedband.models.loading import Network
from seedband.models.trial import in_eval, trial_logits

if TYPE_CHECKING:
    from torch import nn

#: How far logits of a row may lie apart, beside how far those of two rows do.
NEAR = 1e-3
#: Likewise beside the logits: what rounding leaves of rows that say nearly the same.
ROUNDED = 1e-5
#: Version of how rows are padded, where that gives other numbers than at first.
VERSION = 2


@dataclass(frozen=True)
class Way:
    """How rows of a base share batches.

    Attributes:
        left: Whether they are padded on the left.
        equal: Whether they are of equal length instead.
        pad_id: Id by which the base would look for padding; None where it does not.
        tried: Whether rows of several lengths have shown that.
    """

    left: bool
    equal: bool
    pad_id: int | None
    tried: bool


#: What is known of the bases of one job, by how they are read.
Ways = MutableMapping[str, Way]


def settle(network: Network, lesson: Lesson, device: torch.device | str, ways: Ways, reads: str, emit: Emit) -> None:
    """Have a lesson make batches in which padding changes nothing.

    Args:
        network: The base, ready to classify or to speak.
        lesson: Its rows.
        device: Where the network is.
        ways: What is known in this job; found out, and added, where it is not.
        reads: What of the base is read: "model" or a pooling.
        emit: Told where rows cannot be padded.

    Raises:
        UsageError: The network cannot read a row by itself, or says something else of it each time.
    """
    if is_unknown(lesson, ways.get(reads)):
        ways[reads] = _way(network, lesson, torch.device(device))
        if ways[reads].equal:
            text = "what this model says of a row changes with the padding beside it: batches hold rows of equal length"
            emit("warning", None, {"text": text})
    lesson.left_padded, lesson.equal_lengths = ways[reads].left, ways[reads].equal


def is_unknown(lesson: Lesson, way: Way | None) -> bool:
    """Check whether it has yet to be found out how these rows share batches."""
    return way is None or (not way.tried and _padded(lesson))


def version(lesson: Lesson, way: Way) -> int:
    """Version of how the rows of a lesson are padded: 2 where the first gave other numbers, else 1."""
    moved = way.equal or way.left != lesson.sides[0]
    return VERSION if (moved and _padded(lesson)) or lesson.misread(way.pad_id) else 1


def equal_parts(lesson: Lesson, rows: Sequence[int]) -> list[list[int]]:
    """Rows that are computed together: all of them, or those of each length where padding would leak."""
    if not lesson.equal_lengths:
        return [list(rows)]
    ordered = sorted(rows, key=lesson.lengths.__getitem__)
    return [list(part) for _, part in groupby(ordered, key=lesson.lengths.__getitem__)]


@contextmanager
def drawn_alike(heads: Sequence["nn.Parameter"]) -> Iterator[None]:
    """While something is tried all seeds have the same head: they decide alike, and one of zeros would show nothing."""
    own = [head.detach().clone() for head in heads]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for head in heads:
            head.copy_(torch.randn(head.shape, generator=generator))
    try:
        yield
    finally:
        with torch.no_grad():
            for head, values in zip(heads, own, strict=True):
                head.copy_(values)


def new_parameters(network: Network) -> "list[nn.Parameter]":
    """Those that the base lacks."""
    return [parameter for name, parameter in network.module.named_parameters() if name in network.new]


def _padded(lesson: Lesson) -> bool:
    return len(set(lesson.lengths)) > 1


def _way(network: Network, lesson: Lesson, device: torch.device) -> Way:
    if max(lesson.lengths) > 1:
        _check_constant(network, lesson, device)
    if not _padded(lesson):
        return Way(lesson.sides[0], equal=False, pad_id=network.pad_id, tried=False)
    rows = probe_rows(lesson)
    with in_eval(network.module):
        alone = [_alone(network, lesson, row, device) for row in rows]
        for left in lesson.sides:
            lesson.left_padded = left
            if _agree(trial_logits(network, lesson.batch(rows, device)), alone):
                return Way(left, equal=False, pad_id=network.pad_id, tried=True)
    return Way(lesson.sides[0], equal=True, pad_id=network.pad_id, tried=True)


def _check_constant(network: Network, lesson: Lesson, device: torch.device) -> None:
    """Refuse a network that says something else of a row each time, or once it has read a shorter one."""
    order = sorted(range(len(lesson.lengths)), key=lesson.lengths.__getitem__)
    with in_eval(network.module):
        first, _, again = (
            _alone(network, lesson, row, device).nan_to_num() for row in (order[-1], order[0], order[-1])
        )
    if not _agree(again.unsqueeze(0), [first]):
        raise UsageError(
            f"{_name(network.module)} says something else of one row each time, or after rows of other lengths",
            hint="take another base; a BigBird can be given attention_type = original_full in its config.json",
        )


def _alone(network: Network, lesson: Lesson, row: int, device: torch.device) -> torch.Tensor:
    batch = lesson.batch([row], device)
    try:
        with torch.no_grad():
            return network.forward(batch)[0]
    except Exception as error:
        text = f"{_name(network.module)} cannot read a row of {counted(lesson.lengths[row], 'token')}"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{text}: {reason}", hint="leave such rows out, or take another base") from error


def _name(module: "nn.Module") -> str:
    """Class of the model that others may have been put around."""
    return next(
        (type(inner).__name__ for inner in module.modules() if hasattr(inner, "base_model_prefix")), "the model"
    )


def _agree(padded: torch.Tensor | None, alone: Sequence[torch.Tensor]) -> bool:
    """Whether rows say in one batch what each says alone: logits of classes, or of as many tokens from the end."""
    if padded is None:
        return False
    last = [own.reshape(-1, own.shape[-1])[-1] for own in alone]
    spread = max(float((own - last[0]).abs().max()) for own in last)
    for row, own in zip(padded, alone, strict=True):
        near = NEAR * spread + ROUNDED * float(own.abs().max())
        if not bool(((row if row.dim() == 1 else row[-len(own) :]) - own).abs().max() <= near):
            return False
    return True
