"""Files that are written whole or not at all, and the folder for what can be made again.

Writing goes to a temporary file beside the target and ends in `os.replace`, so that a reader sees the old file or the
new one, never half of one.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seedband.errors import WorkFailed

#: Names the folder for what can be made again.
CACHE = "SEEDBAND_CACHE_DIR"


#: What `replacing` calls its temporary files.
PART = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}\.part")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved over it when the block ends well and removed when it does not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
        temporary.touch(exist_ok=False)  # as readable as the umask has it
    except OSError as error:
        raise WorkFailed.from_os(error, f"write {path}") from error
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise WorkFailed.from_os(error, f"write {path}") from error
    finally:
        temporary.unlink(missing_ok=True)


def cache_folder() -> Path:
    """The folder of what can be made again: SEEDBAND_CACHE_DIR, or where this system keeps caches."""
    if own := os.environ.get(CACHE):
        return Path(own).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("seedband", appauthor=False)


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what `replacing` left in a folder when its process was killed; nobody may be writing there.

    Args:
        folder: Where; it need not exist.
        name: Of the file that was to be replaced; every file unless said.
    """
    for path in folder.glob(".*.part"):
        found = PART.fullmatch(path.name)
        if found and name in (None, found["name"]):
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the file with `text`, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
