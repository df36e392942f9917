"""python:<module>:<name>: a function or a class beside the recipe, or in any installed package."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

from seedband.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import Evaluator, Scored, bind


def load(reference: str, folder: Path, args: Mapping[str, Any]) -> Evaluator:
    """A class that is an evaluator, or a function in the form of one.

    A function is called as `function(items, predictions, **args)`, and returns what `Evaluator.score` may. What a class
    says as attributes stands among its arguments: `higher_is_better`, and if wanted `unit`.

    Args:
        reference: Module and name, with a colon between them.
        folder: Of the recipe: modules are looked for in it, after the installed ones.
        args: Arguments, as the recipe names them.

    Raises:
        UsageError: No such module or name, a module that cannot be imported, or arguments that it does not take.
    """
    name = f"python:{reference}"
    found, source = _import(reference, name, folder)
    if inspect.isclass(found):
        return _checked(bind(found, args, name, folder), name)  # type: ignore[arg-type]  # of any class
    known = {key: args[key] for key in ("higher_is_better", "unit") if key in args}
    if not isinstance(known.get("higher_is_better"), bool) or not isinstance(known.get("unit", ""), str):
        raise UsageError(
            f"evaluator {name!r}: does not say which direction is better", hint="args = { higher_is_better = true }"
        )
    rest = {key: value for key, value in args.items() if key not in known}
    try:
        inspect.signature(found).bind(None, None, **rest)
    except TypeError as error:
        form = f"{reference.rpartition(':')[2]}{inspect.signature(found)}"
        raise UsageError(f"evaluator {name!r}: {error}", hint=f"it is {form}") from error
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    return Function(reference, found, sha256, known["higher_is_better"], known.get("unit", ""), rest)


@dataclass(frozen=True)
class Function(Evaluator):
    """A function as an evaluator: its version is the content of the file that it stands in.

    Attributes:
        reference: Module and name.
        function: Itself.
        sha256: Of the file.
        higher_is_better: Direction.
        unit: Of its scores.
        args: Further arguments.
    """

    reference: str
    function: Callable[..., Any] = field(repr=False)
    sha256: str
    higher_is_better: bool  # type: ignore[misc]  # of a class this is an attribute
    unit: str  # type: ignore[misc]
    args: dict[str, Any]

    reads = "any"

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the recipe says it."""
        return f"python:{self.reference}"

    @property
    def version(self) -> str:  # type: ignore[override]
        """The file's content."""
        return f"sha256:{self.sha256[:12]}"

    @property
    def backend(self) -> str:  # type: ignore[override]
        """Where it comes from."""
        return self.reference

    def arguments(self) -> dict[str, Any]:
        """What the function is called with."""
        return dict(self.args)

    def score(self, items: Items, predictions: Any) -> Scored:
        """What the function says."""
        result: Scored = self.function(items, predictions, **self.args)
        return result


def _import(reference: str, name: str, folder: Path) -> tuple[Callable[..., Any], Path]:
    module, _, attribute = reference.partition(":")
    if not attribute.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"evaluator {name!r}: expected python:<module>:<function>", hint="python:my_metrics:score")
    place = str(folder.absolute())
    if place not in sys.path:
        sys.path.append(place)
        invalidate_caches()
    try:
        imported = import_module(module)
    except Exception as error:
        raise UsageError(
            f"evaluator {name!r}: cannot import {module}: {type(error).__name__}: {error}",
            hint=f"modules are looked for among the installed ones, then in {place}",
        ) from error
    if not hasattr(imported, attribute) or imported.__file__ is None:
        raise UsageError(f"evaluator {name!r}: {imported.__file__ or module} has no {attribute}")
    found = getattr(imported, attribute)
    if not callable(found):
        raise UsageError(f"evaluator {name!r}: {attribute} is a {type(found).__name__}, expected a function or class")
    return found, Path(imported.__file__)


def _checked(evaluator: Any, name: str) -> Evaluator:
    if isinstance(evaluator, Evaluator):
        return evaluator
    needed = ("name", "version", "higher_is_better", "unit", "reads", "score")
    lacking = [attribute for attribute in needed if not hasattr(evaluator, attribute)]
    raise UsageError(
        f"evaluator {name!r}: lacks {', '.join(lacking) or 'what the protocol says'}",
        hint="inherit from seedband.evaluators.Evaluator; seedband.testing.check_evaluator says what is amiss",
    )
