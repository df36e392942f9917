"""Frozen prefix: layers below the first that is trained, where nothing drops out, say the same of a row every time.

What enters the first trained layer is computed once per row and replayed in every epoch, under every seed, as far as
the architecture lets it: what is replayed must give the logits of the whole network, bit for bit.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import nn

from seedband.errors import UsageError
from seedband.events import Emit
from seedband.models.encoded import Lesson, by_length, probe_rows
from seedband.models.loading import Network
from seedband.models.speedups.feature_cache import DROPPED, FeatureCache, is_near
from seedband.models.speedups.layers import layers_of
from seedband.models.trial import in_eval, trial_logits

#: Rows of which states are computed in one forward pass.
BATCH = 64
#: Bytes of states that are kept; with more, the layers are run each time, and that is told.
MAX_BYTES = 4 * 1024**3
BYTES = 4


class Prefix:
    """The lower layers of a model, replayed: a lesson of which each batch says what they would say of its rows.

    Args:
        layers: All layers of the model.
        depth: How many are replayed.
        lesson: The rows.

    Attributes:
        states: What enters the first that is not, of every row, shape (tokens of the row, width).
        entering: That of the last batch, shape (rows, tokens, width).
    """

    def __init__(self, layers: nn.ModuleList, depth: int, lesson: Lesson) -> None:
        self._layers, self._taken, self._lesson = layers, list(layers)[:depth], lesson
        self.lengths, self.left_padded, self.truncated = lesson.lengths, lesson.left_padded, lesson.truncated
        self.equal_lengths, self.sides, self.misread = lesson.equal_lengths, lesson.sides, lesson.misread
        self.loss, self.units = lesson.loss, lesson.units
        self.targets: Any = getattr(lesson, "targets", None)  # of rows with classes
        self.states: Mapping[int, torch.Tensor] = {}
        self.entering = torch.empty(0)

    def replay(self) -> None:
        """Have the layers say what is known."""
        for index, layer in enumerate(self._taken):
            layer.forward = _skip if index else self._say

    def restore(self) -> None:
        """Have the layers compute again."""
        for layer in self._taken:
            vars(layer).pop("forward", None)

    def _say(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.entering

    def batch(self, rows: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """Some rows as the model reads them, of which the next forward pass is."""
        states = [self.states[row] for row in rows]
        longest = max(len(state) for state in states)
        batch = torch.zeros(len(rows), longest, states[0].shape[1])
        for place, state in zip(batch, states, strict=True):
            start = longest - len(state) if self.left_padded else 0
            place[start : start + len(state)] = state
        self.entering = batch.to(device)
        return self._lesson.batch(rows, device)


def _skip(*given: Any, **keywords: Any) -> Any:
    return given[0] if given else keywords["hidden_states"]


def freeze_prefix(
    network: Network,
    lesson: Lesson,
    device: torch.device,
    cache: FeatureCache,
    key: Sequence[Any],
    emit: Emit,
) -> Prefix | None:
    """Replay as many layers of a network as training leaves alone; None where there are none.

    Args:
        network: In the mode in which it is used; what requires no gradient is the base's.
        lesson: The rows that it will be used on.
        device: Where it is.
        cache: Where states are kept.
        key: What they depend on beside their depth and their padding: base, rows, how they are read.
        emit: Told where they would take more than `MAX_BYTES`, and the layers are run each time.
    """
    layers, rows = layers_of(network.module), probe_rows(lesson)
    probe = lesson.batch(rows, device)
    # Where padding leaks, what a row's tokens say hangs on the batch that it is padded in.
    depth = 0 if layers is None or lesson.equal_lengths else _reach(network, layers, probe)
    if layers is None or depth == 0:
        return None
    states = [_entering(network, layers[depth], probe) for _ in range(2)]
    with in_eval(network.module), torch.no_grad():
        calm, whole = _entering(network, layers[depth], probe), network.forward(probe)
    if calm is None or not all(state is not None and torch.equal(state, calm) for state in states):
        return None
    tried = {row: _without_padding(lesson, state, row, rows) for row, state in zip(rows, calm, strict=True)}
    counted = all(len(state) == lesson.lengths[row] for row, state in tried.items())
    tokens = sum(lesson.lengths) if counted else len(lesson.lengths) * calm.shape[1]
    if (size := tokens * calm.shape[2] * BYTES) > MAX_BYTES:
        text = (
            f"what enters layer {depth} takes {size / 2**30:.1f} GiB, and {MAX_BYTES / 2**30:.0f} GiB at most is kept"
        )
        emit("warning", None, {"text": f"{text}: the layers below are run each time"})
        return None
    prefix = Prefix(layers, depth, lesson)
    prefix.states = tried
    if not _says(network, prefix, rows, device, whole):
        return None
    key = [*key, "prefix", depth, *(["left"] if lesson.left_padded and len(lesson.sides) > 1 else [])]
    for place in (cache, FeatureCache()):
        prefix.states = _known(network, layers[depth], lesson, device, place, key)
        if all(is_near(prefix.states[row], state) for row, state in tried.items()):
            if place is not cache:
                cache.drop(key, -(-len(lesson.lengths) // BATCH))
                emit("warning", None, {"text": DROPPED})
            prefix.replay()
            return prefix
    return None  # what a row's tokens say hangs on the batch that it is padded in


def _says(network: Network, prefix: Prefix, rows: Sequence[int], device: torch.device, whole: torch.Tensor) -> bool:
    """Check whether a network says the same of some rows, bit for bit, with its prefix replayed."""
    prefix.replay()
    with in_eval(network.module):
        logits = trial_logits(network, prefix.batch(rows, device))
    prefix.restore()
    return logits is not None and torch.equal(logits, whole)


def still_prefix(network: Network, lesson: Lesson, device: torch.device) -> None:
    """Have nothing drop out of what runs before the first layer that is trained: it says what it says in scoring.

    Args:
        network: In training mode; what requires no gradient is the base's.
        lesson: The rows that it will be trained on.
        device: Where it is.

    Raises:
        UsageError: What runs below cannot be told.
    """
    layers, called = layers_of(network.module), _called(network, lesson.batch(probe_rows(lesson), device))
    if layers is None or any(layer not in called for layer in layers):
        raise UsageError(
            "train.frozen_dropout: false asks for layers below the first that is trained to be as in scoring, and of"
            f" {type(network.module).__name__} it cannot be told which those are",
            hint="leave frozen_dropout out: all layers drop out then",
        )
    for module in _below(layers, called):
        module.eval()


def _reach(network: Network, layers: nn.ModuleList, probe: Mapping[str, torch.Tensor]) -> int:
    """How many layers run before the first that is trained.

    None where something that is trained may be read before that layer, by whichever way.
    """
    called = _called(network, probe)
    if any(layer not in called for layer in layers):
        return 0
    below = _below(layers, called)
    # The last is run, so that what it says has the form that the model expects.
    depth = min(sum(layer in below for layer in layers), len(layers) - 1)
    first = called.index(layers[depth])
    above = {inner for layer in layers[depth:] for inner in layer.modules()} | set(called[first:])
    trained = (m for m in network.module.modules() if any(p.requires_grad for p in m.parameters(recurse=False)))
    return depth if all(module in above for module in trained) else 0


def _below(layers: nn.ModuleList, called: Sequence[nn.Module]) -> list[nn.Module]:
    """Modules that run before the first that is trained, given all in the order in which they run.

    What holds the layers begins before them, and is not over.
    """
    inside = [module for module in called if all(inner is not layers for inner in module.modules())]
    return list(takewhile(lambda module: not any(p.requires_grad for p in module.parameters()), inside))


def _called(network: Network, batch: Mapping[str, torch.Tensor]) -> list[nn.Module]:
    """Modules in the order in which they run first."""
    called: dict[nn.Module, None] = {}
    modules = list(network.module.modules())
    handles = [module.register_forward_pre_hook(lambda m, _: called.setdefault(m)) for module in modules]
    try:
        with in_eval(network.module), torch.no_grad():
            network.forward(batch)
    finally:
        for handle in handles:
            handle.remove()
    return list(called)


class _Reached(Exception):
    """A forward pass came to the layer that was waited for: the rest of it is of no use."""


def _entering(network: Network, layer: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """What enters a layer, shape (rows, tokens, width); None where that is something else."""
    found: list[Any] = []

    def stop(_module: nn.Module, given: Any, keywords: Mapping[str, object]) -> None:
        found.append(given[0] if given else keywords.get("hidden_states"))
        raise _Reached

    handle = layer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with torch.no_grad():
            network.forward(batch)
    except _Reached:
        pass
    finally:
        handle.remove()
    state = found[0] if found else None
    return state if isinstance(state, torch.Tensor) and state.dim() == 3 else None  # noqa: PLR2004


def _known(
    network: Network, layer: nn.Module, lesson: Lesson, device: torch.device, cache: FeatureCache, key: Sequence[Any]
) -> dict[int, torch.Tensor]:
    """What enters a layer of every row, without padding."""
    order = by_length(lesson.lengths)
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]

    def compute(index: int) -> torch.Tensor:
        rows = batches[index]
        with in_eval(network.module):
            states = _entering(network, layer, lesson.batch(rows, device))
        assert states is not None
        own = [_without_padding(lesson, state, row, rows) for state, row in zip(states, rows, strict=True)]
        return torch.cat(own).cpu()

    known: dict[int, torch.Tensor] = {}
    for index, part in cache.parts(key, len(batches), compute):
        rows = batches[index]
        lengths = [lesson.lengths[row] for row in rows]
        sizes = lengths if sum(lengths) == len(part) else [len(part) // len(rows)] * len(rows)
        known |= zip(rows, torch.split(part, sizes), strict=True)
    return known


def _without_padding(lesson: Lesson, state: torch.Tensor, row: int, rows: Sequence[int]) -> torch.Tensor:
    """The tokens of a row of a batch; all of them where its length does not count them, as that of an image."""
    longest = max(lesson.lengths[other] for other in rows)
    padding = longest - lesson.lengths[row] if len(state) == longest else 0
    return state[padding:] if lesson.left_padded else state[: len(state) - padding]
