"""Frozen prefix: layers below the first that is trained, where nothing drops out, say the same of a row every time.

What enters the first trained layer is computed once per row and replayed in every epoch, under every seed. The layers
below are taken out of the model, so nothing is left that could be run by mistake.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from seedband.feature_cache import FeatureCache
from seedband.layers import in_eval, layers_of
from seedband.tasks import Lesson, probe_rows
from seedband.tasks.classes import by_length

#: Rows of which states are computed in one forward pass.
BATCH = 64
#: Bytes of states that are kept; with more, the layers are run each time.
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
        self.loss, self.units = lesson.loss, lesson.units
        self.targets: Any = getattr(lesson, "targets", None)  # of rows with classes
        self.states: Sequence[torch.Tensor] = ()
        self.entering = torch.empty(0)

    def replay(self) -> None:
        """Put the replay in place of the layers."""
        for index in range(len(self._taken)):
            self._layers[index] = _Skip() if index else _Replay(self)

    def restore(self) -> None:
        """Put the layers back."""
        for index, layer in enumerate(self._taken):
            self._layers[index] = layer

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


class _Replay(nn.Module):
    """In place of the first layer: says what the last replayed layer would."""

    def __init__(self, prefix: Prefix) -> None:
        super().__init__()
        self._prefix = prefix

    def forward(self, _hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return self._prefix.entering


class _Skip(nn.Module):
    """In place of any other replayed layer."""

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return hidden


def freeze_prefix(
    model: nn.Module, lesson: Lesson, device: torch.device, cache: FeatureCache, key: Sequence[Any], *, drop_out: bool
) -> Prefix | None:
    """Replay as many layers of a model as training leaves alone; None where there are none.

    Args:
        model: In train mode; called with a batch as keywords.
        lesson: The rows that it will be trained on.
        device: Where it is.
        cache: Where states are kept.
        key: What they depend on beside their depth: base, rows, how they are read.
        drop_out: Whether frozen layers drop out, as the recipe says; those that would cannot be replayed.
    """
    layers = layers_of(model)
    if layers is None:
        return None
    probe = lesson.batch(probe_rows(lesson), device)
    below, depth = _reach(model, layers, probe)
    if depth == 0:
        return None
    if not drop_out:
        for module in below:
            module.eval()
    states = [_entering(model, layers[depth], probe) for _ in range(2)]
    with in_eval(model):
        calm, whole = _entering(model, layers[depth], probe), _logits(model, probe)
    if calm is None or not all(state is not None and torch.equal(state, calm) for state in states):
        return None
    counted = calm.shape[1] == max(lesson.lengths[row] for row in probe_rows(lesson))
    tokens = sum(lesson.lengths) if counted else len(lesson.lengths) * calm.shape[1]
    if tokens * calm.shape[2] * BYTES > MAX_BYTES:
        return None
    prefix = Prefix(layers, depth, lesson)
    prefix.replay()
    prefix.entering = calm
    with in_eval(model):
        same = torch.equal(_logits(model, probe), whole)
    prefix.restore()
    if not same:
        return None
    prefix.states = _states(model, layers[depth], lesson, device, cache, [*key, "prefix", depth])
    prefix.replay()
    return prefix


def _reach(model: nn.Module, layers: nn.ModuleList, probe: Mapping[str, Any]) -> tuple[list[nn.Module], int]:
    """Modules that run before the first layer that is trained, and how many layers are among them.

    None of them where something that is trained runs before the first layer.
    """
    called: list[nn.Module] = []
    handles = [module.register_forward_pre_hook(lambda m, _: called.append(m)) for module in model.modules()]
    try:
        with torch.no_grad():
            model(**probe)
    finally:
        for handle in handles:
            handle.remove()
    depth = 0
    while depth < len(layers) and not _is_trained(layers[depth]):
        depth += 1
    if depth == len(layers):
        depth -= 1  # the last is run, so that what it says has the form that the model expects
    first = next((index for index, module in enumerate(called) if module is layers[0]), 0)
    # Modules that hold the layers began before them, and are not over.
    whole = {module for module in called[:first] if any(inner is layers[0] for inner in module.modules())}
    before = [module for module in called[:first] if module not in whole]
    if any(_is_trained(module) for module in before):
        return [], 0
    return [*before, *(layers[index] for index in range(depth))], depth


def _is_trained(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


class _Reached(Exception):
    """A forward pass came to the layer that was waited for: the rest of it is of no use."""


def _entering(model: nn.Module, layer: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor | None:
    """What enters a layer, shape (rows, tokens, width); None where that is something else."""
    found: list[Any] = []

    def stop(_module: nn.Module, given: Any, keywords: Mapping[str, Any]) -> None:
        found.append(given[0] if given else keywords.get("hidden_states"))
        raise _Reached

    handle = layer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with torch.no_grad():
            model(**batch)
    except _Reached:
        pass
    finally:
        handle.remove()
    state = found[0] if found else None
    return state if isinstance(state, torch.Tensor) and state.dim() == 3 else None  # noqa: PLR2004


def _logits(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(**batch).logits
    return logits


def _states(
    model: nn.Module, layer: nn.Module, lesson: Lesson, device: torch.device, cache: FeatureCache, key: Sequence[Any]
) -> list[torch.Tensor]:
    """What enters a layer of every row, without padding."""
    order = by_length(lesson.lengths)
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]

    def own(state: torch.Tensor, row: int, longest: int) -> torch.Tensor:
        """The tokens of a row; all of them where they are not counted by its length, as those of images."""
        padding = longest - lesson.lengths[row] if state.shape[0] == longest else 0
        return state[padding:] if lesson.left_padded else state[: state.shape[0] - padding]

    def compute(index: int) -> torch.Tensor:
        rows = batches[index]
        with in_eval(model):
            states = _entering(model, layer, lesson.batch(rows, device))
        assert states is not None
        longest = max(lesson.lengths[row] for row in rows)
        return torch.cat([own(state, row, longest) for state, row in zip(states, rows, strict=True)]).cpu()

    known: list[torch.Tensor] = [torch.empty(0)] * len(order)
    for rows, part in zip(batches, cache.parts(key, len(batches), compute), strict=True):
        lengths = [lesson.lengths[row] for row in rows]
        sizes = lengths if sum(lengths) == len(part) else [len(part) // len(rows)] * len(rows)
        for row, state in zip(rows, torch.split(part, sizes), strict=True):
            known[row] = state
    return known
