"""Locks: one process at a time in a folder."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seedband.errors import UsageError, WorkFailed
from seedband.storage.atomic_files import write_text

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"


def refuse_file(folder: Path) -> None:
    """Turn away a file where a folder is wanted.

    Raises:
        UsageError: It is one.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a second holder is told at once who has it.

    A folder that was made for the lock, and in which nothing was written, goes with it.
    """
    from filelock import FileLock, Timeout

    refuse_file(folder)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkFailed.from_os(error, f"make {folder}") from error
    holder = folder / ".lock-holder"
    lock: BaseFileLock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        who = holder.read_text(encoding="utf-8", errors="replace")[:80] if holder.is_file() else "another process"
        raise UsageError(f"{folder} is in use by {who}", hint="wait for it, or give another --out") from error
    except OSError as error:
        raise WorkFailed.from_os(error, f"lock {folder}") from error
    try:
        write_text(holder, f"process {os.getpid()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        with suppress(OSError):  # gone, or held fast by the system: what happened under the lock matters more
            if made and [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()
        lock.release()
        _remove_empty(made)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove these folders, inner ones first, up to one that holds something."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # somebody wrote there, or it is gone
            return
