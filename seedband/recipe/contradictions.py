"""Contradictions: mistakes of a recipe that need more than the type of a key to see."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seedband.counts import counted
from seedband.errors import Problem
from seedband.recipe import train_command
from seedband.recipe.sections import LogSection, Recipe
from seedband.storage.registry import TASKS
from seedband.storage.validation import a_path, brief

SHA256 = re.compile("[0-9a-fA-F]{64}")
#: Columns of scores.parquet and items.parquet that no slice may take; the label may be one, where it is a class.
RESERVED = {"seed", "item", "prediction", "logits", "nll", "n_tokens", "evaluator", "score"}
#: Smallest level that the rules are made for.
MIN_ALPHA = 0.001
#: Section → keys that only a recipe may do without whose command reports its own scores.
NEEDED: Mapping[str, tuple[str, ...]] = {"model": ("base",), "data": ("train", "eval")}
#: How the address of a database in a file starts.
SQLITE = "sqlite:///"


def lacking_keys(table: Mapping[str, object]) -> list[Problem]:
    """Keys that are missing: base and data, which only a recipe whose command reports its own scores may leave out."""
    train = table.get("train")
    if isinstance(train, Mapping) and not train.keys().isdisjoint(train_command.REPORTS):
        return []
    lacking = [] if "model" in table else ["model"]
    for name, keys in NEEDED.items():
        section = table.get(name)
        lacking += [f"{name}.{key}" for key in keys if isinstance(section, Mapping) and key not in section]
    return [Problem(where, "nothing", "a value: this key is required") for where in lacking]


def contradictions(recipe: Recipe) -> Iterator[Problem]:
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
        yield Problem("data.name", brief(recipe.data.name), "a name that runs/NAME-METHOD can have")
    yield from train_command.problems(recipe)
    if not recipe.lora.target_modules:
        yield Problem("lora.target_modules", "no module", 'names of modules, or "all-linear"')


def _gate_problems(recipe: Recipe, names: list[str]) -> Iterator[Problem]:
    """Problems of the metrics that gate."""
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
    """Problems of a tracker's address, which no message shows: it may hold a password."""
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
        hint = "MLflow keeps nothing new in plain folders any more; in front of any other database, run a server"
        yield Problem("log.mlflow", found, '"http://HOST:PORT", "https://HOST" or "sqlite:///FILE"', hint)


def _is_address(text: str) -> bool:
    """Check whether a text is an http(s) address without anything but host, port and path, or a file of SQLite."""
    if "?" in text or "#" in text:
        return False
    if text.startswith(SQLITE):
        return a_path(text.removeprefix(SQLITE))
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _not_finite(value: Any) -> float | None:
    """The first number in a nested value that is NaN or infinite."""
    if isinstance(value, float):
        return None if math.isfinite(value) else value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next((bad for entry in inner if (bad := _not_finite(entry)) is not None), None)
