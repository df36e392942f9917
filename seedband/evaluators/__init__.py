"""Evaluators: the table of names, and the small protocol that each of them follows.

An evaluator is a frozen dataclass whose fields are its arguments: all of them, defaults too, stand in band.json. Its
`version` is raised whenever a change can move its numbers. To add one, see CONTRIBUTING.md.
"""

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from seedband.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENTRY_POINTS = "seedband.evaluators"
#: Name → where its class lives; imported when it is used.
BUILT_IN: Mapping[str, str] = {
    "accuracy": "seedband.evaluators.accuracy:Accuracy",
    "f1_macro": "seedband.evaluators.f1_macro:F1Macro",
    "log_loss": "seedband.evaluators.log_loss:LogLoss",
    "mcc": "seedband.evaluators.mcc:Mcc",
}


@dataclass(frozen=True)
class Predictions:
    """What a checkpoint says about the eval items.

    Attributes:
        labels: The true class of every item, int, shape (n_items,).
        logits: Scores of every class, float64, shape (n_items, n_classes).
    """

    labels: "NDArray[np.int64]"
    logits: "NDArray[np.float64]"

    @property
    def predicted(self) -> "NDArray[np.int64]":
        """The class with the largest logit, the first of equals, shape (n_items,)."""
        classes: NDArray[np.int64] = self.logits.argmax(axis=1)
        return classes

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.logits.shape[1])


@dataclass(frozen=True)
class Scored:
    """What an evaluator gives.

    Attributes:
        score: Over all items, in the evaluator's unit.
        per_item: Score of every item, shape (n_items,), where the metric has one; NaN for an unscored item.
    """

    score: float
    per_item: "NDArray[np.float64] | None" = None


@runtime_checkable
class Evaluator(Protocol):
    """Scores a checkpoint's predictions."""

    name: ClassVar[str]
    version: ClassVar[str]
    higher_is_better: ClassVar[bool]
    bounds: ClassVar[tuple[float, float]]
    unit: ClassVar[str]
    backend: ClassVar[str]

    def score(self, predictions: Predictions) -> Scored:
        """Score the predictions, without changing them and without drawing random numbers."""
        ...

    def trivial_score(self, predictions: Predictions) -> float:
        """What a predictor scores that knows the labels' shares and no item; reads no logits."""
        ...


def known() -> list[str]:
    """Names of all evaluators that are installed."""
    return sorted({*BUILT_IN, *_plugins()})


def build(name: str, args: Mapping[str, Any]) -> Evaluator:
    """Make an evaluator by name.

    Raises:
        UsageError: Unknown name, a name that two packages claim, or arguments that it does not take.
    """
    plugins = _plugins()
    if name in BUILT_IN and name in plugins:
        raise UsageError(f"evaluator {name!r} is built in and also installed as {plugins[name]}")
    reference = BUILT_IN.get(name) or plugins.get(name)
    if reference is None:
        raise UsageError(f"unknown evaluator {name!r}", hint=f"there are {', '.join(known())}")
    module, _, attribute = reference.partition(":")
    factory = getattr(import_module(module), attribute)
    try:
        inspect.signature(factory).bind(**args)
    except TypeError as error:
        raise UsageError(f"evaluator {name!r}: {error}", hint=f"it takes {inspect.signature(factory)}") from error
    evaluator: Evaluator = factory(**args)
    return evaluator


def built_in(name: str) -> type[Evaluator] | None:
    """The class of a built-in evaluator, or None; only its own file is imported."""
    if name not in BUILT_IN:
        return None
    module, _, attribute = BUILT_IN[name].partition(":")
    found: type[Evaluator] = getattr(import_module(module), attribute)
    return found


def describe(evaluator: Evaluator) -> dict[str, Any]:
    """What two scores must share: version, direction, unit, backend and every argument, defaults too."""
    return {
        "version": evaluator.version,
        "higher_is_better": evaluator.higher_is_better,
        "unit": evaluator.unit,
        "backend": evaluator.backend,
        "args": asdict(evaluator),  # type: ignore[call-overload]
    }


def _plugins() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        if found.setdefault(entry.name, entry.value) != entry.value:
            raise UsageError(f"evaluator {entry.name!r} is claimed by {found[entry.name]} and {entry.value}")
    return found
