"""Linear heads: networks that end in one linear layer over features that no other new tensor and no dropout touches.

With the backbone frozen such features are the same for every seed, epoch and checkpoint.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from seedband.models.loading import Network

Batch = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class LinearHead:
    """The end of a network.

    Attributes:
        name: Of the layer, in the network's module.
        layer: From features, shape (rows, width), to logits.
        dropout: Name of the dropout on the features; empty where there is none.
        rate: Of that dropout.
        features: From one batch to the layer's input, without dropout.
    """

    name: str
    layer: nn.Linear
    dropout: str
    rate: float
    features: Callable[[Batch], torch.Tensor]


def linear_head(network: Network, batch: Batch, train: Callable[[], Any]) -> LinearHead | None:
    """How a network ends, found out by running it; None where its end is not of this kind.

    Args:
        network: With its backbone frozen; left in eval mode.
        batch: Some rows to try it on.
        train: Puts it into the mode in which its head is trained.
    """
    module = network.module.eval()
    names = {name.rpartition(".")[0] for name in network.new}
    if len(names) != 1 or {name.rpartition(".")[2] for name in network.new} - {"weight", "bias"}:
        return None
    name = names.pop()
    layer = module.get_submodule(name)
    if type(layer) is not nn.Linear:
        return None
    calm = _watched(network, layer, batch, module.eval)
    if calm is None or calm.features.dim() != 2 or calm.logits is not calm.output:  # noqa: PLR2004
        return None
    stirred = _watched(network, layer, batch, train)
    dropped = stirred.dropped if stirred is not None else ""
    rate = getattr(module.get_submodule(dropped), "p", 0.0) if dropped else 0.0

    def but_for_its_dropout() -> None:
        train()
        if dropped:
            module.get_submodule(dropped).eval()

    # Twice, under two draws: whatever else is random in front of the layer shows here.
    again = [_watched(network, layer, batch, but_for_its_dropout) for _ in range(2)]
    module.eval()
    if any(run is None or not torch.equal(run.features, calm.features) for run in again):
        return None
    return LinearHead(name, layer, dropped, rate, lambda rows: _features(network, layer, rows))


@dataclass
class _Run:
    """One forward pass: what went into the layer, what came out, and the dropout that came before it."""

    features: torch.Tensor
    output: Any
    dropped: str
    logits: Any = None


def _watched(network: Network, layer: nn.Linear, batch: Batch, mode: Callable[[], Any]) -> _Run | None:
    """A forward pass in some mode; None where it does not pass the layer exactly once."""
    runs: list[_Run] = []
    dropped: list[tuple[str, Any]] = []

    def drop(name: str) -> Any:
        return lambda _module, _inputs, output: dropped.append((name, output))

    def pass_layer(_module: nn.Module, inputs: Any, output: Any) -> None:
        last = [name for name, tensor in dropped if tensor is inputs[0]]
        runs.append(_Run(inputs[0].detach(), output, last[-1] if last else ""))

    mode()
    hooks = [layer.register_forward_hook(pass_layer)]
    for name, module in network.module.named_modules():
        if isinstance(module, nn.Dropout) and module.training and module.p > 0:
            hooks.append(module.register_forward_hook(drop(name)))
    try:
        with torch.no_grad():
            logits = network.forward(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if len(runs) != 1:
        return None
    runs[0].logits = logits
    return runs[0]


def _features(network: Network, layer: nn.Linear, batch: Batch) -> torch.Tensor:
    found: list[torch.Tensor] = []
    with _hooked(layer, lambda _module, inputs: found.append(inputs[0])), torch.inference_mode():
        network.forward(batch)
    return found[0]


@contextmanager
def _hooked(layer: nn.Module, hook: Any) -> Iterator[None]:
    handle = layer.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()
