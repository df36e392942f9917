"""Features on disk, under the hash of all that they depend on.

Jobs that need the same at one time share the work: a part that another job computes is waited for, not computed twice.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import determinism, store
from seedband.dataset import IMAGES, Items
from seedband.records import Scoring

if TYPE_CHECKING:
    import torch

#: Folder of the cache.
FOLDER = "features"
#: Raised whenever what is kept is computed in another way.
VERSION = 2
#: Bytes that are kept; what was not used for longest goes first.
MAX_KEPT_BYTES = 4 * 1024**3

#: Files that features are kept in, at most: each is written as soon as it is whole.
MAX_FILES = 64


@dataclass(frozen=True)
class FeatureCache:
    """Features on disk.

    Attributes:
        folder: Where they lie; nothing is kept without one.
        identity: Hash of what they depend on beside rows and model: versions, hardware, threads.
    """

    folder: Path | None = None
    identity: str = ""

    def parts(self, key: Sequence[Any], n: int, compute: "Callable[[int], torch.Tensor]") -> "list[torch.Tensor]":
        """All parts of some features: read, computed, or waited for while another job computes them.

        Args:
            key: What they depend on.
            n: Number of parts.
            compute: Makes one.
        """
        if self.folder is None:
            return [compute(index) for index in range(n)]
        place = self.folder / store.digest([VERSION, self.identity, list(key), n])
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.mkdir(parents=True, exist_ok=True)
            os.utime(place)
        except OSError:
            return [compute(index) for index in range(n)]  # nothing can be kept here, and nothing needs to be
        size = -(-n // MAX_FILES)
        shares = [range(start, min(start + size, n)) for start in range(0, n, size)]
        found: dict[int, list[torch.Tensor]] = {}
        for wait in (False, True):
            for number, share in enumerate(shares):
                file = place / f"{number}.safetensors"
                if number not in found and (parts := _share(file, share, compute, wait=wait)) is not None:
                    found[number] = parts
        return [part for number in range(len(shares)) for part in found[number]]


def rows_key(scoring: Scoring, items: Items) -> tuple[Any, ...]:
    """What is kept depends on beside where it is taken: the base, the rows, and how they are read.

    Of a row all is taken that may be read of it: a language model sees a completion behind its prompt.
    """
    base, read = scoring.base, [list(items.contents), list(items.targets), items.chat]
    read += [version("pillow")] if scoring.task == IMAGES else []  # it decides pixels
    return base.sha256, base.files_sha256, scoring.task, scoring.max_length, store.digest(read)


def trim(folder: Path, limit: int = MAX_KEPT_BYTES) -> None:
    """Remove what was not used for longest until the rest keeps within a limit, in bytes."""
    with suppress(OSError):
        kept = 0
        for place in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
            kept += sum(file.stat().st_size for file in place.iterdir())
            if kept > limit:
                shutil.rmtree(place, ignore_errors=True)


def _share(
    file: Path, indices: Sequence[int], compute: "Callable[[int], torch.Tensor]", *, wait: bool
) -> "list[torch.Tensor] | None":
    """The parts of one file, read or made; None where another job is making them and shall not be waited for."""
    from filelock import FileLock, Timeout

    kept = _read(file, len(indices))
    if kept is not None:
        return kept
    try:
        with FileLock(file.with_suffix(".lock"), timeout=-1 if wait else 0):
            kept = _read(file, len(indices))
            if kept is None:
                kept = [compute(index) for index in indices]
                with suppress(OSError):  # a full disk costs time, no results
                    _write(file, kept)
    except Timeout:
        return None
    return kept


def _read(file: Path, n: int) -> "list[torch.Tensor] | None":
    """Parts as they were written, mapped into memory; whatever else lies there is made anew."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            parts: list[torch.Tensor] = [opened.get_tensor(str(index)) for index in range(n)]
            known = (opened.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    return parts if known == _sha256(parts) else None


def _write(file: Path, parts: "Sequence[torch.Tensor]") -> None:
    from safetensors.torch import save

    tensors = {str(index): part.contiguous() for index, part in enumerate(parts)}
    whole = file.with_suffix(f".{os.getpid()}.part")
    whole.write_bytes(save(tensors, metadata={"sha256": _sha256(parts)}))
    whole.replace(file)


def _sha256(parts: "Sequence[torch.Tensor]") -> str:
    return determinism.tensors_sha256((str(index), part) for index, part in enumerate(parts))
