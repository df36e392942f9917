"""Which runs are missing, train them, collect them: what sweep and check --more-seeds share."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seedband import evaluators
from seedband.bands import comparability
from seedband.commands.sweep.cost import estimate
from seedband.commands.sweep.prepare import Prepared
from seedband.determinism import environment
from seedband.determinism.seeds import streams
from seedband.errors import Refused, UsageError
from seedband.evaluators import Evaluator, describe
from seedband.events import Event
from seedband.jobs.executors import Executor
from seedband.jobs.kinds.score import ScoreJob
from seedband.jobs.kinds.train import TrainJob
from seedband.jobs.run_jobs import each_warning_once, raise_crashes, raise_told, score, told_of, train
from seedband.jobs.score import ScoreTarget
from seedband.jobs.spec import Outcome
from seedband.models.recognise import recognise
from seedband.recipe import identity, locations
from seedband.recipe.parse import differing_keys, dump_recipe
from seedband.recipe.sections import Recipe
from seedband.runs import folders, layout, score_table
from seedband.runs.item_table import predictions_sha256, read_table
from seedband.runs.layout import ITEMS, LOGS, RECIPE, RUN, SCORES, SCORES_TABLE, TRAINED, TRAINING, seed_folders
from seedband.runs.old_padding import unversioned, went_wrong_in
from seedband.runs.run import Run
from seedband.storage import atomic_files, file_hashes, json_files
from seedband.trainers import SeedRun, find

OnEvent = Callable[[Event], None]
#: Where a run is scored once more, beside its scores.
ANEW = "anew"


class Plan(NamedTuple):
    """What a sweep will do.

    Attributes:
        prepared: The recipe, found sound.
        folder: Of the sweep.
        seeds: Root seeds that are wanted.
        finished: Runs that are there already.
        jobs: Jobs for the missing ones.
        stale: Of the finished runs those that were scored otherwise than the recipe asks for now.
        unscored: Seeds among the missing that are trained already, and wait to be scored.
        slots: Jobs at a time.
    """

    prepared: Prepared
    folder: Path
    seeds: tuple[int, ...]
    finished: tuple[Run, ...]
    jobs: tuple[TrainJob, ...]
    stale: tuple[Run, ...] = ()
    unscored: tuple[int, ...] = ()
    slots: int = 1

    def as_dict(self) -> dict[str, Any]:
        """The plan for people and scripts, with what it will take."""
        seeds = [run.seed for job in self.jobs for run in job.runs if run.seed not in self.unscored]
        cost = estimate(self.prepared, [run.record["train_seconds"] for run in self.finished])
        at_a_time = max(1, min(self.slots, len(self.jobs)))
        return {
            "folder": str(self.folder),
            "finished": [run.seed for run in self.finished],
            "seeds_to_train": seeds,
            "seeds_to_score": sorted([*self.unscored, *(run.seed for run in self.stale)]),
            "jobs": len(self.jobs),
            "steps_per_run": cost.steps,
            "disk_bytes": None if cost.bytes_per_run is None else len(seeds) * cost.bytes_per_run,
            "seconds": cost.seconds(len(seeds), at_a_time),
            "seconds_from": cost.seconds_from,
            "warnings": list(self.prepared.warnings),
        }


def make_plan(prepared: Prepared, seeds: Sequence[int], folder: str | Path | None = None, *, slots: int = 1) -> Plan:
    """Which runs of a recipe are missing in a folder, and everything for which it would be refused; writes nothing.

    Args:
        prepared: The recipe, found sound.
        seeds: Root seeds that are wanted.
        folder: Of the sweep; runs/<data name>-<method> unless said.
        slots: Jobs at a time.

    Raises:
        UsageError: The folder is another recipe's.
        Refused: Missing runs would join runs of other versions.
    """
    default = Path("runs") / f"{prepared.recipe.data.name}-{prepared.recipe.train.method}"
    target = default if folder is None else Path(folder)
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file, not a folder")
    finished = tuple(folders.finished_runs(target))
    _check_same_recipe(prepared, target, finished)
    missing = [seed for seed in seeds if seed not in {run.seed for run in finished}]
    if missing:
        _check_same_versions(finished)
    unscored = tuple(seed for seed in missing if (layout.seed_folder(target, seed) / TRAINED).is_file())
    jobs = tuple(train_jobs(prepared, target, missing, slots))
    return Plan(prepared, target, tuple(seeds), finished, jobs, stale_runs(prepared, finished), unscored, slots)


def stale_runs(prepared: Prepared, finished: Sequence[Run]) -> tuple[Run, ...]:
    """Of finished runs those whose scores are not what the recipe asks for now.

    An evaluator crashed or is another one, or its arguments are; scoring is set otherwise; new scores were on their way
    into the run's folder when the process ended; or an earlier version padded the rows wrongly.
    """
    scored = [run for run in finished if run.evaluations]
    if not scored:
        return ()
    start = Path(prepared.scoring.folder)
    asked = {
        section.metric: evaluators.build(section.evaluator, section.args, start) for section in prepared.recipe.evaluate
    }
    old = unversioned(scored)
    wrong = old if old and went_wrong_in(prepared.scoring) else []
    return tuple(run for run in scored if run in wrong or not _is_scored_as_asked(run, prepared.recipe, asked))


def _is_scored_as_asked(run: Run, recipe: Recipe, asked: Mapping[str, Evaluator]) -> bool:
    wanted = recipe.as_dict()
    sections = [{key: recipe_of.get(key) for key in identity.SCORED_BY} for recipe_of in (wanted, run.record["recipe"])]
    if any(evaluation.crashed for evaluation in run.evaluations) or len({*map(json_files.canonical, sections)}) > 1:
        return False
    items = run.folder / ITEMS
    if (run.folder / ANEW).exists() and not (
        items.is_file() and file_hashes.file_sha256(items) == run.record["items_sha256"]
    ):
        return False
    known = comparability.at(run.record["signature"], "evaluators")
    described = known if isinstance(known, Mapping) else {}
    # What really ran is known once it has run: only the rest can be compared.
    return all(
        json_files.canonical(described.get(name))
        == json_files.canonical(describe(evaluator, _backend(described.get(name))))
        for name, evaluator in asked.items()
    )


def _backend(described: object) -> str:
    return str(described.get("backend", "")) if isinstance(described, Mapping) else ""


def carry_out(
    plan: Plan,
    executor: Executor,
    *,
    on_event: OnEvent,
    announce: bool = True,
    keep_going: bool = False,
) -> list[Run]:
    """Train what is missing, and collect all runs of the folder; its lock must be held.

    Args:
        plan: What is wanted.
        executor: Where jobs go.
        on_event: Called with everything that happens.
        announce: Put the seeds on record before they are trained, so that a sweep that is cut short says what it lacks.
        keep_going: Go on without runs that crash.

    Raises:
        Refused: Seeds that do nothing, or a finished run that cannot be scored anew: other weights, another machine.
        WorkFailed: A run or its scoring crashed; the others are kept, and sweep.json says which was not trained.
    """
    on_event = each_warning_once(on_event)
    folders.clear(plan.folder)
    # Another sweep may have finished runs before the lock was ours.
    plan = make_plan(plan.prepared, plan.seeds, plan.folder, slots=plan.slots)
    recipe = plan.prepared.recipe
    for text in plan.prepared.warnings:
        on_event(Event("warning", content={"text": text}))
    atomic_files.write_text(plan.folder / RECIPE, dump_recipe(recipe))
    if announce:
        record(plan)
    on_event(Event("plan", content={"jobs": len(plan.jobs), "seeds": plan.seeds, "folder": str(plan.folder)}))
    logs = plan.folder / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    crashed = train(plan.jobs, executor, logs, plan.finished, recipe.seeds.vary, on_event)
    if crashed and announce:
        record(plan, crashed=[outcome for outcome in crashed if told_of(outcome) is None])
    raise_told(crashed)
    # Further seeds of a candidate are no occasion to touch the other runs of its folder.
    _score_anew(plan, [run for run in plan.stale if announce or run.seed in plan.seeds], executor, on_event)
    if not keep_going:
        leaving = "; --keep-going leaves it out" if announce else ""
        raise_crashes(crashed, f"sweep again to train it: what is finished is kept{leaving}")
    finished = folders.finished_runs(plan.folder)
    with atomic_files.replacing(plan.folder / SCORES_TABLE) as temporary:
        score_table.scores_table(finished).to_parquet(temporary, index=False)
    record(plan)
    return finished


def _score_anew(plan: Plan, stale: Sequence[Run], executor: Executor, on_event: OnEvent) -> None:
    """Score finished runs once more, each kept as soon as it is done; nothing is trained for it."""
    for run in plan.finished:
        # What a process that was killed left there was asked for by another recipe, or in other words.
        _discard(run.folder / ANEW, keep_folder=run in plan.stale)
    if not stale:
        return
    names = {f"seed {run.seed}": run for run in stale}
    on_event(Event("note", content={"text": f"{', '.join(names)}: scored anew, not trained again"}))
    if unversioned(stale) and went_wrong_in(plan.prepared.scoring) == "training":
        text = "an earlier version trained these seeds with wrong padding, and only their scores are made anew"
        on_event(Event("warning", content={"text": f"{text}: for a band of today's training give another --out"}))

    def watched(event: Event) -> None:
        on_event(event)
        if event.kind == "scored":
            _take_over(names[event.content["checkpoint"]], plan.prepared)

    targets = [ScoreTarget(recognise(run.folder, name), str(run.folder / ANEW)) for name, run in names.items()]
    job = ScoreJob(plan.prepared.scoring, tuple(targets), plan.prepared.recipe.determinism)
    score(job, executor, plan.folder / LOGS, watched, "sweep again to score it: what is finished is kept")


def _take_over(run: Run, prepared: Prepared) -> None:
    """Put new scores in place of a run's old ones; killed at any moment, the next sweep scores it once more."""
    place = run.folder / ANEW
    result = json_files.read_json(place / SCORES, "scores")
    if result["checkpoint_sha256"] != run.record["checkpoint_sha256"]:
        raise Refused(
            f"{run.folder}: its weights are not those that its {RUN} records", hint="restore the run's folder"
        )
    ours = comparability.at(run.record["signature"], "environment") or {}
    changed = differing_keys(ours, result["signature"]["environment"])
    if changed:
        raise Refused(
            f"{run.folder} was scored in another environment: {', '.join(changed)} changed",
            hint="have it scored anew where it was trained, or give another --out; seedband doctor says what differs",
        )
    kept = {key: value for key, value in run.record.items() if key not in ("format", "version")}
    new = {key: result[key] for key in ("evaluations", "items_sha256", "failure")}
    new |= {
        "status": "failed" if result["failure"] else "finished",
        "signature": {
            **result["signature"],
            **comparability.of_training(
                prepared.recipe, run.record.get("padding", 1), run.record.get("initializers", ())
            ),
        },
        "truncated": {**run.record.get("truncated", {}), "eval": result["truncated"]},
        # Its weights are the same, so this recipe differs in how they are scored, and where things lie.
        "recipe": prepared.recipe.as_dict(),
        "provenance": locations.relative(prepared.provenance, run.folder),
    }
    if "predictions" in run.witnesses:
        new["witnesses"] = {**run.witnesses, "predictions": predictions_sha256(read_table(place / ITEMS))}
    with atomic_files.replacing(run.folder / ITEMS) as temporary:
        shutil.copyfile(place / ITEMS, temporary)
    json_files.write_json(run.folder / RUN, "run", {**kept, **new})
    _discard(place)


def _discard(place: Path, *, keep_folder: bool = False) -> None:
    """Remove new scores; while the folder is there, a run's items may be newer than its record."""
    (place / SCORES).unlink(missing_ok=True)
    if not keep_folder:
        shutil.rmtree(place, ignore_errors=True)


def record(
    plan: Plan,
    *,
    band: Path | None = None,
    band_sha256: str = "",
    median_seed: int | None = None,
    crashed: Sequence[Outcome] = (),
) -> None:
    """sweep.json: which seeds, in the order asked for, the band, and what became of runs that are not finished.

    A band that stood there stays until the next, a crash until its seed is trained.

    Args:
        plan: What was wanted.
        band: Where a band is about to be written. It is on record first, with what it replaces: a sweep that is killed
            in between knows either as its own.
        band_sha256: Of its text.
        median_seed: That it names.
        crashed: Jobs that crashed.
    """
    path = plan.folder / layout.SWEEP
    before = folders.read_sweep(plan.folder) if path.is_file() else {}
    if before and identity.changed_training(before, plan.prepared.as_record()):
        before = {}  # another recipe was begun here, and left nothing
    made = {key: before.get(key) for key in ("median_seed", "band", "band_sha256", "band_before_sha256")}
    if band is not None:
        made = {
            "median_seed": median_seed,
            "band": locations.relative_path(band, plan.folder),
            "band_sha256": band_sha256,
            "band_before_sha256": file_hashes.file_sha256(band) if band.is_file() else None,
        }
    content = {
        **folders.with_seeds(before, plan.seeds, band=band is not None),
        **made,
        "reproduced": before.get("reproduced", {}),
        "crashed": _crashed_seeds(plan.folder, before.get("crashed", {}), crashed),
        "recipe": plan.prepared.recipe.as_dict(),
        "provenance": locations.relative(plan.prepared.provenance, plan.folder),
    }
    json_files.write_json(path, "sweep", content)


def _crashed_seeds(
    folder: Path, before: Mapping[str, Mapping[str, str]], crashed: Sequence[Outcome]
) -> dict[str, Mapping[str, str]]:
    """Root seed → why its run crashed and where its log is, of the runs that are not finished."""
    found = dict(before)
    for outcome in crashed:
        assert isinstance(outcome.job, TrainJob)
        log = locations.relative_path(outcome.log, folder)
        found |= {str(run.seed): {"message": outcome.message, "log": log} for run in outcome.job.runs}
    return {seed: told for seed, told in found.items() if not (layout.seed_folder(folder, int(seed)) / RUN).is_file()}


def train_jobs(prepared: Prepared, folder: Path, seeds: Sequence[int], slots: int = 1) -> list[TrainJob]:
    """Jobs that train these seeds, in groups as large as the method takes and as many as there are slots."""
    recipe = prepared.recipe
    size = max(1, min(find(recipe.train.method).max_group, math.ceil(len(seeds) / slots)))
    runs = [
        SeedRun(seed, streams(seed, recipe.seeds.vary), str(layout.seed_folder(folder, seed).absolute()))
        for seed in seeds
    ]
    groups = [tuple(runs[start : start + size]) for start in range(0, len(runs), size)]
    path = str(prepared.train_items.path)
    return [TrainJob(recipe, prepared.scoring, path, group, prepared.provenance) for group in groups]


def stamp(folder: Path, seed: int, proof: Mapping[str, Any]) -> None:
    """Put into sweep.json what became of training a seed again; the folder's lock must be held."""
    content = folders.read_sweep(folder)
    kept = {key: value for key, value in content.items() if key not in ("format", "version")}
    before = content.get("reproduced", {}).get(str(seed), {})
    if proof["status"] == "not comparable" and before.get("final") == proof["final"]:
        return  # what another environment cannot tell does not undo what the run's own told
    reproduced = {**content.get("reproduced", {}), str(seed): dict(proof)}
    json_files.write_json(folder / layout.SWEEP, "sweep", {**kept, "reproduced": reproduced})


def _check_same_recipe(prepared: Prepared, folder: Path, finished: Sequence[Run]) -> None:
    """What lies in the folder must be trained by this recipe, base and rows: no work of another is lost."""
    records = [run.record for run in finished]
    unfinished = any((run / name).is_file() for run in seed_folders(folder) for name in (TRAINING, TRAINED))
    if not records and unfinished and (folder / layout.SWEEP).is_file():
        records = [folders.read_sweep(folder)]
    for record in records:
        changed = identity.changed_training(record, prepared.as_record())
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
