"""sweep: train one recipe under several seeds, score every checkpoint, and fit the noise band."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from seedband import band as bands
from seedband import environment, evaluators, executors, runs, signature, store
from seedband.band import Band
from seedband.errors import Refused, UsageError
from seedband.preflight import Prepared, estimate, prepare
from seedband.recipe import LoadedRecipe, differing_keys, dump_recipe, load_recipe
from seedband.records import Event, Run, Sweep, TrainJob
from seedband.runs import OnEvent


class Plan(NamedTuple):
    """What a sweep will do.

    Attributes:
        prepared: The recipe, found sound.
        folder: Of the sweep.
        finished: Runs that are there already.
        jobs: Jobs for the missing ones.
    """

    prepared: Prepared
    folder: Path
    finished: tuple[Run, ...]
    jobs: tuple[TrainJob, ...]

    def as_dict(self, slots: int) -> dict[str, Any]:
        """The plan for people and scripts, with what it will take, `slots` jobs at a time."""
        seeds = [run.seed for job in self.jobs for run in job.runs]
        cost = estimate(self.prepared, [run.record["train_seconds"] for run in self.finished])
        return {
            "folder": str(self.folder),
            "finished": [run.seed for run in self.finished],
            "seeds_to_train": seeds,
            "jobs": len(self.jobs),
            "steps_per_run": cost.steps,
            "disk_bytes": len(seeds) * cost.bytes_per_run,
            "seconds": round(len(seeds) * cost.seconds_per_run / max(1, min(slots, len(self.jobs))), 1),
            "seconds_from": cost.seconds_from,
        }


def sweep(
    recipe: str | Path | LoadedRecipe,
    seeds: int | Iterable[int] = 4,
    *,
    out: str | Path | None = None,
    band: str | Path | None = "band.json",
    jobs: int = 1,
    offline: bool = False,
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
        on_event: Called with everything that happens.

    Raises:
        UsageError: A recipe with mistakes, or another recipe than the folder's.
        Refused: Fewer than two seeds and a band, seeds that do nothing, runs that are not comparable.
        WorkFailed: A run crashed; the others are kept.
    """
    wanted = runs.root_seeds(seeds)
    plan = make_plan(recipe, wanted, out=out, band=band, offline=offline)
    for text in plan.prepared.warnings:
        on_event(Event("warning", content={"text": text}))
    with store.locked(plan.folder):
        store.write_text(plan.folder / "recipe.toml", dump_recipe(plan.prepared.recipe))
        _record(plan, wanted)
        on_event(Event("plan", content={"jobs": len(plan.jobs), "seeds": wanted, "folder": str(plan.folder)}))
        executor = executors.make("local", slots=jobs, offline=offline, logs=_logs(plan.folder))
        runs.train(plan.jobs, executor, plan.finished, plan.prepared.recipe.seeds.vary, on_event)
        finished = runs.finished_runs(plan.folder)
        _write_scores(plan.folder, finished)
        if band is None:
            return Sweep(plan.folder, tuple(finished), None, None)
        path = Path(band)
        fitted = fit(plan.prepared, finished, path)
        fitted.save(path)
        median_seed = fitted.metrics[fitted.primary].median_seed
        _record(plan, wanted, path, median_seed)
        return Sweep(plan.folder, tuple(finished), median_seed, path)


def make_plan(
    recipe: str | Path | LoadedRecipe,
    seeds: Sequence[int],
    *,
    out: str | Path | None = None,
    band: str | Path | None = None,
    offline: bool = False,
) -> Plan:
    """What a sweep would do, and everything for which it would be refused; nothing is written."""
    loaded = recipe if isinstance(recipe, LoadedRecipe) else load_recipe(Path(recipe))
    prepared = prepare(loaded, offline=offline)
    default = Path("runs") / f"{prepared.recipe.data.name}-{prepared.recipe.train.method}"
    folder = default if out is None else Path(out)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder")
    finished = tuple(runs.finished_runs(folder))
    if band is not None and len({*seeds, *(run.seed for run in finished)}) < 2:  # noqa: PLR2004
        raise Refused("one seed has no spread: a band needs at least 2", hint="--seeds 4; or --no-band for a candidate")
    _check_same_recipe(prepared, folder, finished)
    if band is not None:
        _check_band_path(Path(band), folder)
    missing = [seed for seed in seeds if seed not in {run.seed for run in finished}]
    if missing:
        _check_same_versions(finished)
    return Plan(prepared, folder, finished, tuple(runs.train_jobs(prepared, folder, missing)))


def band_of(path: str | Path) -> Band:
    """The band in a file, or of a sweep's folder.

    Raises:
        UsageError: Neither is there.
    """
    path = Path(path)
    if not path.is_dir():
        return bands.load_band(path)
    return bands.load_band(runs.band_path(path))


def fit(prepared: Prepared, finished: Sequence[Run], path: Path) -> Band:
    """The band of finished runs, with its provenance; paths in it are relative to `path`.

    Raises:
        Refused: Fewer than two healthy seeds, a metric without a score, or runs that are not comparable.
    """
    recipe = prepared.recipe
    runs.check_distinct(finished, recipe, recipe.seeds.vary)
    healthy = [run for run in finished if run.status == "finished"]
    failed = [run for run in finished if run.status == "failed"]
    if len(healthy) < 2:  # noqa: PLR2004
        reasons = "; ".join(f"seed {run.seed}: {run.failure}" for run in failed)
        raise Refused(
            f"{len(healthy)} of {len(finished)} seeds trained well, a band needs at least 2: {reasons}",
            hint="the recipe does not train; look at its learning rate first",
        )
    _check_comparable(healthy)
    directions = {section.evaluator: evaluators.build(section.evaluator, section.args) for section in recipe.evaluate}
    scores = {name: [_score(run, name) for run in healthy] for name in directions}
    items = {name: table for name in directions if (table := runs.item_scores(healthy, name)) is not None}
    band = bands.fit_band(
        scores,
        alpha=recipe.gate.alpha,
        rule=recipe.gate.rule,
        primary=recipe.primary,
        lower_is_better=[name for name, evaluator in directions.items() if not evaluator.higher_is_better],
        items=items,
        seeds=[run.seed for run in healthy],
        failed_seeds=[run.seed for run in failed],
    )
    metrics = {name: replace(metric, unit=directions[name].unit) for name, metric in band.metrics.items()}
    return replace(band, metrics=metrics, provenance=_provenance(prepared, healthy, failed, path))


def _provenance(prepared: Prepared, healthy: Sequence[Run], failed: Sequence[Run], path: Path) -> dict[str, Any]:
    facts = prepared.provenance
    for part in ("train", "eval"):
        facts["data"][part]["path"] = _relative(facts["data"][part]["path"], path)
    base = facts["base"]
    if Path(base["path"]).is_dir() and not base["reference"].startswith("package:") and base["revision"] is None:
        base["reference"] = _relative(base["path"], path)
    del base["path"]
    return {
        **facts,
        "made_by": f"seedband {healthy[0].record['environment']['versions'].get('seedband')}",
        "signature": healthy[0].record["signature"],
        "environment": healthy[0].record["environment"],
        "recipe": prepared.recipe.as_dict(),
        "checkpoints": {str(run.seed): run.record["checkpoint_sha256"] for run in healthy},
        "failures": {str(run.seed): run.failure for run in failed},
    }


def _relative(target: str, band: Path) -> str:
    return Path(os.path.relpath(target, band.absolute().parent)).as_posix()


def _score(run: Run, metric: str) -> float:
    evaluation = next((entry for entry in run.evaluations if entry.metric == metric), None)
    if evaluation is None or evaluation.score is None:
        why = evaluation.failure if evaluation else "the run was scored without it"
        raise Refused(f"seed {run.seed} has no {metric}: {why}", hint="mend the evaluator, remove the run, sweep again")
    return evaluation.score


def _check_comparable(healthy: Sequence[Run]) -> None:
    """Every run must be scored like the first, in the same environment: a band is one class of numerics."""
    first = healthy[0]
    for run in healthy[1:]:
        found = signature.differences(first.record["signature"], run.record["signature"])
        if found:
            raise Refused(
                f"seed {run.seed} does not join seed {first.seed}: {found[0]}",
                hint=f"remove {run.folder} (or the other runs) and sweep again",
            )


def _check_same_recipe(prepared: Prepared, folder: Path, finished: Sequence[Run]) -> None:
    """The folder's finished runs must come from this recipe, on this base and these rows."""
    now = {"recipe": prepared.recipe.as_dict(), "provenance": prepared.provenance}
    for run in finished:
        changed = runs.changed_keys(run.record, now)
        if changed:
            raise UsageError(
                f"{folder} holds runs of another recipe: {', '.join(changed)} changed",
                hint="give another --out, or remove the folder",
            )


def _check_same_versions(finished: Sequence[Run]) -> None:
    """What is known to join no band is refused before it is trained."""
    now = environment.versions()
    for run in finished:
        changed = differing_keys(run.record["environment"]["versions"], now)
        if changed:
            raise Refused(
                f"{run.folder} was trained with other versions: {', '.join(changed)} changed",
                hint="give another --out, or go back to those versions",
            )


def _check_band_path(path: Path, folder: Path) -> None:
    """A band is evidence: only the sweep that made it may replace it."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a place for a band")
    if not path.exists():
        return
    record = runs.read_sweep(folder) if (folder / runs.SWEEP).is_file() else {"band": None, "band_sha256": None}
    same = record["band"] is not None and (folder / record["band"]).resolve() == path.resolve()
    if not same or record["band_sha256"] != store.file_sha256(path):
        raise UsageError(
            f"{path} exists, and it is not the band of {folder}",
            hint="give another --band, or move the file; with --no-band the runs are candidates for it",
        )


def _write_scores(folder: Path, finished: Sequence[Run]) -> None:
    with store.replacing(folder / "scores.parquet") as temporary:
        runs.scores_table(finished).to_parquet(temporary, index=False)


def _record(plan: Plan, wanted: Sequence[int], band: Path | None = None, median_seed: int | None = None) -> None:
    """sweep.json: which seeds, in the order asked for, and the band. A band that stood there stays until the next."""
    path = plan.folder / runs.SWEEP
    before = runs.read_sweep(plan.folder) if path.is_file() else {"seeds": []}
    made = {key: before.get(key) for key in ("median_seed", "band", "band_sha256")}
    if band is not None:
        relative = os.path.relpath(band.absolute(), plan.folder.absolute())
        made = {"median_seed": median_seed, "band": relative, "band_sha256": store.file_sha256(band)}
    content = {
        "seeds": [*before["seeds"], *(seed for seed in wanted if seed not in before["seeds"])],
        **made,
        "recipe": plan.prepared.recipe.as_dict(),
        "provenance": plan.prepared.provenance,
    }
    store.write_json(path, "sweep", content)


def _logs(folder: Path) -> Path:
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return logs
