"""seedband.toml → Recipe: syntax, types, unknown keys. Every mistake at once, each with its key path and a hint."""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin, get_type_hints

from seedband.counts import counted
from seedband.errors import Problem, UsageError
from seedband.recipe.contradictions import contradictions, lacking_keys
from seedband.recipe.sections import Recipe
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import MAX_PROBLEMS, problems_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

CONFIG_NAME = "seedband.toml"
#: A larger file is no recipe.
MAX_BYTES = 1024 * 1024
#: Python's parser takes seconds for a key of thousands of parts.
MAX_DOTS = 200
MISSING = object()


class LoadedRecipe(NamedTuple):
    """A recipe and the folder that its relative paths start from.

    Attributes:
        recipe: As it was written.
        folder: Where relative paths start.
        places: Where "base", "train" and "eval" lie as seen from there, if that is not what the recipe says: a record
            is not where the recipe was.
    """

    recipe: Recipe
    folder: Path
    places: Mapping[str, str] = MappingProxyType({})


def find_config(folder: Path) -> Path:
    """seedband.toml in `folder`, else a pyproject.toml there that has `[tool.seedband]`."""
    if (folder / CONFIG_NAME).is_file():
        return folder / CONFIG_NAME
    pyproject = folder / "pyproject.toml"
    if pyproject.is_file() and _tool_table(pyproject) is not None:
        return pyproject
    raise UsageError(
        f"no recipe: found neither {CONFIG_NAME} nor [tool.seedband] in pyproject.toml in {folder}",
        hint="name one with --config FILE",
    )


def load_recipe(path: Path) -> LoadedRecipe:
    """Read and validate a recipe.

    Raises:
        UsageError: No such file, malformed TOML, or a recipe with mistakes: all of them, in `problems`.
    """
    if path.name != "pyproject.toml":
        return LoadedRecipe(parse_recipe(_parse(path), str(path)), path.parent)
    table = _tool_table(path)
    if table is None:
        raise UsageError(f"{path}: has no table [tool.seedband]")
    return LoadedRecipe(parse_recipe(table, f"{path} [tool.seedband]"), path.parent)


def parse_recipe(table: Mapping[str, object], source: str) -> Recipe:
    """Validate the table of a recipe.

    Raises:
        UsageError: With every mistake in `problems`; `source` says where the table came from.
    """
    from pydantic import ValidationError

    try:
        # As JSON, so that types are strict ("3" is no number, true no 1) and lists are tuples all the same.
        text = json.dumps(table, default=str)
        recipe: Recipe = _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        told = [_discreet(found) for found in problems_of(error, _suggestion)]
        raise _invalid(source, [*lacking_keys(table), *told]) from None
    problems = [*lacking_keys(table), *islice(contradictions(recipe), MAX_PROBLEMS)]
    if problems:
        raise _invalid(source, problems)
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML, every default spelled out."""
    import tomli_w

    return tomli_w.dumps(_without_none(recipe.as_dict()))


def differing_keys(first: Mapping[str, object], second: Mapping[str, object], prefix: str = "") -> list[str]:
    """Key paths at which two nested tables differ, sorted."""
    paths = []
    for key in sorted(first.keys() | second.keys()):
        one, other = first.get(key, MISSING), second.get(key, MISSING)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            paths += differing_keys(one, other, f"{prefix}{key}.")
        elif one != other:
            paths.append(f"{prefix}{key}")
    return paths


def _parse(path: Path) -> dict[str, object]:
    text = json_files.read_text(path, MAX_BYTES)
    if max(line.count(".") for line in text.split("\n")) > MAX_DOTS:
        raise UsageError(f"{path}: not valid TOML: a line with more than {MAX_DOTS} dots")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    if json_files.is_deep(table):
        raise UsageError(f"{path}: not valid TOML: nested more than {json_files.MAX_DEPTH} levels deep")
    return table


def _tool_table(pyproject: Path) -> dict[str, object] | None:
    """[tool.seedband] of a pyproject.toml, if it is a table."""
    tool = _parse(pyproject).get("tool")
    table = tool.get("seedband") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def json_schema() -> JsonObject:
    """JSON Schema of seedband.toml; the text below each key in `sections` is its description."""
    schema = _adapter().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "seedband.toml"}


@cache
def _adapter() -> "TypeAdapter[Any]":
    from pydantic import ConfigDict, TypeAdapter, with_config

    config = ConfigDict(extra="forbid", allow_inf_nan=False, str_strip_whitespace=True, use_attribute_docstrings=True)
    for section in sections():
        with_config(config)(section)
    return TypeAdapter(Recipe)


def sections() -> list[type]:
    """`Recipe`, and every section of it."""
    found: list[type] = [Recipe]
    for section in found:
        for hint in get_type_hints(section).values():
            found += [inner for inner in _dataclasses_in(hint) if inner not in found]
    return found


def _dataclasses_in(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for argument in get_args(hint) if get_origin(hint) is not None or isinstance(hint, UnionType) else ():
        yield from _dataclasses_in(argument)


def _suggestion(where: str) -> str:
    """The nearest known key, in this section or, if spelled right, in another."""
    section, _, key = where.rpartition(".")
    section = section.split("[")[0]
    keys = [(name, f.name) for name, cls in _named_sections() for f in fields(cls)]
    near = difflib.get_close_matches(key, [key for name, key in keys if name == section], n=1)
    if near:
        return f"did you mean {near[0]}?"
    elsewhere = [name for name, other in keys if other == key and name]
    return f"did you mean {key} in [{elsewhere[0]}]?" if elsewhere else ""


def _named_sections() -> list[tuple[str, type]]:
    named: list[tuple[str, type]] = [("", Recipe)]
    for name, hint in get_type_hints(Recipe).items():
        named += [(name, section) for section in _dataclasses_in(hint)]
    return named


def _discreet(problem: Problem) -> Problem:
    """A mistake in `[log]` without what is there, if that may be a password."""
    secret = problem.where.partition(".")[0] == "log" and "@" in problem.found
    return replace(problem, found="a user or a password") if secret else problem


def _invalid(source: str, problems: list[Problem]) -> UsageError:
    return UsageError(f"{source}: {counted(len(problems), 'mistake')} in the recipe", problems=problems)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return value
