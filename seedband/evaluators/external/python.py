"""python:<module>:<name>: a function or a class beside the recipe, or in any installed package."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.evaluators import Evaluator, Scored, as_scored, bind
from seedband.storage import file_hashes, json_files

DIGITS = 12


def load(reference: str, folder: Path, args: Mapping[str, object]) -> Evaluator:
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
    content = f"sha256:{fingerprint(source, folder)}"
    if inspect.isclass(found):
        return _checked(bind(_telling(found, content), args, name, folder), name)
    higher_is_better, unit = args.get("higher_is_better"), args.get("unit", "")
    if not isinstance(higher_is_better, bool) or not isinstance(unit, str):
        raise UsageError(
            f"evaluator {name!r}: does not say which direction is better", hint="args = { higher_is_better = true }"
        )
    rest = {key: value for key, value in args.items() if key not in ("higher_is_better", "unit")}
    try:
        inspect.signature(found).bind(None, None, **rest)
    except TypeError as error:
        form = f"{reference.rpartition(':')[2]}{inspect.signature(found)}"
        raise UsageError(f"evaluator {name!r}: {error}", hint=f"it is {form}") from error
    sha256 = file_hashes.file_sha256(source)
    return Function(reference, found, sha256, content, higher_is_better, unit, rest)


@dataclass(frozen=True)
class Function(Evaluator):
    """A function as an evaluator: its version is the content of the file that it stands in.

    Attributes:
        reference: Module and name.
        function: Itself.
        sha256: Of the file.
        content: Of the file and of those that it imports from the recipe's folder.
        higher_is_better: Direction.
        unit: Of its scores.
        args: Further arguments.
    """

    reference: str
    function: Callable[..., Any] = field(repr=False)
    sha256: str
    content: str
    higher_is_better: bool  # type: ignore[misc]  # of a class this is an attribute
    unit: str  # type: ignore[misc]
    args: dict[str, object]

    reads = "any"

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the recipe says it."""
        return f"python:{self.reference}"

    @property
    def version(self) -> str:  # type: ignore[override]
        """The file's content."""
        return f"sha256:{self.sha256[:DIGITS]}"

    @property
    def backend(self) -> str:  # type: ignore[override]
        """Its origin, and the code that runs."""
        return f"{self.reference} {self.content}"

    def arguments(self) -> dict[str, object]:
        """The arguments of the function."""
        return dict(self.args)

    def score(self, items: Items, predictions: Any) -> Scored:
        """The scores that the function returns."""
        scored = as_scored(self.function(items, predictions, **self.args), len(items))
        return replace(scored, backend=" ".join(filter(None, (scored.backend, self.backend))))


def fingerprint(source: Path, folder: Path) -> str:
    """SHA-256 over a file and all that it imports from the recipe's folder.

    Imports are read from the text, not from what is loaded: so one inside a function counts before it has run, and
    what another evaluator has loaded does not. A module whose name is only made as the code runs is not seen.

    Args:
        source: Where a function or class stands.
        folder: Of the recipe.
    """
    root, waiting = folder.resolve(), [source.resolve()]
    found: dict[Path, str] = {}
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = file_hashes.file_sha256(path)
        if _is_own(path, root):
            waiting += _imported(path, root)
    places = {path: path.relative_to(root).as_posix() if _is_own(path, root) else path.name for path in found}
    return json_files.digest(sorted([places[path], sha256] for path, sha256 in found.items()))[:DIGITS]


def _is_own(path: Path, root: Path) -> bool:
    """Check whether it lies beside the recipe, and not in an environment that does."""
    return path.is_relative_to(root) and "site-packages" not in path.relative_to(root).parts


def _imported(path: Path, root: Path) -> Iterator[Path]:
    """Files below the folder that a file imports, wherever in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # it was not written in Python, or cannot be imported either
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(root, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = path.parents[node.level - 1] if node.level else root
            module = node.module.split(".") if node.module else []
            yield from _files(start, module)
            for alias in node.names:
                yield from _files(start, [*module, alias.name])


def _files(start: Path, parts: list[str]) -> Iterator[Path]:
    """Those of a module, and of the packages around it, as far as they lie there."""
    for n in range(len(parts) + 1):
        place = start.joinpath(*parts[:n])
        options = [place / "__init__.py", *([place.with_name(f"{place.name}.py")] if n else [])]
        yield from (option.resolve() for option in options if option.is_file())


def _telling(found: type, content: str) -> Callable[..., Evaluator]:
    """A class whose scores say which code made them, beside what they say themselves."""

    def score(self: Any, items: Items, predictions: Any) -> Scored:
        scored = as_scored(found.score(self, items, predictions), len(items))  # type: ignore[attr-defined]
        return replace(scored, backend=f"{scored.backend or self.backend} {content}".strip())

    kept = {"__doc__": found.__doc__, "__module__": found.__module__, "__qualname__": found.__qualname__}
    return type(found.__name__, (found,), {**kept, "score": score} if hasattr(found, "score") else kept)


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
    return found, _source(found) or Path(imported.__file__)


def _source(found: Callable[..., Any]) -> Path | None:
    """The file that a function or class really stands in, where it is written in Python."""
    try:
        source = inspect.getsourcefile(inspect.unwrap(found))
    except (TypeError, OSError):
        return None
    return None if source is None or not Path(source).is_file() else Path(source)


def _checked(evaluator: Any, name: str) -> Evaluator:
    if isinstance(evaluator, Evaluator):
        return evaluator
    needed = ("name", "version", "higher_is_better", "unit", "reads", "score")
    lacking = [attribute for attribute in needed if not hasattr(evaluator, attribute)]
    raise UsageError(
        f"evaluator {name!r}: lacks {', '.join(lacking) or 'what the protocol says'}",
        hint="inherit from seedband.evaluators.Evaluator; seedband.testing.check_evaluator shows what is wrong",
    )
