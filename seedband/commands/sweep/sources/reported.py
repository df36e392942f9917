"""Scores that the training command reports itself: nothing of seedband's scores, and there is no checkpoint.

The scores of all finished seeds go into one score file, and what becomes of it is what becomes of any score file; a
band is of the seeds that were asked for with one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from seedband.bands.band import Band, load_band
from seedband.commands.scores.from_file import band_from_scores, check_target
from seedband.commands.sweep.reported_metrics import definitions, direction_problems
from seedband.commands.sweep.sources import SweepCall
from seedband.counts import counted
from seedband.determinism import environment
from seedband.determinism.seeds import streams
from seedband.errors import Refused, UsageError
from seedband.events import Event
from seedband.jobs.executors import Executor, OnEvent
from seedband.jobs.kinds.report import ReportJob
from seedband.jobs.run_jobs import each_warning_once, raise_crashes, raise_told, told_of
from seedband.jobs.spec import Outcome
from seedband.recipe import locations, train_command
from seedband.recipe.parse import differing_keys
from seedband.recipe.sections import Recipe
from seedband.runs import layout, reported_folder
from seedband.runs.layout import LOGS, SCORES_FILE, seed_folders
from seedband.runs.reported_folder import (
    ReportedData,
    ReportedRecord,
    ReportedSweep,
    check_distinct,
    finished_seeds,
    write_scores,
)
from seedband.runs.reported_run import Reported
from seedband.runs.run import Evaluation, SeedResult
from seedband.runs.sweep_file import refuse_one_seed
from seedband.storage import atomic_files, json_files, locks
from seedband.storage.json_files import JsonObject
from seedband.trainers import SeedRun

#: Keys of [train] on which no score depends.
FREE_KEYS = ("timeout_s", "retries", "save_steps")


class Plan(NamedTuple):
    """The plan of a sweep whose command reports its own scores.

    Attributes:
        recipe: The recipe, found sound.
        start: Folder in which the command starts.
        folder: Of the sweep.
        seeds: Root seeds that are wanted.
        files: Files that the command names → SHA-256 of their content.
        record: What is on record in the folder, and becomes of it.
        finished: What is on record already, by seed.
        missing: Seeds to be trained.
    """

    recipe: Recipe
    start: Path
    folder: Path
    seeds: tuple[int, ...]
    files: Mapping[str, str]
    record: ReportedRecord
    finished: tuple[Reported, ...]
    missing: tuple[int, ...]

    def as_dict(self) -> JsonObject:
        """The plan for people and scripts; what a run takes is known to its command alone."""
        return {
            "folder": str(self.folder),
            "finished": [entry.seed for entry in self.finished],
            "seeds_to_train": list(self.missing),
            "seeds_to_score": [],
            "jobs": len(self.missing),
            "steps_per_run": None,
            "disk_bytes": None,
            "seconds": None,
            "seconds_from": "nothing is known of the command",
            "warnings": [],
        }


def _data(recipe: Recipe) -> dict[str, str]:
    """Name and version of the data, by which alone the scores of two sweeps are known to be of the same rows."""
    return {"name": recipe.data.name, "version": recipe.data.version}


class ReportedScores:
    """A sweep whose training command reports its own scores.

    Args:
        call: What is asked for.

    Raises:
        UsageError: Mistakes in what the recipe names, all at once.
    """

    def __init__(self, call: SweepCall) -> None:
        self._call = call
        recipe, start = call.loaded.recipe, call.loaded.folder
        problems = [*train_command.local_problems(recipe, start), *direction_problems(recipe)]
        if problems:
            raise UsageError(f"{counted(len(problems), 'mistake')} in what the recipe names", problems=problems)

    def make_plan(self) -> Plan:
        """Plan what is missing, and refuse what cannot be swept; writes nothing."""
        (recipe, start, _), seeds, folder = self._call.loaded, self._call.seeds, self._call.folder
        locks.refuse_file(folder)
        finished = tuple(finished_seeds(folder))
        done = {entry.seed for entry in finished}
        files = train_command.hashes(recipe, start)
        known = reported_folder.read(folder) if finished or reported_folder.is_reported(folder) else None
        data = ReportedData(recipe.data.name, recipe.data.version)
        new = ReportedSweep((), _identity(recipe, files), data, definitions(recipe))
        _check_folder(folder, known if finished else None, new.identity)
        missing = tuple(seed for seed in seeds if seed not in done)
        if missing:
            _check_same_versions(folder, finished)
        record = ReportedRecord(folder, new, known)
        if self._call.band is not None:
            refuse_one_seed(record.content.band_seeds, seeds, done)
            check_target(self._call.band, folder / SCORES_FILE)
        plan = Plan(recipe, start, folder, tuple(seeds), files, record, finished, missing)
        if self._call.band is not None:
            _history(plan)
        return plan

    def carry_out(self, plan: Plan, executor: Executor) -> tuple[SeedResult, ...]:
        """Run the command under the seeds that are missing, and collect what it reported."""
        call = self._call
        for place in (plan.folder, *seed_folders(plan.folder)):
            atomic_files.remove_parts(place)
        crashed = _carry_out(plan, executor, each_warning_once(call.on_event))
        raise_told(crashed)
        if not call.keep_going:
            raise_crashes(crashed, "sweep again to train it: what is finished is kept; --keep-going leaves it out")
        found = finished_seeds(plan.folder)
        baseline = plan.record.content.asked(plan.seeds, band=True).band_seeds
        check_distinct(plan.folder, [entry for entry in found if call.band is None or entry.seed in baseline])
        write_scores(plan.folder, found)
        return tuple(_result(plan.folder, entry) for entry in found)

    def fit(self, plan: Plan, runs: Sequence[SeedResult], path: Path) -> Band:  # noqa: ARG002
        """The band of the seeds asked for with one, with what is known of where its scores come from."""
        recipe, gate, record = plan.recipe, plan.recipe.gate, plan.record.content.asked(plan.seeds, band=True)
        facts = definitions(recipe)
        band, notes = band_from_scores(
            plan.folder / SCORES_FILE,
            band_path=path,
            of_seeds=record.band_seeds,
            lower_is_better=[name for name, told in facts.items() if not told["higher_is_better"]],
            higher_is_better=[name for name, told in facts.items() if told["higher_is_better"]],
            primary=recipe.primary,
            gates=gate.metrics,
            rule=gate.rule,
            alpha=gate.alpha,
            history=_history(plan),
        )
        for text in notes:
            self._call.on_event(Event("note", content={"text": text}))
        command = recipe.train.command
        told = {
            "command": {
                "arguments": [] if command is None else list(train_command.arguments_of(command)),
                "files": dict(plan.files),
                "metrics": facts,
                "data": _data(recipe),
                "vary": sorted(recipe.seeds.vary),
                "runs": locations.relative_path(plan.folder, path.absolute().parent),
            },
            "environment": {"versions": environment.versions()},
            "crashed": {seed: text for seed, text in record.crashed.items() if int(seed) in record.band_seeds},
        }
        return replace(band, provenance={**band.provenance, **told})

    def save(self, plan: Plan, band: Band, path: Path) -> None:
        """Put the seeds of the band on record, and the band in its place."""
        check_target(path, plan.folder / SCORES_FILE)  # training took its time
        plan.record.ask(plan.seeds, band=True)
        band.save(path)

    def log(self, plan: Plan) -> None:
        """Log nothing: there are no runs of seedband's to log."""


def _carry_out(plan: Plan, executor: Executor, on_event: OnEvent) -> list[Outcome]:
    """Run the command under the seeds that are missing; those that crashed."""
    plan.record.ask(plan.seeds)
    on_event(Event("plan", content={"jobs": len(plan.missing), "seeds": plan.seeds, "folder": str(plan.folder)}))
    logs = plan.folder / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    section = plan.recipe
    jobs = []
    for seed in plan.missing:
        place = layout.seed_folder(plan.folder, seed).absolute()
        place.mkdir(parents=True, exist_ok=True)
        run = SeedRun(seed, streams(seed, section.seeds.vary), str(place))
        start = str(plan.start.absolute())
        jobs.append(ReportJob(section.train, section.evaluate, section.determinism, run, start, plan.files))
    failed = [outcome for outcome in executor.run(jobs, logs, on_event) if outcome.exit_code != 0]
    crashed = [outcome for outcome in failed if told_of(outcome) is None]
    plan.record.crash({_seed_of(outcome): outcome.message for outcome in crashed})
    return failed


def _seed_of(outcome: Outcome) -> int:
    assert isinstance(outcome.job, ReportJob)
    return outcome.job.run.seed


def _identity(recipe: Recipe, files: Mapping[str, str]) -> JsonObject:
    """The identity within a sweep: the command with its files, its data, seeds, pins and metrics."""
    table = recipe.as_dict()
    train = {key: value for key, value in table["train"].items() if key not in FREE_KEYS and value is not None}
    kept = {key: table[key] for key in ("seeds", "determinism")}
    named = {f"train.command (other {name})": sha256 for name, sha256 in files.items()}
    identity = {"train": train, "data": _data(recipe), **kept, "evaluate": definitions(recipe), **named}
    plain: JsonObject = json.loads(json_files.canonical(identity))
    return plain


def _check_folder(folder: Path, known: ReportedSweep | None, identity: JsonObject) -> None:
    """Refuse a folder of another command or other metrics."""
    hint = "give another --out, or remove the folder"
    if (folder / layout.SWEEP).is_file():
        raise UsageError(f"{folder} holds a sweep whose checkpoints seedband scored", hint=hint)
    if known is not None and (changed := differing_keys(known.identity, identity)):
        raise UsageError(f"{folder} holds runs of another recipe: {', '.join(changed)} changed", hint=hint)


def _check_same_versions(folder: Path, finished: Sequence[Reported]) -> None:
    """Seeds of other versions are known to join no band before the command runs."""
    now = environment.versions()
    for entry in finished:
        if changed := differing_keys(entry.versions, now):
            raise Refused(
                f"{layout.seed_folder(folder, entry.seed)} was trained with other versions: {', '.join(changed)} "
                "changed",
                hint="give another --out, or go back to those versions",
            )


def _result(folder: Path, entry: Reported) -> SeedResult:
    scored = tuple(Evaluation(metric, score, 0, 0, None) for metric, score in entry.scores.items())
    return SeedResult(seed=entry.seed, folder=layout.seed_folder(folder, entry.seed), evaluations=scored)


def _history(plan: Plan) -> list[Band]:
    """The earlier bands that the recipe names, relative to where it lies."""
    return [load_band(plan.start / path) for path in plan.recipe.gate.history]
