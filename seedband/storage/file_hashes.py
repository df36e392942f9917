"""Hashes of large files, remembered in this process while the file is the one that was hashed.

What is remembered is believed by the file's stamp: device, inode, size, and the times of its last change to content and
entry. A stamp tells nothing of a file that was written within seconds of its hashing, as clocks of file systems tick
coarsely, nor on file systems of other machines, whose stamps are remembered, too: such files are hashed each time.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from seedband.errors import WorkFailed

#: Device, inode, size, and nanoseconds of the last change to content and to entry.
Stamp = tuple[int, int, int, int, int]
#: Nanoseconds within which two writes may leave one stamp.
COARSE_NS = 2 * 10**9
#: File systems of this machine, which see every write at once.
LOCAL = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
)
MOUNTS = Path("/proc/self/mountinfo")

_known: dict[str, tuple[Stamp, str]] = {}


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file, links followed; WorkFailed where there is none."""
    try:
        found = path.stat()
    except OSError as error:
        raise WorkFailed(f"cannot read {path}: {error.strerror}", hint="check the permissions") from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as remembered or read anew; WorkFailed where it cannot be read."""
    before, began = stamp_of(path), time.time_ns()
    name = str(path.absolute())
    if name in _known and _known[name][0] == before:
        return _known[name][1]
    sha256 = file_sha256(path)
    if stamp_of(path) == before and _tells(before, began):
        _known[name] = before, sha256
    else:
        _known.pop(name, None)
    return sha256


def remembered(folder: Path) -> dict[str, tuple[Stamp, str]]:
    """Hashes that this process knows of files below a folder, for another process on this machine."""
    return {name: entry for name, entry in _known.items() if Path(name).is_relative_to(folder.absolute())}


def remember(known: Mapping[str, tuple[Stamp, str]]) -> None:
    """Go by what another process on this machine knows."""
    _known.update({name: (stamp, sha256) for name, (stamp, sha256) in known.items()})


def _tells(stamp: Stamp, began: int) -> bool:
    """Check whether a later write would show in the stamp of a file that was hashed from some moment on."""
    device, _, _, *changed = stamp
    return began - max(changed) > COARSE_NS and _file_system(device) in LOCAL


@cache
def _file_system(device: int) -> str:
    """The kind of file system that a device holds; empty where this system does not tell."""
    wanted = f"{os.major(device)}:{os.minor(device)}" if hasattr(os, "major") else ""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if wanted and mount.split()[2] == wanted:
            return kind.split()[0]
    return ""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in full hexadecimal; WorkFailed where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WorkFailed(f"cannot read {path}: {error.strerror}", hint="check the permissions") from error
