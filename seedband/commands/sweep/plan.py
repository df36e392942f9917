"""The plan of a sweep: which of its runs are missing, and everything for which it would be refused."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from seedband import evaluators
from seedband.bands import comparability
from seedband.commands.sweep.cost import estimate
from seedband.commands.sweep.prepare import Prepared
from seedband.commands.sweep.sweep_record import SweepRecord
from seedband.determinism import environment
from seedband.determinism.seeds import streams
from seedband.errors import Refused, UsageError
from seedband.evaluators import Evaluator, describe
from seedband.jobs.kinds.train import TrainJob
from seedband.recipe import identity
from seedband.recipe.parse import differing_keys
from seedband.recipe.sections import Recipe
from seedband.runs import folders, layout, sweep_file
from seedband.runs.layout import ANEW, ITEMS, TRAINED, TRAINING, seed_folders
from seedband.runs.old_padding import unversioned, went_wrong_in
from seedband.runs.run import Run
from seedband.runs.sweep_file import RecordedSweep
from seedband.storage import file_hashes, json_files, locks
from seedband.storage.json_files import JsonObject
from seedband.trainers import SeedRun, find


class Plan(NamedTuple):
    """The plan of a sweep whose checkpoints are scored here.

    Attributes:
        prepared: The recipe, found sound.
        folder: Of the sweep.
        seeds: Root seeds that are wanted.
        record: What is on record in the folder, and becomes of it.
        finished: Runs that are there already.
        jobs: Jobs for the missing ones.
        stale: Of the finished runs those that were scored otherwise than the recipe asks for now.
        unscored: Seeds among the missing that are trained already, and wait to be scored.
        slots: Jobs at a time.
    """

    prepared: Prepared
    folder: Path
    seeds: tuple[int, ...]
    record: SweepRecord
    finished: tuple[Run, ...]
    jobs: tuple[TrainJob, ...]
    stale: tuple[Run, ...] = ()
    unscored: tuple[int, ...] = ()
    slots: int = 1

    def as_dict(self) -> JsonObject:
        """The plan for people and scripts, with what it will take."""
        seeds = [run.seed for job in self.jobs for run in job.runs if run.seed not in self.unscored]
        cost = estimate(self.prepared, [run.train_seconds for run in self.finished])
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
    """Plan the missing runs of a recipe in a folder, and refuse what cannot be swept; writes nothing.

    Args:
        prepared: The recipe, found sound.
        seeds: Root seeds that are wanted.
        folder: Of the sweep; runs/<data name>-<method> unless said.
        slots: Jobs at a time.

    Raises:
        UsageError: The folder is another recipe's.
        Refused: Missing runs would join runs of other versions.
    """
    target = layout.default_folder(prepared.recipe) if folder is None else Path(folder)
    locks.refuse_file(target)
    finished = tuple(folders.finished_runs(target))
    known = sweep_file.read_sweep(target) if (target / layout.SWEEP).is_file() else None
    _check_same_recipe(prepared, target, finished, known)
    missing = [seed for seed in seeds if seed not in {run.seed for run in finished}]
    if missing:
        _check_same_versions(finished)
    unscored = tuple(seed for seed in missing if (layout.seed_folder(target, seed) / TRAINED).is_file())
    jobs = tuple(train_jobs(prepared, target, missing, slots))
    record, stale = SweepRecord(prepared, target, known), stale_runs(prepared, finished)
    return Plan(prepared, target, tuple(seeds), record, finished, jobs, stale, unscored, slots)


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
    sections = [{key: recipe_of.get(key) for key in identity.SCORED_BY} for recipe_of in (wanted, run.recorded.recipe)]
    if any(evaluation.crashed for evaluation in run.evaluations) or len({*map(json_files.canonical, sections)}) > 1:
        return False
    items = run.folder / ITEMS
    if (run.folder / ANEW).exists() and not (items.is_file() and file_hashes.file_sha256(items) == run.items_sha256):
        return False
    known = comparability.at(run.signature or {}, "evaluators")
    described = known if isinstance(known, Mapping) else {}
    # What really ran is known once it has run: only the rest can be compared.
    return all(
        json_files.canonical(described.get(name))
        == json_files.canonical(describe(evaluator, _backend(described.get(name))))
        for name, evaluator in asked.items()
    )


def _backend(described: object) -> str:
    return str(described.get("backend", "")) if isinstance(described, Mapping) else ""


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


def _check_same_recipe(prepared: Prepared, folder: Path, finished: Sequence[Run], known: RecordedSweep | None) -> None:
    """Refuse a folder whose runs were trained by another recipe, base or rows: no work of another is lost."""
    records = [run.recorded for run in finished]
    unfinished = any((run / name).is_file() for run in seed_folders(folder) for name in (TRAINING, TRAINED))
    if not records and unfinished and known is not None:
        records = [known.recorded]
    for record in records:
        changed = identity.changed_training(record, prepared.recorded)
        if changed:
            raise UsageError(
                f"{folder} holds runs of another recipe: {', '.join(changed)} changed",
                hint="give another --out, or remove the folder",
            )


def _check_same_versions(finished: Sequence[Run]) -> None:
    """Refuse seeds that would join no band, before they are trained."""
    now = environment.versions()
    for run in finished:
        changed = differing_keys(run.environment.versions, now)
        if changed:
            raise Refused(
                f"{run.folder} was trained with other versions: {', '.join(changed)} changed",
                hint="give another --out, or go back to those versions",
            )
