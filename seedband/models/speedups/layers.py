"""Layers: the stack that a model of transformers is built of, whichever library wrapped it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from seedband.models.loading import Network

#: How far logits may lie apart, beside how far two rows do: what rounds otherwise, and nothing that a token adds.
TOLERANCE = 1e-3


def layers_of(model: nn.Module) -> nn.ModuleList | None:
    """The one list of layers of a model; None where there are several, or none, or where training leaves some out."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    found = [layers for layers in lists if all(isinstance(layer, GradientCheckpointingLayer) for layer in layers)]
    return found[0] if len(found) == 1 and not any(map(_drops_layers, model.modules())) else None


def _drops_layers(module: nn.Module) -> bool:
    places = (module, getattr(module, "config", None))
    return any(getattr(place, "layerdrop", 0.0) or 0.0 for place in places)


@contextmanager
def in_eval(model: nn.Module) -> Iterator[None]:
    """Eval mode, and every module's own mode again."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def said(network: Network, batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """Logits of a batch while something is tried on a network; None where it cannot go on so, whatever it raises."""
    try:
        with torch.no_grad():
            return network.forward(batch)
    except Exception:  # noqa: BLE001  architectures differ in what they ask of their layers
        return None


def agree(logits: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether the same logits were computed in two ways; False, too, where both rows have the same: that shows nothing.

    Args:
        logits: Of two rows or more that differ, shape (rows, ...).
        others: Those computed in the other way.
    """
    spread = (others[0] - others[-1]).abs().max()
    return logits.shape == others.shape and bool((logits - others).abs().max() < TOLERANCE * spread)
