"""Sweeps of a training command that reports its own scores: nothing of seedband's scores, and there is no checkpoint.

The scores of all finished seeds go into one score file, and what becomes of it is what becomes of any score file; a
band is of the seeds that were asked for with one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from seedband.bands.band import Band, load_band
from seedband.commands.scores.from_file import band_from_scores, check_target
from seedband.commands.sweep.reported_metrics import definitions, direction_problems
from seedband.counts import counted
from seedband.determinism import environment
from seedband.determinism.seeds import streams
from seedband.errors import Refused, UsageError
from seedband.events import Event
from seedband.jobs import executors
from seedband.jobs.executors import OnEvent
from seedband.jobs.kinds.report import ReportJob
from seedband.jobs.run_jobs import each_warning_once, raise_crashes, raise_told, told_of
from seedband.jobs.spec import Outcome
from seedband.recipe import locations, train_command
from seedband.recipe.parse import LoadedRecipe, differing_keys
from seedband.recipe.sections import Recipe
from seedband.runs import folders, layout, reported_folder
from seedband.runs.layout import LOGS, REPORTED, REPORTED_SWEEP, SCORES_FILE, seed_folders
from seedband.runs.reported_folder import check_distinct, finished_seeds, write_scores
from seedband.runs.reported_run import Reported
from seedband.runs.run import Evaluation, Run, Sweep
from seedband.storage import atomic_files, json_files, locks
from seedband.trainers import SeedRun

#: Keys of [train] on which no score depends.
FREE_KEYS = ("timeout_s", "retries", "save_steps")


class Plan(NamedTuple):
    """What such a sweep will do.

    Attributes:
        recipe: The recipe, found sound.
        start: Folder in which the command starts.
        folder: Of the sweep.
        seeds: Root seeds that are wanted.
        files: Files that the command names → SHA-256 of their content.
        finished: What is on record already, by seed.
        missing: Seeds to be trained.
    """

    recipe: Recipe
    start: Path
    folder: Path
    seeds: tuple[int, ...]
    files: Mapping[str, str]
    finished: tuple[Reported, ...]
    missing: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
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

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal within a sweep: the command with its files, its data, seeds, pins and metrics."""
        table = self.recipe.as_dict()
        train = {key: value for key, value in table["train"].items() if key not in FREE_KEYS and value is not None}
        kept = {key: table[key] for key in ("seeds", "determinism")}
        files = {f"train.command (other {name})": sha256 for name, sha256 in self.files.items()}
        data = _data(self.recipe)
        identity = {"train": train, "data": data, **kept, "evaluate": definitions(self.recipe), **files}
        found: dict[str, Any] = json.loads(json_files.canonical(identity))
        return found


def _data(recipe: Recipe) -> dict[str, str]:
    """Name and version of the data, by which alone the scores of two sweeps are known to be of the same rows."""
    return {"name": recipe.data.name, "version": recipe.data.version}


def make_plan(
    loaded: LoadedRecipe, seeds: Sequence[int], *, out: str | Path | None = None, band: str | Path | None = None
) -> Plan:
    """What a sweep would do, and everything for which it would be refused; nothing is written.

    Raises:
        UsageError: Mistakes in what the recipe names, all at once; a folder or a band of something else.
        Refused: One seed and a band, or seeds that were trained with other versions.
    """
    recipe, start = loaded.recipe, loaded.folder
    problems = [*train_command.local_problems(recipe, start), *direction_problems(recipe)]
    if problems:
        raise UsageError(f"{counted(len(problems), 'mistake')} in what the recipe names", problems=problems)
    folder = Path("runs") / f"{recipe.data.name}-{recipe.train.method}" if out is None else Path(out)
    finished = tuple(finished_seeds(folder))
    missing = tuple(seed for seed in seeds if seed not in {entry.seed for entry in finished})
    plan = Plan(recipe, start, folder, tuple(seeds), train_command.hashes(recipe, start), finished, missing)
    _check_folder(plan)
    if band is not None:
        folders.refuse_one_seed(_on_record(plan), seeds, {entry.seed for entry in finished})
        check_target(Path(band), folder / SCORES_FILE)
        _history(plan)
    return plan


def sweep(
    loaded: LoadedRecipe,
    seeds: Sequence[int],
    *,
    out: str | Path | None,
    band: str | Path | None,
    jobs: int,
    offline: bool,
    keep_going: bool,
    on_event: OnEvent,
) -> Sweep:
    """Run the command under several seeds, collect the scores that it reports, and fit the band.

    Raises:
        UsageError: A recipe with mistakes, or another recipe than the folder's.
        Refused: Scores that are no evidence: the same under every seed, or of fewer than two seeds.
        WorkFailed: A seed crashed; the others are kept.
    """
    plan = make_plan(loaded, seeds, out=out, band=band)
    with locks.locked(plan.folder):
        plan = make_plan(loaded, seeds, out=out, band=band)  # another sweep may have finished seeds before the lock
        for place in (plan.folder, *seed_folders(plan.folder)):
            atomic_files.remove_parts(place)
        crashed = _carry_out(plan, slots=jobs, offline=offline, on_event=each_warning_once(on_event))
        raise_told(crashed)
        if not keep_going:
            raise_crashes(crashed, "sweep again to train it: what is finished is kept; --keep-going leaves it out")
        found = finished_seeds(plan.folder)
        check_distinct(plan.folder, found if band is None else _of_band(plan, found))
        write_scores(plan.folder, found)
        runs = tuple(_run(plan.folder, entry) for entry in found)
        if band is None:
            return Sweep(plan.folder, runs, None, None)
        fitted = _fit(plan, Path(band), on_event)
        check_target(Path(band), plan.folder / SCORES_FILE)
        _record(plan, [], band=True)
        fitted.save(Path(band))
        return Sweep(plan.folder, runs, fitted.metrics[fitted.primary].median_seed, Path(band))


def _carry_out(plan: Plan, *, slots: int, offline: bool, on_event: OnEvent) -> list[Outcome]:
    """Run the command under the seeds that are missing; those that crashed."""
    _record(plan, [])
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
    with executors.make(section.run.executor, slots=slots, offline=offline) as executor:
        failed = [outcome for outcome in executor.run(jobs, logs, on_event) if outcome.exit_code != 0]
    _record(plan, [outcome for outcome in failed if told_of(outcome) is None])
    return failed


def _on_record(plan: Plan) -> dict[str, Any]:
    """reported-sweep.json; empty where there is none, or what another recipe began here and left nothing of."""
    record = reported_folder.read(plan.folder)[1] if reported_folder.is_reported(plan.folder) else {}
    return {} if record and differing_keys(record["identity"], plan.identity) else record


def _baseline(plan: Plan) -> set[int]:
    """The seeds that were asked for with a band: candidates in the same folder are no part of it."""
    return {*folders.with_seeds(_on_record(plan), plan.seeds, band=True)["band_seeds"]}


def _of_band(plan: Plan, found: Sequence[Reported]) -> list[Reported]:
    baseline = _baseline(plan)
    return [entry for entry in found if entry.seed in baseline]


def _record(plan: Plan, crashed: Sequence[Outcome], *, band: bool = False) -> None:
    """reported-sweep.json: which seeds, with a band or without, of what, and what became of those not finished."""
    before = _on_record(plan)
    told = dict(before.get("crashed", {}))
    for outcome in crashed:
        assert isinstance(outcome.job, ReportJob)
        told[str(outcome.job.run.seed)] = outcome.message
    left = {
        s: message for s, message in told.items() if not (layout.seed_folder(plan.folder, int(s)) / REPORTED).is_file()
    }
    told_of_all = {"identity": plan.identity, "data": _data(plan.recipe), "metrics": definitions(plan.recipe)}
    content = {**folders.with_seeds(before, plan.seeds, band=band), **told_of_all, "crashed": left}
    json_files.write_json(plan.folder / REPORTED_SWEEP, "reported-sweep", content)


def _check_folder(plan: Plan) -> None:
    """What lies in the folder must be of this very command, metrics and versions."""
    hint = "give another --out, or remove the folder"
    if plan.folder.exists() and not plan.folder.is_dir():
        raise UsageError(f"{plan.folder} is a file, not a folder")
    if (plan.folder / layout.SWEEP).is_file():
        raise UsageError(f"{plan.folder} holds a sweep whose checkpoints seedband scored", hint=hint)
    if plan.finished:
        record = reported_folder.read(plan.folder)[0]
        if changed := differing_keys(record.identity, plan.identity):
            raise UsageError(f"{plan.folder} holds runs of another recipe: {', '.join(changed)} changed", hint=hint)
    now = environment.versions()
    for entry in plan.finished if plan.missing else ():
        place = layout.seed_folder(plan.folder, entry.seed)
        if changed := differing_keys(entry.versions, now):
            raise Refused(
                f"{place} was trained with other versions: {', '.join(changed)} changed",
                hint="give another --out, or go back to those versions",
            )


def _fit(plan: Plan, path: Path, on_event: OnEvent) -> Band:
    """The band of the seeds asked for with one, with what is known of where its scores come from."""
    recipe, gate, baseline = plan.recipe, plan.recipe.gate, _baseline(plan)
    facts = definitions(recipe)
    band, notes = band_from_scores(
        plan.folder / SCORES_FILE,
        band_path=path,
        of_seeds=baseline,
        lower_is_better=[name for name, told in facts.items() if not told["higher_is_better"]],
        higher_is_better=[name for name, told in facts.items() if told["higher_is_better"]],
        primary=recipe.primary,
        gates=gate.metrics,
        rule=gate.rule,
        alpha=gate.alpha,
        history=_history(plan),
    )
    for text in notes:
        on_event(Event("note", content={"text": text}))
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
        "crashed": {seed: text for seed, text in _on_record(plan)["crashed"].items() if int(seed) in baseline},
    }
    return replace(band, provenance={**band.provenance, **told})


def _run(folder: Path, entry: Reported) -> Run:
    scored = tuple(Evaluation(metric, score, 0, 0, None) for metric, score in entry.scores.items())
    return Run(entry.seed, layout.seed_folder(folder, entry.seed), "finished", "", scored, {}, {})


def _history(plan: Plan) -> list[Band]:
    """The earlier bands that the recipe names, relative to where it lies."""
    return [load_band(plan.start / path) for path in plan.recipe.gate.history]
