"""Training checkpoints: what a run needs to go on after it was killed, bit for bit as if it had not been.

Every draw is keyed by what it is for, so there is no generator to restore: weights, optimizer state and the step are
all there is. The tensors go to a safetensors file of their own, the state that names it is written last; nothing is
pickled, and what does not hold together is as good as nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
from annotated_types import Ge
from safetensors import SafetensorError
from safetensors.torch import load_file

from seedband.errors import SeedbandError
from seedband.models.tensor_files import save_tensors
from seedband.runs.layout import TRAINING, trace_path, training_files
from seedband.storage import file_hashes, json_files
from seedband.storage.validation import PathText, read_record

#: Moments and step count of AdamW.
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
Named = tuple[str, torch.nn.Parameter]


class Moments(Protocol):
    """An optimizer, as far as it is kept: by parameter, what MOMENTS names."""

    state: Any


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        steps: Optimizer steps taken.
        losses: Loss of each, as text that loses no digit.
        witnesses: Hashes of its initial tensors, order and first masks.
        trace_bytes: Length of its trace up to there.
    """

    steps: int
    losses: tuple[str, ...]
    witnesses: dict[str, str | None]
    trace_bytes: int = 0


@dataclass(frozen=True)
class _StateFile:
    steps: int
    losses: tuple[str, ...]
    witnesses: Mapping[str, str | None]
    identity: str
    tensors: PathText
    tensors_sha256: str
    trace_bytes: Annotated[int, Ge(0)]
    trace_sha256: str


def save(folder: Path, parameters: Sequence[Named], optimizer: Moments, progress: Progress, identity: str) -> None:
    """Write a training checkpoint, and remove the one before it.

    Args:
        folder: Of the run.
        parameters: The trainable tensors with their names.
        optimizer: AdamW over them.
        progress: How far the run has come.
        identity: What must be equal for a run to go on from here: recipe, data, base and environment.
    """
    tensors = {f"weights.{name}": p.detach() for name, p in parameters}
    for name, p in parameters:
        tensors |= {f"{moment}.{name}": tensor for moment, tensor in optimizer.state.get(p, {}).items()}
    path = folder / f"training-{progress.steps}.safetensors"
    save_tensors(path, tensors)
    content = {
        "steps": progress.steps,
        "losses": list(progress.losses),
        "witnesses": progress.witnesses,
        "trace_bytes": progress.trace_bytes,
        "trace_sha256": _trace_sha256(folder, progress.trace_bytes),
        "identity": identity,
        "tensors": path.name,
        "tensors_sha256": file_hashes.file_sha256(path),
    }
    json_files.write_json(folder / TRAINING, "training", content)
    for other in training_files(folder):
        if other not in (path, folder / TRAINING):
            other.unlink(missing_ok=True)


def load(
    folder: Path, parameters: Sequence[Named], optimizer: Moments, initial: Mapping[str, str | None], identity: str
) -> Progress | str:
    """Bring weights and optimizer to where the run stopped.

    Args:
        folder: Of the run.
        parameters: The trainable tensors, as they were drawn for this run.
        optimizer: AdamW over them, not stepped yet.
        initial: The witnesses of this start: those of the run that stopped must be equal.
        identity: As in `save`.

    Returns:
        How far the run had come; or, in words, why there is nothing to go on from, empty where nothing was left.
    """
    if not (folder / TRAINING).is_file():
        return ""
    try:
        state = read_record(folder / TRAINING, "training", _StateFile)[0]
        path = folder / Path(state.tensors).name
        if state.identity != identity:
            return "is of another recipe, data, base, version or machine"
        if not initial.items() <= state.witnesses.items():
            return "began from other draws"
        whole = len(state.losses) == state.steps and _trace_sha256(folder, state.trace_bytes) == state.trace_sha256
        if not whole or file_hashes.file_sha256(path) != state.tensors_sha256:
            return "is damaged: its files do not fit their hashes"
        _restore(parameters, optimizer, load_file(str(path)))
    except (SeedbandError, SafetensorError, OSError, KeyError) as error:
        return f"is damaged: {error}"
    return Progress(state.steps, state.losses, dict(state.witnesses), state.trace_bytes)


def remove(folder: Path) -> None:
    """Remove the training checkpoint of a run that is finished."""
    for path in training_files(folder):
        path.unlink(missing_ok=True)


def _trace_sha256(folder: Path, size: int) -> str:
    """Hash of the trace up to a length: the steps that a run goes on from."""
    with trace_path(folder).open("rb") as trace:
        return hashlib.sha256(trace.read(size)).hexdigest()


def _restore(parameters: Sequence[Named], optimizer: Moments, tensors: dict[str, torch.Tensor]) -> None:
    """Put every tensor in place, or none: what is missing or of another shape is found before anything changes.

    A parameter that never had a gradient has no moments.
    """
    stepped = {name for name, _ in parameters if f"step.{name}" in tensors}
    for name, p in parameters:
        shapes = {"weights": p.shape} | ({"exp_avg": p.shape, "exp_avg_sq": p.shape} if name in stepped else {})
        for kind, shape in shapes.items():
            if tensors[f"{kind}.{name}"].shape != shape:
                raise KeyError(name)
        if name in stepped and tensors[f"step.{name}"].shape != ():
            raise KeyError(name)
    with torch.no_grad():
        for name, p in parameters:
            p.copy_(tensors[f"weights.{name}"])
            if name in stepped:
                moved = {moment: tensors[f"{moment}.{name}"].to(p.device) for moment in MOMENTS[1:]}
                optimizer.state[p] = {"step": tensors[f"step.{name}"], **moved}
