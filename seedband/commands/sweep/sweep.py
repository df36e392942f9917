"""sweep: train one recipe under several seeds, score every checkpoint, and fit the noise band."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seedband.bands.band import Band, load_band
from seedband.commands.sweep.sources import P, R, ScoreSource, SweepCall, SweepPlan
from seedband.commands.sweep.sources.checkpoints import Checkpoints
from seedband.commands.sweep.sources.reported import ReportedScores
from seedband.determinism.seeds import root_seeds
from seedband.errors import Refused
from seedband.jobs import executors
from seedband.jobs.executors import OnEvent
from seedband.recipe.parse import LoadedRecipe, load_recipe
from seedband.runs import sweep_file
from seedband.runs.run import Sweep
from seedband.storage import locks


def sweep(
    recipe: str | Path | LoadedRecipe,
    seeds: int | Iterable[int] = 4,
    *,
    out: str | Path | None = None,
    band: str | Path | None = "band.json",
    jobs: int = 1,
    offline: bool = False,
    keep_going: bool = False,
    on_event: OnEvent = lambda _: None,
) -> Sweep:
    """Train a recipe under several seeds and write its band.

    Args:
        recipe: seedband.toml, or a recipe that was read from it.
        seeds: A count (root seeds 0, 1, …) or a list of root seeds; finished ones are kept, not trained again.
        out: Folder of the sweep; runs/<data name>-<method> unless said.
        band: Where the band goes; None trains and scores without one, as for a candidate.
        jobs: Jobs at a time.
        offline: Whether model hubs must not be asked.
        keep_going: Write the band without runs that crash; they are on record in it.
        on_event: Called with everything that happens.

    Raises:
        UsageError: A recipe with mistakes, or another recipe than the folder's.
        Refused: Fewer than two seeds and a band, seeds that do nothing, runs that are not comparable.
        WorkFailed: A run crashed; the others are kept.
    """
    call = SweepCall(
        _loaded(recipe),
        root_seeds(seeds),
        None if out is None else Path(out),
        None if band is None else Path(band),
        jobs=jobs,
        offline=offline,
        keep_going=keep_going,
        on_event=on_event,
    )
    return _swept(source_of(call), call)


def make_plan(
    recipe: str | Path | LoadedRecipe,
    seeds: Sequence[int],
    *,
    out: str | Path | None = None,
    band: str | Path | None = None,
    jobs: int = 1,
    offline: bool = False,
) -> SweepPlan:
    """Plan a sweep, and refuse what cannot be swept; writes nothing."""
    out, band = (None if path is None else Path(path) for path in (out, band))
    plan: SweepPlan = source_of(SweepCall(_loaded(recipe), seeds, out, band, jobs=jobs, offline=offline)).make_plan()
    return plan


def source_of(call: SweepCall) -> ScoreSource[Any, Any]:
    """The score source of a recipe.

    Raises:
        UsageError: A recipe with mistakes.
        Refused: A base that is not safe to open, or not the one that the recipe names.
    """
    return ReportedScores(call) if call.loaded.recipe.reports else Checkpoints(call)


def _swept(source: ScoreSource[P, R], call: SweepCall) -> Sweep:
    """Plan, train, score and fit, all under the lock of the sweep's folder."""
    with locks.locked(call.folder):
        plan = source.make_plan()
        with executors.make(call.loaded.recipe.run.executor, slots=call.jobs, offline=call.offline) as executor:
            runs = source.carry_out(plan, executor)
        try:
            done = _finish(source, plan, runs, call)
        except Refused:
            source.log(plan)  # runs that make no band are looked into all the more
            raise
        source.log(plan)
        return done


def _finish(source: ScoreSource[P, R], plan: P, runs: Sequence[R], call: SweepCall) -> Sweep:
    """Write the band, if there is to be one."""
    if call.band is None:
        return Sweep(call.folder, tuple(runs), None, None)
    band = source.fit(plan, runs, call.band)
    source.save(plan, band, call.band)
    return Sweep(call.folder, tuple(runs), band.metrics[band.primary].median_seed, call.band)


def _loaded(recipe: str | Path | LoadedRecipe) -> LoadedRecipe:
    return recipe if isinstance(recipe, LoadedRecipe) else load_recipe(Path(recipe))


def band_of(path: str | Path) -> Band:
    """The band in a file, or of a sweep's folder.

    Raises:
        UsageError: Neither is there.
    """
    path = Path(path)
    if not path.is_dir():
        return load_band(path)
    return load_band(sweep_file.band_path(path))
