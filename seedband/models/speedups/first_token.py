"""First token: a head that reads only a row's first token leaves the last layer nothing to say of the others.

Behind its attention a layer treats every token by itself. What it would compute there of tokens that nobody reads is
left out: the loss, its gradients and the masks are those of the whole model, but for the rounding of sums.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from seedband.models.encoded import Lesson, probe_rows
from seedband.models.loading import Network
from seedband.models.speedups.layers import agree, layers_of
from seedband.models.speedups.packing import STATES, Layout
from seedband.models.trial import in_eval, trial_logits


def keep_first_token(network: Network, lesson: Lesson, device: torch.device, layout: Layout) -> str:
    """Have the last layer of a network go on with the first token of a row as early as the logits stay the same.

    Found by trying: what enters a module is cut to the first token, and nothing behind it may miss the others.

    Args:
        network: With a head of zeros nothing shows what it reads: it is left as it is.
        lesson: The rows that it will be trained on.
        device: Where it is.
        layout: Where the tokens of a batch lie.

    Returns:
        Name of the module from which on it does; empty where there is none, and the network is as it was.
    """
    layers = layers_of(network.module)
    if layers is None or lesson.left_padded:
        return ""
    batch, last, cut = lesson.batch(probe_rows(lesson), device), layers[-1], _cut(layout)
    names: dict[nn.Module, str] = {module: name for name, module in network.module.named_modules()}
    with in_eval(network.module):
        called, whole = _called(network, last, batch)
        for module in called:
            handle = module.register_forward_pre_hook(cut, with_kwargs=True)
            if _is_same(network, last, batch, whole):
                return names[module]
            handle.remove()
    return ""


def _called(
    network: Network, layer: nn.Module, batch: Mapping[str, torch.Tensor]
) -> tuple[list[nn.Module], torch.Tensor]:
    """The modules inside a layer, in the order in which they run, and the logits."""
    called: dict[nn.Module, None] = {}
    inner = [module for module in layer.modules() if module is not layer]
    handles = [module.register_forward_pre_hook(lambda m, _: called.setdefault(m)) for module in inner]
    try:
        with torch.no_grad():
            logits = network.forward(batch)
    finally:
        for handle in handles:
            handle.remove()
    return list(called), logits


def _cut(layout: Layout) -> Any:
    def first(value: Any) -> Any:
        return layout.first(value) if isinstance(value, torch.Tensor) and value.dim() == STATES else value

    def cut(_module: nn.Module, given: tuple[Any, ...], keywords: Mapping[str, object]) -> Any:
        return tuple(map(first, given)), {name: first(value) for name, value in keywords.items()}

    return cut


def _is_same(network: Network, layer: nn.Module, batch: Mapping[str, torch.Tensor], whole: torch.Tensor) -> bool:
    """Check whether the layer now says one token's state a row, and the network the logits that it said before."""
    states: list[Any] = []
    handle = layer.register_forward_hook(lambda _module, _given, output: states.append(output))
    logits = trial_logits(network, batch)
    handle.remove()
    if logits is None or len(states) != 1:
        return False
    state = states[0][0] if isinstance(states[0], tuple) else states[0]
    return state.dim() == STATES and state.shape[1] == 1 and agree(logits, whole)
