"""Which runs are missing, run them, collect them: what sweep, check --more-seeds and reproduce share."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from seedband import environment, executors, folders, store
from seedband.determinism import equal_witnesses
from seedband.errors import Problem, Refused, UsageError, WorkFailed
from seedband.executors import Executor
from seedband.initializers import LORA
from seedband.preflight import Prepared, estimate
from seedband.recipe import differing_keys, dump_recipe
from seedband.records import Event, Outcome, Recipe, Run, ScoreJob, SeedRun, TrainJob
from seedband.seeding import MAX_ROOT_SEED, streams
from seedband.trainers import find

#: More root seeds than anybody means.
MAX_SEEDS = 100_000
OnEvent = Callable[[Event], None]
#: Stream → the witnesses that must differ between two seeds under which it varies.
WITNESSES_OF: Mapping[str, tuple[str, ...]] = {
    "init": ("init_adapter", "init_head"),
    "order": ("order",),
    "dropout": ("dropout",),
}
#: What a user calls each of them.
CALLED: Mapping[str, str] = {
    "init_adapter": "initial adapter",
    "init_head": "initial head",
    "order": "order of items",
    "dropout": "dropout masks",
}


class Plan(NamedTuple):
    """What a sweep will do.

    Attributes:
        prepared: The recipe, found sound.
        folder: Of the sweep.
        seeds: Root seeds that are wanted.
        finished: Runs that are there already.
        jobs: Jobs for the missing ones.
    """

    prepared: Prepared
    folder: Path
    seeds: tuple[int, ...]
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


def parse_seeds(text: str) -> tuple[int, ...]:
    """Root seeds from `--seeds`: a count, or a list.

    Raises:
        UsageError: Neither.

    Examples:
        >>> parse_seeds("4")
        (0, 1, 2, 3)
        >>> parse_seeds("3,7,11"), parse_seeds("7,")
        ((3, 7, 11), (7,))
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"--seeds: {text!r} is neither a count nor a list", hint="such as 4, or 3,7,11")
    numbers = [int(part) for part in parts]
    return root_seeds(numbers[0] if "," not in text else numbers)


def root_seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    """A count of seeds as the seeds 0, 1, …; a list as it is, checked.

    Raises:
        UsageError: None at all, one twice, or one out of range.
    """
    if isinstance(seeds, int) and seeds > MAX_SEEDS:
        raise UsageError(f"{seeds} seeds are more than {MAX_SEEDS}", hint="a single seed is a list: 7,")
    listed = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not listed:
        raise UsageError("no seed: give a count of at least 1, or a list")
    if len(set(listed)) != len(listed):
        twice = next(seed for seed in listed if listed.count(seed) > 1)
        raise UsageError(f"seed {twice} twice: a run is counted once")
    if not all(0 <= seed <= MAX_ROOT_SEED for seed in listed):
        raise UsageError(f"seeds lie between 0 and {MAX_ROOT_SEED}")
    return listed


def make_plan(prepared: Prepared, seeds: Sequence[int], folder: str | Path | None = None) -> Plan:
    """Which runs of a recipe are missing in a folder, and everything for which it would be refused; writes nothing.

    Args:
        prepared: The recipe, found sound.
        seeds: Root seeds that are wanted.
        folder: Of the sweep; runs/<data name>-<method> unless said.

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
    return Plan(prepared, target, tuple(seeds), finished, tuple(train_jobs(prepared, target, missing)))


def carry_out(plan: Plan, *, jobs: int, offline: bool, on_event: OnEvent, announce: bool = True) -> list[Run]:
    """Train what is missing, and collect all runs of the folder; its lock must be held.

    Args:
        plan: What is wanted.
        jobs: Jobs at a time.
        offline: Whether model hubs must not be asked.
        on_event: Called with everything that happens.
        announce: Put the seeds on record before they are trained, so that a sweep that is cut short says what it lacks.

    Raises:
        Refused: Seeds that do nothing.
        WorkFailed: A run crashed; the others are kept.
    """
    recipe = plan.prepared.recipe
    for text in plan.prepared.warnings:
        on_event(Event("warning", content={"text": text}))
    store.write_text(plan.folder / "recipe.toml", dump_recipe(recipe))
    if announce:
        record(plan)
    on_event(Event("plan", content={"jobs": len(plan.jobs), "seeds": plan.seeds, "folder": str(plan.folder)}))
    logs = plan.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    train(
        plan.jobs,
        executors.make("local", slots=jobs, offline=offline, logs=logs),
        plan.finished,
        recipe.seeds.vary,
        on_event,
    )
    finished = folders.finished_runs(plan.folder)
    with store.replacing(plan.folder / "scores.parquet") as temporary:
        folders.scores_table(finished).to_parquet(temporary, index=False)
    record(plan)
    return finished


def record(plan: Plan, band: Path | None = None, median_seed: int | None = None) -> None:
    """sweep.json: which seeds, in the order asked for, and the band. A band that stood there stays until the next."""
    path = plan.folder / folders.SWEEP
    before = folders.read_sweep(plan.folder) if path.is_file() else {"seeds": []}
    made = {key: before.get(key) for key in ("median_seed", "band", "band_sha256")}
    if band is not None:
        relative = os.path.relpath(band.absolute(), plan.folder.absolute())
        made = {"median_seed": median_seed, "band": relative, "band_sha256": store.file_sha256(band)}
    in_band = before.get("band_seeds", [])
    if band is not None:
        in_band = [*in_band, *(seed for seed in plan.seeds if seed not in in_band)]
    content = {
        "seeds": [*before["seeds"], *(seed for seed in plan.seeds if seed not in before["seeds"])],
        "band_seeds": in_band,
        **made,
        "recipe": plan.prepared.recipe.as_dict(),
        "provenance": plan.prepared.provenance,
    }
    store.write_json(path, "sweep", content)


def train_jobs(prepared: Prepared, folder: Path, seeds: Sequence[int]) -> list[TrainJob]:
    """Jobs that train these seeds, in groups as large as the method takes."""
    recipe = prepared.recipe
    size = find(recipe.train.method).max_group
    runs = [
        SeedRun(seed, streams(seed, recipe.seeds.vary), str(folders.seed_folder(folder, seed).absolute()))
        for seed in seeds
    ]
    groups = [tuple(runs[start : start + size]) for start in range(0, len(runs), size)]
    path = str(prepared.train_items.path)
    return [TrainJob(recipe, prepared.scoring, path, group, prepared.provenance) for group in groups]


def train(
    jobs: Sequence[TrainJob], executor: Executor, before: Sequence[Run], vary: Sequence[str], on_event: OnEvent
) -> None:
    """Run training jobs; stop as soon as two seeds turn out to be the same draw.

    Raises:
        Refused: Two seeds share a draw that should vary, or nothing varies at all.
        WorkFailed: A job crashed; the others ran on, and what was finished is kept.
    """
    if not jobs:
        return
    guard = _StepZeroGuard(jobs[0].recipe, vary, {run.seed: run.witnesses for run in before})

    def watched(event: Event) -> None:
        on_event(event)
        if event.kind == "witness" and event.seed is not None:
            guard.admit(event.seed, event.content)

    for job in jobs:
        for run in job.runs:
            Path(run.folder).mkdir(parents=True, exist_ok=True)
    outcomes = executor.run(jobs, jobs[0].recipe.determinism.threads, watched)
    _raise_crashes(outcomes, "sweep again: finished runs are kept")


def score(job: ScoreJob, executor: Executor, on_event: OnEvent) -> None:
    """Run a scoring job.

    Raises:
        WorkFailed: It crashed.
        UsageError, Refused: What it found wrong with the checkpoint.
    """
    _raise_crashes(executor.run([job], job.threads, on_event), "check again")


def check_distinct(runs: Sequence[Run], recipe: Recipe, vary: Sequence[str]) -> None:
    """Refuse runs among which two share a draw that should vary."""
    guard = _StepZeroGuard(recipe, vary, {})
    for run in runs:
        guard.admit(run.seed, run.witnesses)


@dataclass
class _StepZeroGuard:
    """Knows the draws of every seed so far, and admits no seed that repeats one."""

    recipe: Recipe
    vary: Sequence[str]
    seen: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def admit(self, seed: int, witnesses: Mapping[str, Any]) -> None:
        names = [name for stream in self.vary for name in WITNESSES_OF[stream]]
        if all(witnesses.get(name) is None for name in names):
            raise Refused(
                f"seeds do nothing: the recipe varies {', '.join(self.vary)}, and seed {seed} drew none of it",
                hint="name streams in seeds.vary that this recipe uses",
            )
        for other, known in self.seen.items():
            for name in equal_witnesses(known, witnesses, names if other != seed else ()):
                raise Refused(
                    f"seed {seed} has the same {CALLED[name]} as seed {other}, though it should vary",
                    hint=self._cause(name),
                )
        self.seen[seed] = dict(witnesses)

    def _cause(self, name: str) -> str:
        lora = self.recipe.init.lora
        if name == "init_adapter" and LORA[lora].changes_base:
            return (
                f'init.lora = "{lora}" computes the adapter from the base weights, the same for every seed: take '
                f'another initializer, or leave "init" out of seeds.vary'
            )
        return "every seed must change what seeds.vary names: is a trainer of yours ignoring its streams?"


def _check_same_recipe(prepared: Prepared, folder: Path, finished: Sequence[Run]) -> None:
    """The folder's finished runs must come from this recipe, on this base and these rows."""
    for run in finished:
        changed = folders.changed_keys(run.record, prepared.as_record())
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


def _raise_crashes(outcomes: Sequence[Outcome], then: str) -> None:
    crashed = [outcome for outcome in outcomes if outcome.exit_code != 0]
    if not crashed:
        return
    first = crashed[0]
    told = {2: UsageError, 3: Refused}.get(first.error.get("exit_code", 5))
    if told is not None:
        problems = [Problem(**problem) for problem in first.error["problems"]]
        raise told(first.error["message"], problems=problems, hint=first.error["hint"])
    names = ", ".join(outcome.job.name for outcome in crashed)
    raise WorkFailed(f"{names}: {first.message}", hint=f"the log is {first.log}; then {then}")
