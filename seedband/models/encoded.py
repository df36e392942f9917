"""Encoded rows: what a task makes of items, for training and for scoring, and what was cut from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from seedband.counts import counted, plural

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Truncation:
    """What was left out of some rows to keep within `[model] max_length`.

    A language model's rows are counted as a prompt with its completion: so they are learnt, and so the likelihood of a
    reference is found. It answers the prompt alone, which is counted in `questions`.

    Attributes:
        rows: Rows that were cut.
        tokens: Tokens that they lost, all together.
        prompts: Rows among them of whose prompt one token remains, or none.
        completions: Rows among them whose completion lost its end.
        questions: Rows among them whose prompt is too long by itself, so that its start was missing when it was
            answered.
    """

    rows: int = 0
    tokens: int = 0
    prompts: int = 0
    completions: int = 0
    questions: int = 0

    def in_words(self, what: str, n_rows: int, max_length: int) -> str:
        """Describe on one line what was cut; empty when nothing was.

        Examples:
            >>> Truncation(3, 40).in_words("eval", 90, 64)
            'eval: 3 of 90 rows were cut to model.max_length = 64, by 40 tokens in all'
        """
        if not self.rows:
            return ""
        limit = f"model.max_length = {max_length}"
        message = f"{what}: {self.rows} of {counted(n_rows, 'row')} {plural(self.rows, 'was', 'were')} cut to {limit}"
        message += f", by {counted(self.tokens, 'token')} in all"
        message += f"; {self.prompts} lost all of the prompt but a token at most" if self.prompts else ""
        message += f"; {self.completions} lost the end of the completion" if self.completions else ""
        return message + (f"; {self.questions} answered without the start of the prompt" if self.questions else "")


class Lesson(Protocol):
    """Rows to learn from or to be asked about, encoded once for all seeds of a job."""

    #: Whether a batch is padded on the left.
    left_padded: bool
    #: Whether the rows of a batch must be of one length; see `padding`.
    equal_lengths: bool
    #: What was left out of them.
    truncated: Truncation

    @property
    def lengths(self) -> Sequence[int]:
        """Length of every row in a batch, in tokens where it is text: rows of like length share batches best."""
        ...

    @property
    def sides(self) -> Sequence[bool]:
        """On which sides a batch may be padded, as `left_padded` says it, the first choice first."""
        ...

    def batch(self, rows: Sequence[int], device: "torch.device") -> "dict[str, torch.Tensor]":
        """Some rows as the model reads them, padded."""
        ...

    def loss(self, logits: "torch.Tensor", rows: Sequence[int]) -> "torch.Tensor":
        """Sum of the losses of all units in these rows, given their logits."""
        ...

    def units(self, rows: Sequence[int]) -> int:
        """Number of units over which the loss of these rows is averaged: rows, or tokens of their completions."""
        ...

    def misread(self, pad_id: int | None) -> bool:
        """Whether padding that was found by this id, or written into answers, gave other numbers than rows alone."""
        ...


def probe_rows(lesson: Lesson) -> list[int]:
    """Rows to try a network on, of several lengths, so that some are padded; not the longest, which would cost most."""
    order = sorted(range(len(lesson.lengths)), key=lesson.lengths.__getitem__)
    chosen = {order[part * len(order) // 4] for part in range(4)}
    differ = len({lesson.lengths[row] for row in chosen}) > 1
    return sorted(chosen if differ else {*chosen, order[-1]})


def by_length(lengths: Sequence[int]) -> list[int]:
    """Rows from short to long: batches of rows of like length waste little on padding."""
    return sorted(range(len(lengths)), key=lengths.__getitem__)


def batches(lengths: Sequence[int], size: int, *, equal: bool) -> list[list[int]]:
    """Rows from short to long, in batches; those of a batch are of one length where that is asked for.

    Examples:
        >>> batches([5, 3, 4, 3], 3, equal=False)
        [[1, 3, 2], [0]]
        >>> batches([5, 3, 4, 3], 3, equal=True)
        [[1, 3], [2], [0]]
    """
    order = by_length(lengths)
    parts = [list(part) for _, part in groupby(order, key=lengths.__getitem__)] if equal else [order]
    return [part[start : start + size] for part in parts for start in range(0, len(part), size)]
