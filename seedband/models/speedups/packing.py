"""Packing: rows of a batch lie one behind the other, without padding, wherever tokens are treated one by one.

Only attention sees rows, and gets them padded, in groups of like length. Which rows make a batch stays as it was drawn;
what is left out is what would have been computed of padding, and nobody reads that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from seedband.models.encoded import Lesson, probe_rows
from seedband.models.loading import Network
from seedband.models.speedups.layers import agree, layers_of
from seedband.models.trial import in_eval, trial_logits

#: Dimensions of what holds a state per token: (rows, tokens, width).
STATES = 3
#: What attention costs per call beside its pairs of tokens, in those: about 0.5 ms of calls on a CPU, 0.5 µs a pair.
OVERHEAD = 1000


@dataclass(frozen=True)
class Group:
    """Packed rows of like length, which attention sees side by side.

    Attributes:
        rows: Their places in the batch.
        tokens: Where they lie among all packed tokens.
        seen: Tokens of the padded batch that hold theirs.
        longest: Tokens of the longest.
        places: Where their tokens go among those of the group once it is padded.
    """

    rows: Sequence[int]
    tokens: slice
    seen: slice
    longest: int
    places: torch.Tensor

    def pad(self, states: torch.Tensor) -> torch.Tensor:
        """Shape (1, heads, packed tokens, width) to (rows, heads, tokens, width); padding is zero."""
        own = states[0, :, self.tokens].transpose(0, 1)
        whole = own.new_zeros(len(self.rows) * self.longest, *own.shape[1:]).index_copy(0, self.places, own)
        return whole.view(len(self.rows), self.longest, *own.shape[1:]).transpose(1, 2)

    def pack(self, states: torch.Tensor) -> torch.Tensor:
        """Shape (rows, heads, tokens, width) to (1, heads, tokens of the group, width)."""
        return states.transpose(1, 2).flatten(0, 1)[self.places].transpose(0, 1)[None]


class Layout:
    """Where the tokens of the batch at hand lie.

    Attributes:
        order: Rows of the batch in the order in which they are packed, by length; empty while they are not.
        lengths: Their tokens.
        groups: The same rows as attention sees them.
        overhead: As in `group_sizes`.
    """

    def __init__(self) -> None:
        self.overhead = OVERHEAD
        self.order: list[int] = []
        self.lengths: list[int] = []
        self.groups: list[Group] = []
        self._rows, self._tokens = 0, 0
        self._places = self._first = torch.empty(0, dtype=torch.int64)

    def take(self, mask: torch.Tensor) -> None:
        """Pack the rows of a batch, given which of their tokens are no padding, shape (rows, tokens)."""
        self._rows, self._tokens = mask.shape
        lengths: list[int] = mask.sum(1).tolist()
        if min(lengths) == self._tokens:
            return self.leave()
        self.order = sorted(range(self._rows), key=lengths.__getitem__)
        self.lengths = [lengths[row] for row in self.order]
        self._places = torch.cat([mask[row].nonzero().flatten() + row * self._tokens for row in self.order])
        starts = torch.tensor([0, *self.lengths[:-1]], device=mask.device).cumsum(0)
        self._first = torch.empty_like(starts).index_copy(0, torch.tensor(self.order, device=mask.device), starts)
        self.groups = list(self._grouped(left_padded=not bool(mask[:, 0].all())))
        return None

    def leave(self) -> None:
        """The batch is over."""
        self.order, self.lengths, self.groups = [], [], []

    def pack(self, value: Any) -> Any:
        """States of all tokens, shape (rows, tokens, width), to those of no padding, shape (1, tokens, width)."""
        if isinstance(value, tuple):
            return tuple(map(self.pack, value))
        if not isinstance(value, torch.Tensor) or value.dim() != STATES or value.shape[1] != self._tokens:
            return value
        return value.expand(self._rows, -1, -1).flatten(0, 1)[self._places][None]

    def unpack(self, value: torch.Tensor) -> torch.Tensor:
        """The way back; padding is zero."""
        whole = value.new_zeros(self._rows * self._tokens, value.shape[-1])
        return whole.index_copy(0, self._places, value[0]).view(self._rows, self._tokens, -1)

    def is_packed(self, value: torch.Tensor) -> bool:
        """Check whether these are packed states."""
        return bool(self.order) and value.dim() == STATES and value.shape[:2] == (1, len(self._places))

    def first(self, value: torch.Tensor) -> torch.Tensor:
        """States of the first token of every row, shape (rows, 1, width)."""
        return value[0, self._first][:, None] if self.is_packed(value) else value[:, :1]

    def _grouped(self, *, left_padded: bool) -> Iterator[Group]:
        done = start = 0
        for size in group_sizes(self.lengths, self.overhead):
            lengths, rows = self.lengths[done : done + size], self.order[done : done + size]
            longest, tokens = lengths[-1], slice(start, start + sum(lengths))
            seen = slice(self._tokens - longest, self._tokens) if left_padded else slice(0, longest)
            shifts = [row * longest + (longest - n if left_padded else 0) for row, n in enumerate(lengths)]
            places = torch.cat([torch.arange(at, at + n) for at, n in zip(shifts, lengths, strict=True)])
            yield Group(rows, tokens, seen, longest, places.to(self._places.device))
            done, start = done + size, tokens.stop


def group_sizes(lengths: Sequence[int], overhead: int = OVERHEAD) -> list[int]:
    """How many rows at a time attention sees, where rows of other lengths would cost more than another call.

    Args:
        lengths: Tokens of every row, ascending.
        overhead: What a call costs beside its pairs of tokens, in those.

    Examples:
        >>> group_sizes([10, 12, 60, 64])
        [2, 2]
        >>> group_sizes([10, 11, 12, 12])
        [4]
    """
    saved = {n: n * (lengths[-1] ** 2 - lengths[n - 1] ** 2) for n in range(1, len(lengths))}
    at = max(saved, key=saved.__getitem__, default=0)
    if not at or saved[at] <= overhead:
        return [len(lengths)]
    return [*group_sizes(lengths[:at], overhead), *group_sizes(lengths[at:], overhead)]


class _GroupedAttention(TorchFunctionMode):
    """Attention, and it alone, is computed of rows."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._layout = layout

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, object] | None = None
    ) -> Any:
        if func is not functional.scaled_dot_product_attention or not self._layout.groups:
            return func(*args, **(kwargs or {}))
        attend: Any = func
        given = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False))
        given |= kwargs or {}
        states, mask = [given.pop(name) for name in ("query", "key", "value")], given.pop("attn_mask", None)
        said = []
        for group in self._layout.groups:
            own = None if mask is None else _of_group(mask, group)
            said.append(group.pack(attend(*map(group.pad, states), attn_mask=own, **given)))
        return torch.cat(said, dim=2)


def _of_group(mask: torch.Tensor, group: Group) -> torch.Tensor:
    """Which tokens of the group see which, shape (rows, heads, tokens, tokens); 1 stands for all of a kind."""
    rows = mask if mask.shape[0] == 1 else mask[list(group.rows)]
    one = slice(None)
    return rows[:, :, group.seen if mask.shape[2] > 1 else one, group.seen if mask.shape[3] > 1 else one]


def pack_rows(network: Network, lesson: Lesson, device: torch.device, layout: Layout) -> bool:
    """Have the layers of a network compute no padding, if what it says stays the same.

    Args:
        network: Its module is called with a batch as keywords, `attention_mask` among them. With a head of zeros
            nothing shows what changes: it is left as it is.
        lesson: The rows that it will be trained on.
        device: Where it is.
        layout: Follows every batch from now on.

    Returns:
        Whether they do; otherwise the network is as it was.
    """
    layers, batch = layers_of(network.module), lesson.batch(probe_rows(lesson), device)
    mask = batch.get("attention_mask")
    if layers is None or mask is None or bool(mask.all()):
        return False
    with in_eval(network.module), torch.no_grad():
        whole = network.forward(batch)
        handles = _install(network.module, layers, layout)
        layout.overhead = 0  # rows of every length by themselves: all that is done to them is tried
        packed = trial_logits(network, batch)
    layout.overhead = OVERHEAD
    if packed is not None and packed.shape == whole.shape and agree(_read(packed, mask), _read(whole, mask)):
        return True
    for handle in handles:
        handle.remove()
    return False


def _install(model: nn.Module, layers: nn.ModuleList, layout: Layout) -> list[Any]:
    attention = _GroupedAttention(layout)

    def begin(_module: nn.Module, _given: Any, keywords: Mapping[str, torch.Tensor]) -> None:
        layout.take(keywords["attention_mask"])
        attention.__enter__()  # type: ignore[no-untyped-call]

    def end(*_: Any) -> None:
        attention.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        layout.leave()

    def pack(_module: nn.Module, given: tuple[Any, ...], keywords: Mapping[str, object]) -> Any:
        if not layout.order:
            return None
        return layout.pack(given), {name: layout.pack(value) for name, value in keywords.items()}

    def unpack(_module: nn.Module, _given: Any, output: Any) -> Any:
        return layout.unpack(output) if isinstance(output, torch.Tensor) and layout.is_packed(output) else None

    handles = [layer.register_forward_pre_hook(pack, with_kwargs=True) for layer in layers]
    return [
        *handles,
        layers[-1].register_forward_hook(unpack),
        model.register_forward_pre_hook(begin, with_kwargs=True),
        model.register_forward_hook(end, always_call=True),
    ]


def _read(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Logits that a loss may read, of rows or of their last tokens: those of padding are none."""
    return logits[mask[:, -logits.shape[1] :].bool()] if logits.dim() == STATES else logits
