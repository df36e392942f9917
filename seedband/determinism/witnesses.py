"""Witnesses: hashes of what a run drew, saw and became. Flags only claim; witnesses prove."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def tensors_sha256(tensors: "Iterable[tuple[str, torch.Tensor]]") -> str:
    """Hash of named tensors: names, types, shapes and bytes, whatever the order they come in."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name}|{plain.dtype}|{tuple(plain.shape)}|".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def lines_sha256(lines: Iterable[str]) -> str:
    """Hash of a sequence of lines: the order of items, the trace of losses."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


def equal_witnesses(first: Mapping[str, object], second: Mapping[str, object], names: Iterable[str]) -> Iterator[str]:
    """The named witnesses that two runs share; a witness that a run lacks is shared with none."""
    for name in names:
        if first.get(name) is not None and first.get(name) == second.get(name):
            yield name
