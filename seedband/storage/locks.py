"""Locks: one process at a time in a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seedband.errors import UsageError, WorkFailed
from seedband.storage.atomic_files import write_text

if TYPE_CHECKING:
    from filelock import BaseFileLock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a second holder is told at once who has it."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkFailed.from_os(error, f"make {folder}") from error
    holder = folder / ".lock-holder"
    lock: BaseFileLock = FileLock(folder / ".lock", timeout=0)
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
        lock.release()
