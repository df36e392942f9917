"""Records from files, checked where they are read, so that the rest of the code can rely on their form.

A record is described by a dataclass. Keys that it does not name are left alone: another release may write them. What a
message expects is the name of the predicate that a value failed: `a_path` is told as "expected a path".
"""

import json
import os
import reprlib
import sys
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from annotated_types import MinLen, Predicate

from seedband.errors import Problem, Refused
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import ErrorDetails

T = TypeVar("T")
#: Mistakes told of one file; more of them say nothing new.
MAX_PROBLEMS = 50
#: Longest path and longest name in it, in bytes: beyond, systems answer with errors of their own.
MAX_PATH, MAX_PART = 2048, 255


def a_path(value: object) -> bool:
    """Check whether a value is a text that can be asked of the file system."""
    if not isinstance(value, str):
        return False
    try:
        raw = os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return 0 < len(raw) <= MAX_PATH and b"\0" not in raw and max(map(len, raw.split(b"/"))) <= MAX_PART


def a_finite_number(value: object) -> bool:
    """Check whether a value is a number that a float holds; True and False are none."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


PathText = Annotated[str, MinLen(1), Predicate(a_path)]
Number = Annotated[float, Predicate(a_finite_number)]


def read_record(path: Path, kind: str, shape: type[T]) -> tuple[T, JsonObject]:
    """A sealed file of ours as an instance of its dataclass, and all that it holds.

    Raises:
        UsageError: No such file, or no JSON.
        Refused: Edited, of another format or version, or not of this form.
    """
    content = json_files.read_json(path, kind)
    return checked(content, shape, f"{path}: not a {kind} that holds together"), content


def read_foreign(path: Path, shape: type[T]) -> tuple[T, JsonObject]:
    """A JSON file of other people's tools, which is small, likewise.

    Raises:
        UsageError: No such file, or no JSON.
        Refused: Too large, or not of this form.
    """
    content = json_files.parse_json(path, json_files.MAX_FOREIGN_BYTES)
    return checked(content, shape, str(path)), content


def checked(value: Any, shape: type[T], source: str) -> T:
    """A value that was read as JSON, as an instance of a dataclass; types are strict, tuples stand as lists.

    Raises:
        Refused: It is not of this form; the message starts with `source` and tells the first mistake.
    """
    from pydantic import ValidationError

    try:
        text = json.dumps(value, ensure_ascii=False).encode()
        found: T = _adapter(cast("Hashable", shape)).validate_json(text, strict=True)
    except UnicodeEncodeError:
        raise Refused(f"{source}: found half a surrogate pair, expected text that UTF-8 can hold") from None
    except ValidationError as error:
        first, *others = problems_of(error)
        raise Refused(f"{source}: {first}", problems=others) from None
    return found


def problems_of(error: "ValidationError", suggest: Callable[[str], str] = lambda _: "") -> list[Problem]:
    """One problem a key: not one per branch of a union, nor a tuple that is short because its entries are wrong.

    Args:
        error: What pydantic found.
        suggest: A hint for the path of an unknown key.
    """
    problems: dict[str, Problem] = {}
    for details in error.errors(include_url=False, include_context=False)[: 2 * MAX_PROBLEMS]:
        problem = _problem(details, suggest)
        inside = any(where.startswith(f"{problem.where}[") for where in problems)
        if not inside:
            problems.setdefault(problem.where, problem)
    return list(problems.values())[:MAX_PROBLEMS]


def brief(value: object) -> str:
    """A value from a file for a message, never longer than a few lines."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 160
_SHORT.maxlevel = 3


@cache
def _adapter(shape: Hashable) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    described: Any = shape
    return TypeAdapter(described)


def _problem(details: "ErrorDetails", suggest: Callable[[str], str]) -> Problem:
    unknown = details["type"] in ("unexpected_keyword_argument", "extra_forbidden")
    where = _key_path(details["loc"], whole=unknown or details["type"] == "missing")
    if unknown:
        return Problem(where, "an unknown key", "a key of this section", suggest(where))
    if details["type"] == "missing":
        return Problem(where, "nothing", "a value: this key is required")
    message = details["msg"][:1].lower() + details["msg"][1:]
    if details["type"] == "predicate_failed":
        message = message.split()[1].strip("'").replace("_", " ")
    return Problem(where or "the file", brief(details["input"]), message.removeprefix("input should be "))


def _key_path(loc: tuple[int | str, ...], *, whole: bool) -> str:
    """Pydantic's location as people write keys; unless it is `whole`, without the branches of a union."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part + 1}]"
        elif whole or ("[" not in part and part not in ("str", "constrained-str", "none")):
            path += f".{part}" if path else part
    return path if len(path) <= MAX_PART else f"{path[:MAX_PART]}…"
