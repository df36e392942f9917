"""Checkpoints: opened on their base for scoring, once what is on disk was found safe to load."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seedband.errors import Refused, WorkFailed
from seedband.models import kinds
from seedband.models.initializers import is_lora, plain_name
from seedband.models.loading import ModelTask, Network
from seedband.models.misfits import first_line
from seedband.models.model_folders import (
    CheckpointFiles,
)
from seedband.models.shape_check import (
    Shapes,
    unwrapped,
)
from seedband.recipe.scoring import Base

if TYPE_CHECKING:
    import torch


def open_checkpoint(
    files: CheckpointFiles,
    base: Base,
    labels: Sequence[str],
    task: ModelTask,
    opened: "dict[str, Network] | None" = None,
) -> Network:
    """Load a finished checkpoint for scoring.

    Args:
        files: The checkpoint.
        base: What it stands on.
        labels: What its outputs mean.
        task: What it is opened for.
        opened: Networks that heads were put on before, by pooling: of a base only its head is another.

    Raises:
        Refused: It does not fit the base or the labels, or leaves tensors to chance.
        WorkFailed: Its weights cannot be read.
    """
    check_fits(files, base, labels, task)
    network = kinds.find(files.kind).open(files, base, labels, task, {} if opened is None else opened)
    network.module.eval()
    return network


def own_parameters(files: CheckpointFiles, network: Network) -> "list[torch.nn.Parameter]":
    """Parameters that an adapter brings along; everything else of its network is the base's."""
    saved = {unwrapped(plain_name(name)) for name in checkpoint_shapes(files)}
    return [
        parameter
        for name, parameter in network.module.named_parameters()
        if is_lora(name) or unwrapped(plain_name(name)) in saved
    ]


def check_fits(files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask) -> None:
    """Refuse a checkpoint whose headers and config do not fit the base, before any of its tensors is loaded.

    Raises:
        Refused: With the reasons.
        WorkFailed: Its weights cannot be read.
    """
    kinds.find(files.kind).check(files, base, labels, task)


def checkpoint_shapes(files: CheckpointFiles) -> Shapes:
    """Names and shapes of a checkpoint's tensors; those of an adapter as PEFT names them.

    Raises:
        Refused: A weight file has no header that fits it.
        WorkFailed: It cannot be read.
    """
    return kinds.find(files.kind).shapes(files)


def checkpoint_tensors(files: CheckpointFiles) -> "Iterable[tuple[str, torch.Tensor]]":
    """Names and tensors of a checkpoint.

    Raises:
        Refused: A file holds something else.
        WorkFailed: Its weights cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(files.path)
    for name in kinds.find(files.kind).weights(folder):
        try:
            yield from load_file(folder / name).items()
        except SafetensorError as error:
            raise Refused(f"{files.name}: {name} cannot be read: {first_line(error)}") from error
        except OSError as error:
            raise WorkFailed.from_os(error, f"read {folder / name}") from error


def checkpoint_settings(files: CheckpointFiles) -> dict[str, object]:
    """Settings beside its tensors that decide what a checkpoint computes."""
    return kinds.find(files.kind).settings(Path(files.path))
