"""Features on disk, under the hash of all that they depend on.

Jobs that need the same at one time share the work: a part that another job computes is waited for, not computed twice.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband.determinism import witnesses
from seedband.errors import WorkFailed
from seedband.storage import atomic_files, json_files

if TYPE_CHECKING:
    import torch

#: Folder of the cache.
FOLDER = "features"
#: Raised whenever what is kept is computed in another way.
VERSION = 3
#: Bytes that are kept; what was not used for longest goes first.
MAX_KEPT_BYTES = 4 * 1024**3
#: Seconds since its last use for which a job may still be at work with what is kept.
IN_USE = 3600.0
#: Seconds that a part is waited for while another job computes it; what that one is stopped in is then computed here.
MAX_WAIT = 600.0
#: What is told of kept features that are not what the model says.
DROPPED = "kept features of this base are not what it says now: they are dropped, and computed again"
#: How far apart kept and computed features may lie, beside the largest.
NEAR = 1e-5
#: Files that features are kept in, at most: each is written as soon as it is whole.
MAX_FILES = 64


@dataclass(frozen=True)
class FeatureCache:
    """Features on disk.

    Attributes:
        folder: Where they lie; nothing is kept without one.
        identity: Hash of what they depend on beside rows and model: versions, hardware, threads.
        check: Raises where the model is no longer the one that they are kept under; asked before anything is written.
    """

    folder: Path | None = None
    identity: str = ""
    check: Callable[[], None] = lambda: None

    def parts(
        self, key: Sequence[Any], n: int, compute: "Callable[[int], torch.Tensor]"
    ) -> "Iterator[tuple[int, torch.Tensor]]":
        """All parts of some features, each with its number, as they come.

        A part is read, computed, or waited for while another job computes it. The last come first: rows are ordered by
        length, and jobs that share the work end together where the least of it is left to the end.

        Args:
            key: What they depend on.
            n: Number of parts.
            compute: Makes one.
        """
        place = None if self.folder is None else self._place([*key, n])
        if place is None:
            yield from ((index, compute(index)) for index in range(n))
            return
        size = -(-n // MAX_FILES)
        left = {number: range(number * size, min((number + 1) * size, n)) for number in range(-(-n // size))}
        for wait in (0, MAX_WAIT):
            for number, share in reversed(list(left.items())):
                parts = _share(place / f"{number}.safetensors", share, compute, self.check, wait)
                if parts is not None:
                    yield from zip(share, parts, strict=True)
                    del left[number]

    def drop(self, key: Sequence[Any], n: int) -> None:
        """Remove some features: they turned out to be of another model. Parts and key are those of `parts`."""
        place = None if self.folder is None else self._place([*key, n])
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)

    def _place(self, key: list[Any]) -> Path | None:
        """The folder of some features; None where nothing can be kept, and nothing needs to be."""
        assert self.folder is not None
        place = self.folder / json_files.digest([VERSION, self.identity, key])
        try:
            make_folder(self.folder)
            place.mkdir(exist_ok=True)
            os.utime(place)
        except OSError:
            return None
        return place


def make_folder(folder: Path) -> None:
    """Make the folder of the cache: what lies there decides scores, so nobody else may write in it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def distrust(folder: Path) -> str:
    """Why what lies in a folder cannot be believed; empty where it can, and where there is no folder.

    What is kept decides scores, and its hashes show damage, not intent: only this user may write it.
    """
    try:
        found = folder.stat()
    except OSError:
        return ""
    if not hasattr(os, "getuid"):
        return ""
    if found.st_uid != os.getuid():
        return "belongs to another user"
    return "can be written by other users" if found.st_mode & 0o022 else ""


def is_near(known: "torch.Tensor", tried: "torch.Tensor") -> bool:
    """Check whether what is known of some rows is what was tried: another batch may move but its last digits."""
    same = known.shape == tried.shape
    return same and bool((known.to(tried.device) - tried).abs().max() <= NEAR * tried.abs().max())


def trim(folder: Path, limit: int = MAX_KEPT_BYTES) -> None:
    """Remove what was not used for longest until the rest keeps within a limit, in bytes.

    What was used within the last hour stays: a job at work may need it again, or be filling it.
    """
    with suppress(OSError):
        os.utime(folder)
        kept, now = 0, folder.stat().st_mtime  # by the clock that uses are told by
        for used, place in sorted(((path.stat().st_mtime, path) for path in folder.iterdir()), reverse=True):
            kept += sum(file.stat().st_size for file in place.iterdir())
            if kept > limit and now - used > IN_USE:
                shutil.rmtree(place, ignore_errors=True)


def _share(
    file: Path,
    indices: Sequence[int],
    compute: "Callable[[int], torch.Tensor]",
    check: Callable[[], None],
    wait: float,
) -> "list[torch.Tensor] | None":
    """The parts of one file, read or made; None where another job is making them and has some seconds left for it."""
    from filelock import FileLock, Timeout

    kept = _read(file, len(indices))
    if kept is not None:
        return kept
    try:
        with FileLock(file.with_suffix(".lock"), timeout=wait):
            return _read(file, len(indices)) or _made(file, [compute(index) for index in indices], check)
    except Timeout:
        if not wait:
            return None
    except OSError:  # no locks on this file system, or no space for one
        pass
    return [compute(index) for index in indices]


def _made(file: Path, parts: "list[torch.Tensor]", check: Callable[[], None]) -> "list[torch.Tensor]":
    """Parts that were computed, written, and mapped into memory; a full disk costs time, no results."""
    check()
    with suppress(OSError, WorkFailed):
        for left in file.parent.glob(f".{file.name}.*.part"):  # by a process that was killed; the lock is ours
            left.unlink()
        _write(file, parts)
        return _read(file, len(parts)) or parts
    return parts


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
    from safetensors.torch import save_file

    tensors = {str(index): part.contiguous() for index, part in enumerate(parts)}
    with atomic_files.replacing(file) as whole:
        save_file(tensors, whole, metadata={"sha256": _sha256(parts)})


def _sha256(parts: "Sequence[torch.Tensor]") -> str:
    return witnesses.tensors_sha256((str(index), part) for index, part in enumerate(parts))
