"""Which runs are missing, run them, collect them: what sweep, check --more-seeds and reproduce share."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import store
from seedband.determinism import equal_witnesses
from seedband.errors import Problem, Refused, UsageError, WorkFailed
from seedband.executors import Executor
from seedband.initializers import LORA
from seedband.preflight import Prepared
from seedband.recipe import differing_keys
from seedband.records import Evaluation, Event, Outcome, Recipe, Run, ScoreJob, SeedRun, TrainJob
from seedband.scoring import ITEMS
from seedband.seeding import MAX_ROOT_SEED, streams
from seedband.trainers import find
from seedband.worker import RUN

if TYPE_CHECKING:
    import pandas as pd

SWEEP = "sweep.json"
#: Keys of a recipe that say where things are or how to judge them: they may change within a sweep.
FREE_KEYS = ("data.train", "data.eval", "data.name", "data.version", "gate.", "model.base", "model.revision")
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


def seed_folder(folder: Path, seed: int) -> Path:
    """Where the run of a seed lies in its sweep."""
    return folder / f"seed-{seed}"


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


def read_run(folder: Path) -> Run:
    """A finished run from its folder.

    Raises:
        UsageError: No run.json: the run is not finished.
        Refused: run.json was edited, or is of an unknown version.
    """
    record = store.read_json(folder / RUN, "run")
    try:
        return Run(
            seed=record["seed"],
            folder=folder,
            status=record["status"],
            failure=record["failure"],
            evaluations=tuple(Evaluation(**entry) for entry in record["evaluations"]),
            witnesses=record["witnesses"],
            record=record,
        )
    except (KeyError, TypeError) as error:
        raise Refused(f"{folder / RUN}: not a run that holds together: {error}") from error


def read_sweep(folder: Path) -> dict[str, Any]:
    """sweep.json of a sweep.

    Raises:
        UsageError: The folder holds no sweep.
        Refused: The file was edited, or is of an unknown version.
    """
    if not (folder / SWEEP).is_file():
        raise UsageError(f"{folder}: no sweep (it has no {SWEEP})")
    return store.read_json(folder / SWEEP, "sweep")


def band_path(folder: Path) -> Path:
    """Where the band of a sweep lies.

    Raises:
        UsageError: The folder holds no sweep, or the sweep has no band.
        Refused: Another band lies there now.
    """
    record = read_sweep(folder)
    if record["band"] is None:
        raise UsageError(f"{folder}: this sweep has no band", hint="sweep at least 2 seeds, without --no-band")
    path: Path = folder / record["band"]
    if not path.is_file():
        raise UsageError(f"{path}: no such file; it is the band of {folder}", hint="sweep again to write it")
    if store.file_sha256(path) != record["band_sha256"]:
        raise Refused(f"{path} is no longer the band that {folder} wrote", hint="restore it, or sweep again")
    return path


def changed_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """What differs between two records' recipes, their bases and rows compared by content."""
    recipes = [json.loads(store.canonical(record["recipe"])) for record in (first, second)]
    changed = [key for key in differing_keys(*recipes) if not key.startswith(FREE_KEYS)]
    bases, data = ([record["provenance"][key] for record in (first, second)] for key in ("base", "data"))
    if bases[0]["sha256"] != bases[1]["sha256"]:
        changed.append("model.base (other weights)")
    if bases[0]["files_sha256"] != bases[1]["files_sha256"]:
        changed.append("model.base (other config or tokenizer)")
    parts = [part for part in ("train", "eval") if data[0][part]["sha256"] != data[1][part]["sha256"]]
    return changed + [f"data.{part} (other rows)" for part in parts]


def finished_runs(folder: Path) -> list[Run]:
    """Every finished run of a sweep, by seed."""
    runs = [read_run(path.parent) for path in folder.glob(f"seed-*/{RUN}")]
    return sorted(runs, key=lambda run: run.seed)


def train_jobs(prepared: Prepared, folder: Path, seeds: Sequence[int]) -> list[TrainJob]:
    """Jobs that train these seeds, in groups as large as the method takes."""
    recipe = prepared.recipe
    size = find(recipe.train.method).max_group
    runs = [
        SeedRun(seed, streams(seed, recipe.seeds.vary), str(seed_folder(folder, seed).absolute())) for seed in seeds
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


def scores_table(runs: Sequence[Run]) -> "pd.DataFrame":
    """All seeds in one long table: seed, item, slice columns, label, prediction, evaluator, score."""
    import pandas as pd

    parts = []
    for run in runs:
        if not run.evaluations:
            continue
        items = _read_items(run).drop(columns="logits")
        scored = [name for name in items.columns if name.startswith("score:")]
        kept = [name for name in items.columns if not name.startswith("score:")]
        long = items.melt(id_vars=kept, value_vars=scored, var_name="evaluator", value_name="score")
        long["evaluator"] = long["evaluator"].str.removeprefix("score:")
        long.insert(0, "seed", run.seed)
        parts.append(long.rename(columns=lambda name: name.removeprefix("slice:")))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _read_items(run: Run) -> "pd.DataFrame":
    """items.parquet of a run, which must be the one that its record names."""
    import pandas as pd

    path = run.folder / ITEMS
    if not path.is_file() or store.file_sha256(path) != run.record["items_sha256"]:
        raise Refused(f"{path} is missing or not the one that {RUN} records", hint=f"remove {run.folder}, sweep again")
    return pd.read_parquet(path)


def item_scores(runs: Sequence[Run], metric: str) -> list[list[float]] | None:
    """Score of every item under every run, shape (n_runs, n_items); None where the metric has none."""
    columns = [_read_items(run) for run in runs]
    if not all(f"score:{metric}" in table.columns for table in columns):
        return None
    return [table[f"score:{metric}"].tolist() for table in columns]


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
