"""Safetensors files: their headers read, and tensors written."""

from pathlib import Path
from typing import TYPE_CHECKING

from seedband.errors import Refused, WorkFailed
from seedband.storage import atomic_files, json_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


def header(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file, from its header alone.

    Raises:
        Refused: No header that fits the file: safetensors itself bounds its size and compares every offset.
        WorkFailed: The file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    json_files.check_pointer(file)
    try:
        with safe_open(file, framework="numpy") as opened:
            return {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise Refused(f"{file}: no safetensors file that holds together: {error}") from error
    except OSError as error:
        raise WorkFailed.from_os(error, f"read {file}") from error


def save_tensors(file: Path, tensors: "Mapping[str, torch.Tensor]") -> None:
    """Write tensors to a safetensors file, atomically; where they lie and what they share does not matter.

    Raises:
        WorkFailed: The disk is full, or not to be written to.
    """
    from safetensors.torch import save

    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_files.replacing(file) as temporary:
        temporary.write_bytes(save(own, metadata={"format": "pt"}))
