"""Trials: a forward pass that finds out how a network behaves, and leaves it as it was."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from seedband.models.loading import Network


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


def trial_logits(network: Network, batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """Logits of a batch while something is tried on a network; None where it cannot go on so, whatever it raises."""
    try:
        with torch.no_grad():
            return network.forward(batch)
    except Exception:  # noqa: BLE001  architectures differ in what they ask of their layers
        return None
