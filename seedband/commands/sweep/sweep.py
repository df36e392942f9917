"""sweep: train one recipe under several seeds, score every checkpoint, and fit the noise band."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seedband import evaluators
from seedband.bands import comparability
from seedband.bands.band import Band, fit_band, load_band
from seedband.commands.sweep import make_runs, reported, tracking
from seedband.commands.sweep.make_runs import Plan
from seedband.commands.sweep.prepare import Prepared, prepare
from seedband.counts import counted
from seedband.data import row_diff
from seedband.determinism.seeds import root_seeds
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.jobs import executors
from seedband.jobs.executors import OnEvent
from seedband.jobs.run_jobs import check_distinct, raise_unscored
from seedband.recipe import locations
from seedband.recipe.parse import LoadedRecipe, load_recipe
from seedband.runs import folders, layout, score_table, slices
from seedband.runs.run import Run, Sweep
from seedband.storage import atomic_files, file_hashes, locks


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
    loaded, listed = _loaded(recipe), root_seeds(seeds)
    if loaded.recipe.reports:
        options: dict[str, Any] = {"jobs": jobs, "offline": offline, "keep_going": keep_going, "on_event": on_event}
        return reported.sweep(loaded, listed, out=out, band=band, **options)
    plan = make_plan(loaded, listed, out=out, band=band, jobs=jobs, offline=offline)
    with locks.locked(plan.folder):
        with executors.make(loaded.recipe.run.executor, slots=jobs, offline=offline) as executor:
            finished = make_runs.carry_out(plan, executor, on_event=on_event, keep_going=keep_going)
        try:
            done = _finish(plan, finished, None if band is None else Path(band))
        except Refused:
            _log(plan, offline=offline, on_event=on_event)  # runs that make no band are looked into all the more
            raise
        _log(plan, offline=offline, on_event=on_event)
        return done


def make_plan(
    recipe: str | Path | LoadedRecipe,
    seeds: Sequence[int],
    *,
    out: str | Path | None = None,
    band: str | Path | None = None,
    jobs: int = 1,
    offline: bool = False,
) -> Plan:
    """What a sweep would do, and everything for which it would be refused; nothing is written."""
    loaded = _loaded(recipe)
    plan = make_runs.make_plan(prepare(loaded, offline=offline), seeds, out, slots=jobs)
    if band is not None:
        before = folders.read_sweep(plan.folder) if (plan.folder / layout.SWEEP).is_file() else {}
        folders.refuse_one_seed(before, seeds, {run.seed for run in plan.finished})
        _check_band_path(Path(band), plan.folder)
        _history(plan.prepared)
    tracking.check_ready(plan.prepared.recipe, plan.prepared.folder, offline=offline)
    return plan


def _finish(plan: Plan, finished: Sequence[Run], band: Path | None) -> Sweep:
    """Write the band, if there is to be one."""
    if band is None:
        return Sweep(plan.folder, tuple(finished), None, None)
    _check_band_path(band, plan.folder)  # training took its time, and somebody may have put another file there
    fitted = fit(plan.prepared, _of_band(plan, finished), band, crashed=_crashed(plan))
    _write(fitted, band, plan)
    return Sweep(plan.folder, tuple(finished), fitted.metrics[fitted.primary].median_seed, band)


def _log(plan: Plan, *, offline: bool, on_event: OnEvent) -> None:
    tracking.log_sweep(plan.prepared.recipe, plan.prepared.folder, plan.folder, offline=offline, on_event=on_event)


def _loaded(recipe: str | Path | LoadedRecipe) -> LoadedRecipe:
    return recipe if isinstance(recipe, LoadedRecipe) else load_recipe(Path(recipe))


def _of_band(plan: Plan, finished: Sequence[Run]) -> list[Run]:
    """The runs that were asked for with a band: candidates in the same folder are no part of the baseline."""
    asked = _asked(plan)
    return [run for run in finished if run.seed in asked]


def _crashed(plan: Plan) -> dict[str, str]:
    """Root seed → why its run crashed, of those asked for with a band."""
    asked, crashed = _asked(plan), folders.read_sweep(plan.folder)["crashed"]
    return {seed: told["message"] for seed, told in crashed.items() if int(seed) in asked}


def _asked(plan: Plan) -> set[int]:
    return {*folders.with_seeds(folders.read_sweep(plan.folder), plan.seeds, band=True)["band_seeds"]}


def band_of(path: str | Path) -> Band:
    """The band in a file, or of a sweep's folder.

    Raises:
        UsageError: Neither is there.
    """
    path = Path(path)
    if not path.is_dir():
        return load_band(path)
    return load_band(folders.band_path(path))


def fit(prepared: Prepared, finished: Sequence[Run], path: Path, crashed: Mapping[str, str] | None = None) -> Band:
    """The band of finished runs, with its provenance; paths in it are relative to `path`.

    Args:
        prepared: The recipe.
        finished: The runs, those that failed to train among them.
        path: Where the band goes.
        crashed: Root seed → why its run crashed, of runs that are left out; they go on record.

    Raises:
        Refused: Fewer than two healthy seeds, a metric without a score, or runs that are not comparable.
        WorkFailed: Fewer than two healthy seeds, for others crashed.
    """
    recipe = prepared.recipe
    check_distinct(finished, recipe, recipe.seeds.vary)
    healthy = [run for run in finished if run.status == "finished"]
    failed = [run for run in finished if run.status == "failed"]
    if len(healthy) < 2 and crashed:  # noqa: PLR2004
        reasons = "; ".join(f"seed {seed} crashed: {message}" for seed, message in crashed.items())
        raise WorkFailed(
            f"{counted(len(healthy), 'healthy run is', 'healthy runs are')} left, a band needs at least 2: {reasons}",
            hint="sweep again",
        )
    if len(healthy) < 2:  # noqa: PLR2004
        reasons = "; ".join(f"seed {run.seed}: {run.failure}" for run in failed)
        raise Refused(
            f"{len(healthy)} of {counted(len(finished), 'seed')} trained well, a band needs at least 2: {reasons}",
            hint="the recipe does not train; look at its learning rate first",
        )
    _check_asked(healthy)
    _check_comparable(healthy)
    start = Path(prepared.scoring.folder)
    directions = {
        section.metric: evaluators.build(section.evaluator, section.args, start) for section in recipe.evaluate
    }
    scores = {name: [_score(run, name) for run in healthy] for name in directions}
    items = {name: table for name in directions if (table := _items(healthy, name)) is not None}
    band = fit_band(
        scores,
        alpha=recipe.gate.alpha,
        rule=recipe.gate.rule,
        primary=recipe.primary,
        gates=recipe.gate.metrics,
        lower_is_better=[name for name, evaluator in directions.items() if not evaluator.higher_is_better],
        items=items,
        seeds=[run.seed for run in healthy],
        failed_seeds=[run.seed for run in failed],
        history=_history(prepared),
        provenance={
            **_provenance(prepared, healthy, failed, path),
            "crashed": dict(crashed or {}),
            **_accepted(path),
        },
    )
    metrics = {name: replace(metric, unit=directions[name].unit) for name, metric in band.metrics.items()}
    return replace(band, metrics=metrics)


def _provenance(prepared: Prepared, healthy: Sequence[Run], failed: Sequence[Run], path: Path) -> dict[str, Any]:
    folder = path.absolute().parent
    facts = locations.relative(prepared.provenance, folder)
    rows = row_diff.packed(row_diff.of_items(prepared.eval_items))
    return {
        **facts,
        "data": {**facts["data"], "eval": {**facts["data"]["eval"], "rows": rows}},
        "made_by": f"seedband {healthy[0].record['environment']['versions'].get('seedband')}",
        "signature": healthy[0].record["signature"],
        "environment": healthy[0].record["environment"],
        "recipe": prepared.recipe.as_dict(),
        "checkpoints": {str(run.seed): run.record["checkpoint_sha256"] for run in healthy},
        "failures": {str(run.seed): run.failure for run in failed},
        "runs": locations.relative_path(healthy[0].folder.parent, folder),
        "items": {str(run.seed): run.record["items_sha256"] for run in healthy},
        "slices": slices.of_runs([score_table.read_items(run) for run in healthy]),
    }


def _accepted(path: Path) -> dict[str, Any]:
    """What was accepted on the way to the band that lies there now: its successor keeps it."""
    entries = load_band(path).provenance.get("accepted") if path.is_file() else None
    return {"accepted": entries} if entries else {}


def _write(band: Band, path: Path, plan: Plan) -> None:
    """Put the band on record, then in its place: killed at any moment, the next sweep knows what lies there."""
    text = band.as_text()
    sha256, median_seed = hashlib.sha256(text.encode()).hexdigest(), band.metrics[band.primary].median_seed
    make_runs.record(plan, band=path, band_sha256=sha256, median_seed=median_seed)
    atomic_files.remove_parts(path.parent, path.name)
    atomic_files.write_text(path, text)


def _items(healthy: Sequence[Run], metric: str) -> Sequence[Sequence[float]] | None:
    """Scores of those items that have one under every seed, shape (n_runs, n_items); None where there are none."""
    table = score_table.item_scores(healthy, metric)
    columns = zip(*table, strict=True) if table else ()
    return list(zip(*(column for column in columns if all(map(math.isfinite, column))), strict=True)) or None


def _history(prepared: Prepared) -> list[Band]:
    """The earlier bands that the recipe names, relative to where it lies or, on record, lay."""
    return [load_band(Path(prepared.scoring.folder) / path) for path in prepared.recipe.gate.history]


def _score(run: Run, metric: str) -> float:
    evaluation = next((entry for entry in run.evaluations if entry.metric == metric), None)
    if evaluation is None:
        raise Refused(f"seed {run.seed} was scored without {metric}", hint=f"remove {run.folder}, sweep again")
    raise_unscored(f"seed {run.seed}", evaluation, "sweep again: the run is kept, and scored anew")
    assert evaluation.score is not None
    return evaluation.score


def _check_asked(healthy: Sequence[Run]) -> None:
    """No evaluator crashed: one that did could not say what it would have run, so it cannot be compared."""
    for run in healthy:
        for evaluation in run.evaluations:
            if evaluation.crashed:
                _score(run, evaluation.metric)


def _check_comparable(healthy: Sequence[Run]) -> None:
    """Every run must be scored like the first, in the same environment: a band is one class of numerics."""
    first = healthy[0]
    for run in healthy[1:]:
        found = comparability.differences(first.record["signature"], run.record["signature"])
        if found:
            raise Refused(
                f"seed {run.seed} does not join seed {first.seed}: {found[0]}",
                hint=f"remove {run.folder} (or the other runs) and sweep again",
            )


def _check_band_path(path: Path, folder: Path) -> None:
    """A band is evidence: only the sweep that made it may replace it."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a place for a band")
    if not path.exists():
        return
    record = folders.read_sweep(folder) if (folder / layout.SWEEP).is_file() else {"band": None}
    same = record["band"] is not None and (folder / record["band"]).resolve() == path.resolve()
    if not same or file_hashes.file_sha256(path) not in (record["band_sha256"], record.get("band_before_sha256")):
        raise UsageError(
            f"{path} exists, and it is not the band of {folder}",
            hint="give another --band; or --no-band: its runs are candidates then, which `seedband accept` can bless",
        )
