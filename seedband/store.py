"""Files: versions, atomic replace, content hashes, locks.

Every JSON file carries `format` and `version`. Writing goes to a temporary file beside the target and ends in
`os.replace`, so that a reader sees the old file or the new one, never half of one.
"""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from seedband.errors import Refused, UsageError, WorkFailed

if TYPE_CHECKING:
    from filelock import BaseFileLock

#: The newest version of every file format that this release writes; it reads 1 up to this one.
VERSIONS = {"band": 1, "run": 1, "sweep": 1, "job": 1, "head": 1, "scores": 1, "ledger": 1}
#: A JSON file of ours is never larger; a larger one is not read into memory.
MAX_JSON_BYTES = 256 * 1024 * 1024


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved over it when the block ends well and removed when it does not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise WorkFailed(f"cannot write {path}: {error.strerror}", hint="check the disk and the permissions") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise WorkFailed(f"cannot write {path}: {error.strerror}", hint="check the disk and the permissions") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the file with `text`, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def canonical(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, no NaN. Hashes are taken over it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, in full hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in full hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, kind: str, content: Mapping[str, Any]) -> None:
    """Write `content` with format, version and its own sha256, atomically. NaN and infinity are refused."""
    body = {"format": f"seedband.{kind}", "version": VERSIONS[kind], **content}
    sealed = {**body, "sha256": digest(body)}
    write_text(path, json.dumps(sealed, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, kind: str) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        UsageError: The path does not exist or holds no JSON object.
        Refused: Another format, an unknown version, or content that its sha256 does not fit.
    """
    value = parse_json(path)
    if value.get("format") != f"seedband.{kind}":
        raise Refused(f"{path}: format is {value.get('format')!r}, expected 'seedband.{kind}'")
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSIONS[kind]:
        raise Refused(
            f"{path}: version {version!r} of seedband.{kind} is unknown, this release reads 1 to {VERSIONS[kind]}",
            hint="upgrade seedband, or make the file again",
        )
    claimed = value.pop("sha256", None)
    if claimed != digest(value):
        raise Refused(
            f"{path}: the content does not fit its sha256, so it was edited or damaged",
            hint="restore the file, or make it again: its numbers are evidence, not settings",
        )
    return value


def parse_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of bounded size; NaN and infinity are no JSON."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise Refused(f"{path}: {path.stat().st_size} bytes, more than the {MAX_JSON_BYTES} that are read")
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant, parse_float=_finite_float)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: holds a {type(value).__name__}, expected an object")
    return value


def _finite_float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no finite number")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a second holder is told at once who has it."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkFailed(f"cannot make {folder}: {error.strerror}") from error
    holder = folder / ".lock-holder"
    lock: BaseFileLock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        who = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
        raise UsageError(f"{folder} is in use by {who}", hint="wait for it, or give another --out") from error
    except OSError as error:
        raise WorkFailed(f"cannot lock {folder}: {error.strerror}") from error
    try:
        write_text(holder, f"process {os.getpid()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
