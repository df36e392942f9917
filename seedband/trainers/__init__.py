"""Trainers: the table of methods, and the protocol that each module follows.

Modules in this folder are imported by jobs only, so they import torch at their top.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.models.encoded import Truncation
from seedband.models.speedups.feature_cache import FeatureCache
from seedband.recipe.scoring import Scoring
from seedband.recipe.sections import Recipe

if TYPE_CHECKING:
    from seedband.models.padding import Ways


@dataclass(frozen=True)
class SeedRun:
    """One run to be trained.

    Attributes:
        seed: Root seed.
        streams: Seed of each stream.
        folder: Where its checkpoint and records go.
    """

    seed: int
    streams: Mapping[str, int]
    folder: str


ENTRY_POINTS = "seedband.trainers"


class Method(NamedTuple):
    """One training method.

    Attributes:
        module: Where it lives; imported when it is used.
        max_group: Most seeds that one job trains together.
    """

    module: str
    max_group: int


BUILT_IN: Mapping[str, Method] = {
    "lora": Method("seedband.trainers.lora", 1),
    "head": Method("seedband.trainers.head", 128),
    "command": Method("seedband.trainers.command", 1),
}


@dataclass(frozen=True)
class TrainContext:
    """What a trainer is given: the same for every seed of its group.

    Attributes:
        recipe: The whole recipe.
        scoring: How its checkpoints will be scored; it names base, task and labels.
        items: The training rows.
        item_keys: Key of each row, by which the order is drawn.
        device: "cpu" or "cuda".
        identity: What must be equal for a killed run to go on: recipe, data, base and environment, as a hash.
        features: Where features of a frozen backbone are kept.
        ways: How rows of the base share batches, once that is known.
        check_base: Raises where the base is no longer the one on record; asked once it was loaded.
    """

    recipe: Recipe
    scoring: Scoring
    items: Items
    item_keys: tuple[str, ...]
    device: str
    identity: str
    features: FeatureCache = field(default_factory=FeatureCache)
    ways: "Ways" = field(default_factory=dict)
    check_base: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class TrainedRun:
    """What training one seed gave; its checkpoint lies in the run's folder.

    Attributes:
        run: Which run.
        failure: Why it failed to train; empty otherwise. A result, not a crash.
        witnesses: init, order, dropout, losses and final, as hashes.
        initializers: How every new tensor was drawn.
        steps: Optimizer steps taken.
        attention: The attention implementation in use.
        truncated: What was left out of the training rows.
        seconds: What it took, where that is not the time since the run before was there.
        padding: Version of how its rows were padded; see `padding.version`.
    """

    run: SeedRun
    failure: str
    witnesses: Mapping[str, Any]
    initializers: Sequence[Mapping[str, Any]]
    steps: int
    attention: str
    truncated: Truncation = field(default_factory=Truncation)
    seconds: float | None = None
    padding: int = 1


class Report(Protocol):
    """Where a trainer tells what happens."""

    def __call__(self, kind: str, seed: int | None, content: Mapping[str, Any], /) -> None:
        """Tell of "step" and "witness" as they happen."""
        ...


class Trainer(Protocol):
    """A module that trains a group of seeds of one recipe."""

    def train(self, context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
        """Train the runs and yield each as soon as its checkpoint is written."""
        ...


def known() -> list[str]:
    """Names of all methods that are installed."""
    return sorted({*BUILT_IN, *_plugins()})


def find(name: str) -> Method:
    """The method of that name.

    Raises:
        UsageError: Unknown name, or a name that two packages claim.
    """
    plugins = _plugins()
    if name in BUILT_IN and name in plugins:
        raise UsageError(f"trainer {name!r} is built in and also installed as {plugins[name].module}")
    if name not in BUILT_IN and name not in plugins:
        raise UsageError(f"unknown method {name!r}", hint=f"there are {', '.join(known())}")
    return BUILT_IN.get(name) or plugins[name]


def load(name: str) -> Trainer:
    """Import the trainer of a method."""
    trainer: Any = import_module(find(name).module)
    return trainer  # type: ignore[no-any-return]


def _plugins() -> dict[str, Method]:
    found: dict[str, Method] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name in found:
            raise UsageError(f"trainer {entry.name!r} is claimed by {found[entry.name].module} and {entry.value}")
        found[entry.name] = Method(entry.value, 1)
    return found
