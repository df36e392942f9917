"""Evaluators: the table of names, and the small protocol that each of them follows.

An evaluator is a frozen dataclass whose fields are its arguments: all of them, defaults too, stand in band.json. Its
`version` is raised whenever a change can move its numbers. To add one, see docs/how-to/evaluators.md.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypedDict, runtime_checkable

from seedband.counts import counted
from seedband.errors import UsageError
from seedband.evaluators.prefixes import PREFIXES
from seedband.storage.optional import require
from seedband.storage.registry import EVALUATORS
from seedband.tasks.outputs import Checkpoint, Generations, Predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seedband.data.dataset import Items

__all__ = ["Checkpoint", "Evaluator", "Generations", "Predictions", "Reads", "Scored"]
#: More unscored items than this share, and more than one, and there is no score.
MAX_UNSCORED_SHARE = 0.01
#: What an evaluator can ask for: `Predictions`, `Generations`, the `Checkpoint` itself, or whatever there is.
Reads = Literal["classes", "texts", "checkpoint", "any"]


@dataclass(frozen=True)
class Scored:
    """What an evaluator gives.

    Attributes:
        score: Over all items, in the evaluator's unit.
        per_item: Score of every item, shape (n_items,), where the metric has one; NaN for an unscored item.
        backend: What really ran, where the evaluator knows it better than by its class: a signature, a model's sha.
        details: What else is worth knowing: calls, costs, disagreement; told, and never compared.
        n_items: Over how many items, where these are not the recipe's.
    """

    score: float
    per_item: "NDArray[np.float64] | None" = None
    backend: str = ""
    details: Mapping[str, float | int | str] = field(default_factory=dict)
    n_items: int | None = None


@runtime_checkable
class Evaluator(Protocol):
    """Scores a checkpoint by its predictions.

    Inherit from it, and what has a value here need not be said again.
    """

    #: What scores are called.
    name: ClassVar[str]
    #: Raised whenever a change can move the numbers.
    version: ClassVar[str]
    higher_is_better: ClassVar[bool]
    #: Of the scores, for people.
    unit: ClassVar[str]
    reads: ClassVar[Reads]
    #: Lowest and highest score that can be.
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    #: Library that computes it.
    backend: ClassVar[str] = ""
    #: Arguments that say where something lies, relative to the recipe: compared by content, which `backend` tells.
    paths: ClassVar[tuple[str, ...]] = ()
    #: Module that it needs beside what seedband itself does, and the extra of seedband that brings it.
    library: ClassVar[str] = ""
    extra: ClassVar[str] = ""
    #: Whether it runs code that comes with a recipe, or sends data elsewhere: a band.json alone cannot make it run.
    needs_trust: ClassVar[bool] = False
    #: Whether it reads the items' contexts: data without any are refused before anything is trained.
    needs_context: ClassVar[bool] = False

    def score(self, items: "Items", predictions: Any) -> "Scored | NDArray[np.float64] | float":
        """Score the predictions, without changing them and without drawing random numbers.

        Args:
            items: The eval items: ids, inputs, targets, contexts, slices.
            predictions: What a checkpoint says about them, in their order; which kind is for `reads` to say.

        Returns:
            The score of every item, shape (n_items,), NaN for one that cannot be scored: their mean over the others is
            the score; or one score for them all; or `Scored`, with more to tell.
        """
        ...

    def trivial_score(self, items: "Items", predictions: Any) -> float | None:
        """The score of a predictor that has learnt nothing; a run that is no better failed to train. None: unknown."""
        return None

    def arguments(self) -> dict[str, object]:
        """Its arguments as JSON, defaults too; places are left out, for `backend` has their content."""
        args = asdict(self)  # type: ignore[call-overload]
        return {key: value for key, value in args.items() if key not in self.paths}

    @property
    def sends_to(self) -> str:
        """The machine that it sends data to; "" where they stay on this one: all that --offline allows."""
        return ""

    def check_ready(self, *, offline: bool = False) -> None:
        """Find out whether it can score, before anything is trained.

        Args:
            offline: Whether no other machine may be asked for what it needs.

        Raises:
            UsageError: A library, a key or a model is missing.
        """
        if self.library:
            require(self.library, self.extra)


def known() -> list[str]:
    """Names of all evaluators that are installed; behind a prefix stands what may follow it."""
    return sorted({*EVALUATORS.names(), *(f"{prefix}:{entry.names}" for prefix, entry in PREFIXES.items())})


def build(name: str, args: Mapping[str, object], folder: Path | None = None) -> Evaluator:
    """Make an evaluator by name.

    Args:
        name: As the recipe says it.
        args: Its arguments.
        folder: Where relative paths and modules of the recipe start; the working directory unless said.

    Raises:
        UsageError: Unknown name, a name that two packages claim, or arguments that it does not take.
    """
    prefix, _, rest = name.partition(":")
    if rest and prefix in PREFIXES:
        loader: Callable[..., Evaluator] = import_module(PREFIXES[prefix].module).load
        return loader(rest, folder or Path(), args)
    return bind(find(name), args, name, folder)


def find(name: str) -> type[Evaluator]:
    """The class of an evaluator that is built in or installed.

    Raises:
        UsageError: Unknown name, or a name that two packages claim.
    """
    if name not in EVALUATORS:
        raise UsageError(f"unknown evaluator {name!r}", hint=f"there are {', '.join(known())}")
    found: type[Evaluator] = EVALUATORS.find(name)
    return found


def bind(factory: Callable[..., Evaluator], args: Mapping[str, object], name: str, folder: Path | None) -> Evaluator:
    """An evaluator of a class, with relative paths among its arguments made absolute.

    Raises:
        UsageError: Arguments that it does not take.
    """
    try:
        inspect.signature(factory).bind(**args)
    except TypeError as error:
        raise UsageError(f"evaluator {name!r}: {error}", hint=f"it takes {inspect.signature(factory)}") from error
    evaluator = factory(**args)
    paths = {key: _absolute(getattr(evaluator, key), folder or Path()) for key in getattr(evaluator, "paths", ())}
    return replace(evaluator, **paths) if paths else evaluator  # type: ignore[type-var]


def built_in(name: str) -> type[Evaluator] | None:
    """The class of a built-in evaluator, or None; only its own file is imported."""
    return find(name) if name in EVALUATORS.built_in else None


def needs_trust(name: str) -> bool:
    """Whether only a recipe of the user's own may name it; nothing that a recipe brings is imported to know it."""
    prefix, _, rest = name.partition(":")
    return PREFIXES[prefix].needs_trust if rest and prefix in PREFIXES else find(name).needs_trust


class Description(TypedDict):
    """An evaluator, as signatures have it."""

    evaluator: str
    version: str
    higher_is_better: bool
    unit: str
    backend: str
    args: Mapping[str, object]


def as_scored(result: Any, n_items: int) -> Scored:
    """The result of an evaluator in one form: scores of items stand for their mean over those that have one.

    Raises:
        ValueError: Neither a number nor one number an item.

    Examples:
        >>> as_scored([1.0, 0.0, float("nan")], 3).score
        0.5
    """
    import numpy as np

    if isinstance(result, Scored):
        scored = replace(result, score=float(result.score))
    elif np.ndim(result) == 0:
        scored = Scored(float(result))
    else:
        per_item = np.asarray(result, dtype=np.float64)
        known = per_item[~np.isnan(per_item)]
        scored = Scored(float(known.mean()) if known.size else math.nan, per_item)
    if scored.per_item is not None and np.shape(scored.per_item) != (n_items,):
        raise ValueError(
            f"found scores of shape {np.shape(scored.per_item)}, expected one for each of {counted(n_items, 'item')}"
        )
    return scored


def describe(evaluator: Evaluator, backend: str = "") -> Description:
    """The description that two scores must share: version, direction, unit, backend and every argument, defaults too.

    Args:
        evaluator: Which.
        backend: What really ran, where it was told; a path among the arguments is compared by it alone.
    """
    return {
        "evaluator": evaluator.name,
        "version": evaluator.version,
        "higher_is_better": evaluator.higher_is_better,
        "unit": evaluator.unit,
        "backend": backend or evaluator.backend,
        "args": evaluator.arguments(),
    }


def _absolute(place: Any, folder: Path) -> Any:
    """A place as the recipe names it, from wherever one is; names of packages and of the hub stay what they are."""
    there = isinstance(place, str) and place and (folder / place).exists()
    return str((folder / place).absolute()) if there else place
