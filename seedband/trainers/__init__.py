"""Methods: how a recipe is trained. A method is one file, and light; `loop/` imports torch and is imported by jobs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from seedband.data.dataset import Items
from seedband.errors import Problem
from seedband.models.encoded import Truncation
from seedband.models.speedups.feature_cache import FeatureCache
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import Recipe
from seedband.storage.registry import METHODS
from seedband.tasks import Task

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
    witnesses: Mapping[str, str | None]
    initializers: Sequence[Mapping[str, object]]
    steps: int
    attention: str
    truncated: Truncation = field(default_factory=Truncation)
    seconds: float | None = None
    padding: int = 1


class Report(Protocol):
    """Where a trainer tells what happens."""

    def __call__(self, kind: str, seed: int | None, content: Mapping[str, object], /) -> None:
        """Tell of "step" and "witness" as they happen."""
        ...


class Trainer(Protocol):
    """What trains a group of seeds of one recipe: a method, or a module of another package."""

    def train(self, context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
        """Train the runs and yield each as soon as its checkpoint is written."""
        ...


class Method(ABC):
    """What a training method answers, so that no other file has to know its name."""

    #: As a recipe says it.
    name: ClassVar[str]
    #: Most seeds that one job trains together.
    max_group: ClassVar[int] = 1
    #: Whether it trains adapters beside new heads.
    adapts: ClassVar[bool] = False

    @abstractmethod
    def train(self, context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
        """Train the runs and yield each as soon as its checkpoint is written."""

    def suits(self, task: Task) -> bool:  # noqa: ARG002
        """Check whether it can train a task."""
        return True

    def problems(self, recipe: Recipe) -> list[Problem]:  # noqa: ARG002
        """Problems of a recipe of this method."""
        return []

    def base_problems(self, recipe: Recipe, base: Base, task: Task) -> list[Problem]:  # noqa: ARG002
        """Reasons why this method cannot train a base."""
        return []

    def takes_any_body(self, recipe: Recipe, base: Base) -> bool:  # noqa: ARG002
        """Check whether it trains a base for which the task has no model of its own."""
        return False

    def warnings(self, recipe: Recipe, base: Base) -> Iterator[str]:  # noqa: ARG002
        """Warnings: no mistakes, but worth knowing."""
        yield from ()

    def suggested(self, n_parameters: int) -> dict[str, dict[str, object]]:  # noqa: ARG002
        """Sections of a recipe to begin with, beside `epochs` and `batch_size`.

        Args:
            n_parameters: Of the base.
        """
        return {"train": {}}

    def seconds(self, forward: float, rows_seen: int, rows_once: tuple[int, int]) -> tuple[float, float]:
        """About what a run takes beyond its start, and what all runs of a sweep share, in seconds.

        Args:
            forward: Of one row.
            rows_seen: In training, each time that it is seen.
            rows_once: Training rows and eval rows.
        """
        return (3 * rows_seen + rows_once[1]) * forward, 0.0


class _Module(Method):
    """A module of another package that has `train`."""

    def __init__(self, name: str, module: Trainer) -> None:
        self.name = name  # type: ignore[misc]
        self._module = module

    def train(self, context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
        return self._module.train(context, runs, report)


def find(name: str) -> Method:
    """The method of a name.

    Raises:
        UsageError: Unknown name, or a name that two packages claim.
    """
    found: Any = METHODS.find(name)
    return found() if isinstance(found, type) else _Module(name, found)
