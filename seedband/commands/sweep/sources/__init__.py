"""Score sources: where the scores of a sweep come from, each an object that plans, carries out and fits one sweep.

Either seedband scores the checkpoints that it trains, or the training command reports its own scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from seedband.bands.band import Band
from seedband.jobs.executors import Executor, OnEvent
from seedband.recipe.parse import LoadedRecipe
from seedband.runs import layout
from seedband.runs.run import SeedResult
from seedband.storage.json_files import JsonObject


@dataclass(frozen=True)
class SweepCall:
    """One call of a sweep: its recipe, seeds and places.

    Attributes:
        loaded: The recipe.
        seeds: Root seeds.
        out: Folder of the sweep; its default place if None.
        band: Where the band goes; None for no band.
        jobs: Jobs at a time.
        offline: Whether model hubs must not be asked.
        keep_going: Write the band without runs that crash.
        on_event: Called with everything that happens.
    """

    loaded: LoadedRecipe
    seeds: Sequence[int]
    out: Path | None = None
    band: Path | None = None
    jobs: int = 1
    offline: bool = False
    keep_going: bool = False
    on_event: OnEvent = lambda _: None

    @property
    def folder(self) -> Path:
        """Folder of the sweep."""
        return layout.default_folder(self.loaded.recipe) if self.out is None else self.out


class SweepPlan(Protocol):
    """The plan of a sweep, whichever its score source."""

    def as_dict(self) -> JsonObject:
        """The plan for people and scripts, as `sweep --dry-run --json` prints it."""


P = TypeVar("P", bound=SweepPlan)
R = TypeVar("R", bound=SeedResult)


class ScoreSource(Protocol[P, R]):
    """One sweep whose scores come from one place; without the lock of its folder, only `make_plan` is called."""

    def make_plan(self) -> P:
        """Plan what is missing, and refuse what cannot be swept; writes nothing.

        Raises:
            UsageError: Another recipe than the folder's, or a band of something else.
            Refused: One seed and a band, or seeds that would join seeds of other versions.
        """

    def carry_out(self, plan: P, executor: Executor) -> tuple[R, ...]:
        """Train what is missing, and collect every run of the folder.

        Raises:
            Refused: Runs that are no evidence, such as the same scores under every seed.
            WorkFailed: A seed crashed; the others are kept.
        """

    def fit(self, plan: P, runs: Sequence[R], path: Path) -> Band:
        """The band of the seeds that were asked for with one.

        Raises:
            UsageError: Another band lies at `path`.
            Refused: Too few healthy seeds, or runs that are not comparable.
        """

    def save(self, plan: P, band: Band, path: Path) -> None:
        """Put the band on record, and in its place."""

    def log(self, plan: P) -> None:
        """Tell the trackers that the recipe names of what is on disk."""
