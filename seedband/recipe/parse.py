"""seedband.toml → Recipe: syntax, types, unknown keys. Every mistake at once, each with its key path and a hint."""

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from seedband.counts import counted
from seedband.errors import Problem, UsageError
from seedband.recipe import train_command
from seedband.recipe.sections import LogSection, Recipe
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import TASKS
from seedband.storage.validation import MAX_PROBLEMS, a_path, brief, problems_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

CONFIG_NAME = "seedband.toml"
SHA256 = re.compile("[0-9a-fA-F]{64}")
#: Columns of scores.parquet and items.parquet that no slice may take; the label may be one, where it is a class.
RESERVED = {"seed", "item", "prediction", "logits", "nll", "n_tokens", "evaluator", "score"}
#: Smallest level that the rules are made for.
MIN_ALPHA = 0.001
#: A larger file is no recipe.
MAX_BYTES = 1024 * 1024
#: Python's parser takes seconds for a key of thousands of parts.
MAX_DOTS = 200
#: Section → keys that only a recipe may do without whose command reports its own scores.
NEEDED: Mapping[str, tuple[str, ...]] = {"model": ("base",), "data": ("train", "eval")}
MISSING = object()
#: How the address of a database in a file starts.
SQLITE = "sqlite:///"


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


def parse_recipe(table: JsonObject, source: str) -> Recipe:
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
        raise _invalid(source, [*_lacking(table), *told]) from None
    problems = [*_lacking(table), *islice(_contradictions(recipe), MAX_PROBLEMS)]
    if problems:
        raise _invalid(source, problems)
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML, every default spelled out."""
    import tomli_w

    return tomli_w.dumps(_without_none(recipe.as_dict()))


def differing_keys(first: JsonObject, second: JsonObject, prefix: str = "") -> list[str]:
    """Key paths at which two nested tables differ, sorted."""
    paths = []
    for key in sorted(first.keys() | second.keys()):
        one, other = first.get(key, MISSING), second.get(key, MISSING)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            paths += differing_keys(one, other, f"{prefix}{key}.")
        elif one != other:
            paths.append(f"{prefix}{key}")
    return paths


def _parse(path: Path) -> JsonObject:
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


def _tool_table(pyproject: Path) -> JsonObject | None:
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


def _lacking(table: JsonObject) -> list[Problem]:
    """What only a recipe may do without whose command reports its own scores: the base, and the data."""
    train = table.get("train")
    if isinstance(train, Mapping) and not train.keys().isdisjoint(train_command.REPORTS):
        return []
    lacking = [] if "model" in table else ["model"]
    for name, keys in NEEDED.items():
        section = table.get(name)
        lacking += [f"{name}.{key}" for key in keys if isinstance(section, Mapping) and key not in section]
    return [Problem(where, "nothing", "a value: this key is required") for where in lacking]


def _contradictions(recipe: Recipe) -> Iterator[Problem]:
    """Mistakes that need more than one key to see."""
    names = [section.metric for section in recipe.evaluate]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem("evaluate", f"metric {brief(name)} twice", "each once: `name` tells two of one evaluator apart")
    primaries = sum(section.primary for section in recipe.evaluate)
    if primaries != 1:
        yield Problem(
            "evaluate", f"{counted(primaries, 'metric')} with primary = true", "exactly one: the metric that gates"
        )
    yield from _gate_problems(recipe, names)
    yield from _log_problems(recipe.log)
    taken = RESERVED | (set() if TASKS.find(recipe.model.task).outputs == "classes" else {"label"})
    for name in sorted(taken & set(recipe.data.slices)):
        yield Problem("data.slices", repr(name), "a column that scores.parquet does not have already")
    if recipe.model.sha256 is not None and not SHA256.fullmatch(recipe.model.sha256):
        yield Problem("model.sha256", brief(recipe.model.sha256), "64 hexadecimal digits")
    for index, section in enumerate(recipe.evaluate, 1):
        if (bad := _not_finite(section.args)) is not None:
            yield Problem(f"evaluate[{index}].args", str(bad), "finite numbers")
    folder = f"{recipe.data.name}-{recipe.train.method}"
    if not a_path(folder) or Path(folder).is_absolute() or ".." in Path(folder).parts:
        yield Problem("data.name", brief(recipe.data.name), "a name by which runs can lie in runs/NAME-METHOD")
    yield from train_command.problems(recipe)
    if not recipe.lora.target_modules:
        yield Problem("lora.target_modules", "no module", 'names of modules, or "all-linear"')


def _gate_problems(recipe: Recipe, names: list[str]) -> Iterator[Problem]:
    """What is wrong with the metrics that gate."""
    gates = recipe.gate.metrics
    for name in gates:
        if name not in names:
            yield Problem("gate.metrics", brief(name), f"of the metrics {', '.join(names)}")
    primary = next((section.metric for section in recipe.evaluate if section.primary), None)
    if gates and primary is not None and primary not in gates:
        yield Problem("gate.metrics", ", ".join(gates), f"the primary metric {primary!r} among them")
    if gates and recipe.gate.alpha / len(gates) < MIN_ALPHA:
        each = f"{recipe.gate.alpha / len(gates):.2g} for each of {counted(len(gates), 'metric')}"
        yield Problem("gate.alpha", each, f"at least {MIN_ALPHA} each")
    if len(recipe.gate.history) == 1:
        yield Problem("gate.history", "1 band", "2 or more: how far variances differ takes two")


def _log_problems(log: LogSection) -> Iterator[Problem]:
    """What is wrong with a tracker's address, which is told nowhere: it may hold a password."""
    if log.mlflow is None:
        if log != LogSection():
            yield Problem("log.mlflow", "nothing", "where to log")
        return
    scheme, colon, rest = log.mlflow.partition(":")
    if "@" in rest and scheme != "sqlite":
        hint = "mlflow reads MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        yield Problem("log.mlflow", "a user or a password", "an address without", hint)
    elif not _is_address(log.mlflow):
        found = f"an address that starts with {brief(scheme + colon)}" if colon else "no address"
        hint = "MLflow keeps nothing new in plain folders any more; in front of any other database stands a server"
        yield Problem("log.mlflow", found, '"http://HOST:PORT", "https://HOST" or "sqlite:///FILE"', hint)


def _is_address(text: str) -> bool:
    """Whether a text is an http(s) address without anything but host, port and path, or a file of SQLite."""
    if "?" in text or "#" in text:
        return False
    if text.startswith(SQLITE):
        return a_path(text.removeprefix(SQLITE))
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _discreet(problem: Problem) -> Problem:
    """A mistake in `[log]` without what is there, if that may be a password."""
    secret = problem.where.partition(".")[0] == "log" and "@" in problem.found
    return replace(problem, found="a user or a password") if secret else problem


def _not_finite(value: Any) -> float | None:
    """The first number in a nested value that is NaN or infinite."""
    if isinstance(value, float):
        return None if math.isfinite(value) else value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next((bad for entry in inner if (bad := _not_finite(entry)) is not None), None)


def _invalid(source: str, problems: list[Problem]) -> UsageError:
    return UsageError(f"{source}: {counted(len(problems), 'mistake')} in the recipe", problems=problems)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return value
