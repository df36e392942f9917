"""JSON files: each carries `format` and `version`; those of unknown origin are read within bounds."""

import hashlib
import json
import math
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from seedband.errors import Refused, UsageError, WorkFailed
from seedband.storage.atomic_files import write_text

#: The newest version of every file format that this release writes; it reads 1 up to this one.
VERSIONS = {
    "band": 1,
    "run": 1,
    "sweep": 1,
    "job": 1,
    "head": 1,
    "scores": 1,
    "ledger": 1,
    "training": 1,
    "trained": 1,
    "reported": 1,
    "reported-sweep": 1,
}
#: A JSON file of ours is never larger; a larger one is not read into memory.
MAX_JSON_BYTES = 256 * 1024 * 1024
#: Neither is a JSON file of other people's tools: a config, an adapter's settings, the index of shards.
MAX_FOREIGN_BYTES = 16 * 1024 * 1024
#: Nothing of use is nested deeper; what is would exhaust the stack of whoever walks through it.
MAX_DEPTH = 100
#: What a file begins with that git keeps in the place of a large one, and the most that such a file has.
POINTER, MAX_POINTER_BYTES = b"version https://git-lfs.github.com/spec/v1", 1024
#: Letters of a damaged number that a message shows.
MAX_SHOWN = 40
#: A JSON object of which nothing is known yet, or nothing but that it is one: what is known of it is a record.
JsonObject: TypeAlias = Mapping[str, Any]


def canonical(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, no NaN. Hashes are taken over it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, in full hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def sealed_text(kind: str, content: Mapping[str, object]) -> str:
    """The JSON text of `content` with format, version and its own sha256. NaN and infinity are refused."""
    body = {"format": f"seedband.{kind}", "version": VERSIONS[kind], **content}
    return json.dumps({**body, "sha256": digest(body)}, indent=1, allow_nan=False) + "\n"


def write_json(path: Path, kind: str, content: Mapping[str, object]) -> None:
    """Write the `sealed_text` of `content`, atomically."""
    write_text(path, sealed_text(kind, content))


def read_json(path: Path, kind: str) -> JsonObject:
    """Read what `write_json` wrote.

    Raises:
        UsageError: The path does not exist or holds no JSON object.
        Refused: Another format, an unknown version, or content that its sha256 does not fit.
    """
    value = parse_json(path)
    if value.get("format") != f"seedband.{kind}":
        found = reprlib.repr(value.get("format"))
        raise Refused(f"{path}: format is {found}, expected 'seedband.{kind}'")
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSIONS[kind]:
        found = f"version {reprlib.repr(version)} of seedband.{kind}"
        raise Refused(
            f"{path}: {found} is unknown, this release reads 1 to {VERSIONS[kind]}",
            hint="upgrade seedband, or make the file again",
        )
    kept = {key: entry for key, entry in value.items() if key != "sha256"}
    if value.get("sha256") != digest(kept):
        raise Refused(
            f"{path}: the content does not fit its sha256, so it was edited or damaged",
            hint="restore the file, or make it again: its numbers are evidence, not settings",
        )
    return kept


def parse_json(path: Path, limit: int | None = None) -> JsonObject:
    """A JSON object from a file of at most `limit` bytes, MAX_JSON_BYTES unless said.

    Raises:
        UsageError: The path does not exist or holds no JSON object.
        Refused: The file is larger.
    """
    try:
        value = loads(read_text(path, MAX_JSON_BYTES if limit is None else limit))
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: holds a {type(value).__name__}, expected an object")
    return value


def loads(text: str) -> Any:
    """The value of a JSON text; NaN and infinity are no JSON, nor are more than MAX_DEPTH levels.

    Raises:
        ValueError: It is none.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
    except RecursionError as error:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep") from error
    if is_deep(value):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return value


def is_deep(value: Any) -> bool:
    """Check whether lists and tables are nested more than MAX_DEPTH levels deep; it takes no stack to find out."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for table in level for inner in _inside(table)]
        if not level:
            return False
    return True


def read_text(path: Path, limit: int, encoding: str = "utf-8") -> str:
    """The text of a file of at most `limit` bytes.

    Raises:
        UsageError: No such file, or no UTF-8.
        Refused: The file is larger.
        WorkFailed: It cannot be read.
    """
    check_size(path, limit)
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}", hint="save it as UTF-8") from error
    except OSError as error:
        raise WorkFailed(f"cannot read {path}: {error.strerror}", hint="check the permissions") from error


def check_size(path: Path, limit: int) -> None:
    """Turn a file away before it is read.

    Raises:
        UsageError: No such file.
        Refused: More than `limit` bytes.
    """
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:  # a name that is too long, for one
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if size is None:
        raise UsageError(f"{path}: no such file")
    if size > limit:
        raise Refused(f"{path}: {size} bytes, more than the {limit} that are read")
    check_pointer(path)


def check_pointer(path: Path) -> None:
    """Turn away what stands for a file of Git LFS; anything that is no small file is let through.

    Raises:
        UsageError: It is such a pointer.
    """
    try:
        if not path.is_file() or path.stat().st_size > MAX_POINTER_BYTES:
            return
        with path.open("rb") as file:
            start = file.read(len(POINTER))
    except OSError:
        return
    if start == POINTER:
        raise UsageError(
            f"{path}: this is a Git LFS pointer, not the file", hint="fetch the file: git lfs install && git lfs pull"
        )


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _finite_float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name[:MAX_SHOWN]} is no finite number")
