"""reproduce: train a seed of a sweep again in a new process, and compare it witness by witness."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from seedband.bands.stats.limits import sample_sd
from seedband.commands.sweep import sweep_record
from seedband.commands.sweep.prepare import Prepared, prepare
from seedband.determinism.pins import pinned_environment
from seedband.determinism.seeds import SEEDING_VERSION
from seedband.determinism.settings import DeterminismSection
from seedband.errors import Refused, UsageError
from seedband.jobs import executors, run_jobs
from seedband.jobs.executors import Executor, OnEvent
from seedband.jobs.kinds.score import ScoreJob
from seedband.jobs.kinds.train import TrainJob
from seedband.jobs.score import ScoreTarget
from seedband.models.recognise import recognise
from seedband.recipe import identity
from seedband.recipe.locations import recorded_recipe
from seedband.recipe.parse import load_recipe
from seedband.runs import folders, layout, run_file, score_table, sweep_file
from seedband.runs.item_table import predictions_sha256
from seedband.runs.layout import RUN, trace_path
from seedband.runs.run import Run, Scored, read_scored
from seedband.storage import json_files, locks
from seedband.trainers import SeedRun

Status = Literal["equal", "different", "not comparable"]
#: What a run leaves of its draws and its course, in the order in which it comes about.
WITNESSES = ("init", "init_adapter", "init_head", "order", "dropout", "losses", "final")
#: The variables that jobs are pinned to, whatever they are asked for.
PINNED = frozenset(pinned_environment(DeterminismSection(portable=True), offline=False))
#: Of the hardware, what decides which kernels run; the rest is looked at where numbers differ.
KERNELS = ("machine", "cpu_capability", "gpu", "gpu_capability", "gpu_multiprocessors", "cuda", "cudnn")
#: What first differs → where to look.
CAUSES = {
    "init": "new tensors were drawn otherwise: another version of torch, or another initializer",
    "order": "the items came in another order: other training rows, or another seeding version",
    "dropout": "other dropout masks: another version of the model's code, or of torch's generators",
    "losses": "the same draws, other arithmetic: a kernel that is not deterministic, or another machine",
    "final": "the same losses, other weights: an optimizer that is not deterministic",
    "predictions": "the same weights, other predictions: scoring is not deterministic",
    "score": "the same predictions, other scores: an evaluator that is not deterministic",
    "rescored": "the stored checkpoint scores otherwise than it did: scoring is not deterministic",
}


@dataclass(frozen=True)
class Comparison:
    """One witness of the run on record beside the same of the run trained again."""

    what: str
    recorded: str | None
    again: str | None

    @property
    def equal(self) -> bool:
        """Check whether they agree; a witness that neither has agrees, too."""
        return self.recorded == self.again


@dataclass(frozen=True)
class Noise:
    """Where a metric's noise comes from, in its own unit.

    Attributes:
        metric: Its name.
        same_seed: How far the score of the run trained again lies from the one on record; 0 when reproduced.
        scoring: How far the stored checkpoint, scored again, lies from its score on record.
        seeds: Standard deviation over the sweep's seeds; None with fewer than two.
    """

    metric: str
    same_seed: float | None
    scoring: float | None
    seeds: float | None


@dataclass(frozen=True)
class Reproduction:
    """What became of training a seed again.

    Attributes:
        folder: Of the sweep.
        seed: Which.
        status: "not comparable" where the environment differs, whatever the witnesses say.
        environment: What of the environment differs.
        comparisons: Witness by witness, then predictions and scores.
        first_step: The first step whose loss or gradient norm differs; None where none does.
        cause: Where to look; empty when all is equal.
        noise: Metric by metric.
    """

    folder: Path
    seed: int
    status: Status
    environment: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    first_step: int | None
    cause: str
    noise: tuple[Noise, ...]


def reproduce(
    folder: str | Path,
    seed: int | None = None,
    *,
    config: str | Path | None = None,
    offline: bool = False,
    on_event: OnEvent = lambda _: None,
) -> Reproduction:
    """Train a seed of a sweep again, compare it, and stamp the result into sweep.json.

    Args:
        folder: Of the sweep.
        seed: Which seed; the median run's unless said.
        config: The recipe to train by, which may differ from the one on record in [determinism] alone.
        offline: Whether model hubs must not be asked.
        on_event: Called with everything that happens.

    Raises:
        UsageError: No such sweep or seed, or another recipe.
        Refused: Data or base are no longer those of the sweep, or its draws were keyed otherwise.
        WorkFailed: Training crashed.
    """
    folder = Path(folder)
    run = _run(folder, seed)
    prepared = _prepared(run, config, offline=offline)
    with run_jobs.workspace("reproduce") as work, locks.locked(folder):
        with executors.make(prepared.recipe.run.executor, slots=1, offline=offline) as executor:
            rescored = _score_again(run, prepared, work, executor, on_event)
            again = _train_again(run, prepared, work, executor, on_event)
        result = _compare(folder, run, again, rescored)
        proof = {
            "status": result.status,
            "final": run.witnesses.get("final"),
            "fingerprint": again.environment.fingerprint,
            "different": [comparison.what for comparison in result.comparisons if not comparison.equal],
            "environment": list(result.environment),
            "first_step": result.first_step,
            "noise": [asdict(noise) for noise in result.noise],
        }
        sweep_record.stamp(folder, run.seed, proof)
    return result


def _run(folder: Path, seed: int | None) -> Run:
    """The run of the sweep that is to be trained again."""
    chosen = sweep_file.read_sweep(folder).median_seed if seed is None else seed
    finished = {run.seed: run for run in folders.finished_runs(folder)}
    if not finished:
        raise UsageError(f"{folder}: no run of this sweep is finished")
    if chosen is None:
        chosen = next(iter(finished))
    if chosen not in finished:
        raise UsageError(f"{folder}: no finished run of seed {chosen}; there are {', '.join(map(str, finished))}")
    return finished[chosen]


def _prepared(run: Run, config: str | Path | None, *, offline: bool) -> Prepared:
    loaded = recorded_recipe(run.recorded, run.folder) if config is None else load_recipe(Path(config))
    prepared = prepare(loaded, offline=offline)
    changed = identity.changed_keys(run.recorded, prepared.recorded)
    other = [key for key in changed if not key.startswith("determinism.")]
    if other and config is not None:
        raise UsageError(f"{config} is not the recipe of {run.folder}: {', '.join(other)} changed")
    if other:
        raise Refused(
            f"{run.folder}: what it was trained on is no longer there: {', '.join(other)} changed",
            hint="restore the data and the base, or sweep again",
        )
    version = (run.signature or {}).get("seeding_version", SEEDING_VERSION)
    if version != SEEDING_VERSION:
        raise Refused(f"{run.folder}: its draws are of seeding version {version}, this release has {SEEDING_VERSION}")
    return prepared


def _train_again(run: Run, prepared: Prepared, work: Path, executor: Executor, on_event: OnEvent) -> Run:
    target = SeedRun(run.seed, run.streams, str(layout.seed_folder(work, run.seed)))
    path, provenance = str(prepared.train_items.path), prepared.provenance
    job = TrainJob(prepared.recipe, prepared.scoring, path, (target,), provenance)
    crashed = run_jobs.train([job], executor, work, [], prepared.recipe.seeds.vary, on_event)
    run_jobs.raise_failed(crashed, "reproduce again")
    return run_file.read_run(Path(target.folder))


def _score_again(run: Run, prepared: Prepared, work: Path, executor: Executor, on_event: OnEvent) -> Scored | None:
    """The stored checkpoint scored once more; None where training left none."""
    if not run.evaluations:
        return None
    target = ScoreTarget(recognise(run.folder, str(run.folder)), str(work / "rescored"))
    pinned_to = recorded_recipe(run.recorded, run.folder).recipe.determinism
    run_jobs.score(ScoreJob(prepared.scoring, (target,), pinned_to), executor, work, on_event)
    found = read_scored(work / "rescored")
    if found.checkpoint_sha256 != run.checkpoint_sha256:
        raise Refused(
            f"{run.folder}: its weights are not those that its {RUN} records",
            hint="restore the run's folder, or sweep again",
        )
    return found


def _compare(folder: Path, run: Run, again: Run, rescored: Scored | None) -> Reproduction:
    comparisons = [Comparison(name, run.witnesses.get(name), again.witnesses.get(name)) for name in WITNESSES]
    comparisons.append(Comparison("predictions", _predictions(run), _predictions(again)))
    comparisons += _scores(run, again)
    if rescored is not None:
        comparisons += _rescored(run, rescored)
    equal = all(comparison.equal for comparison in comparisons)
    environment = tuple(_environment(run, again, equal=equal))
    status: Status = "not comparable" if environment else "equal" if equal else "different"
    return Reproduction(
        folder,
        run.seed,
        status,
        environment,
        tuple(comparisons),
        _first_step(run.folder, again.folder),
        _cause(comparisons, environment),
        tuple(_noise(folder, run, again, rescored)),
    )


def _environment(run: Run, again: Run, *, equal: bool) -> list[str]:
    """Differences between two environments, in words; where numbers differ, another processor counts, too."""
    found = []
    ours, theirs = run.environment, again.environment
    if ours.fingerprint != theirs.fingerprint:
        found.append(f"numerics fingerprint: {ours.fingerprint[:12]}, now {theirs.fingerprint[:12]}")
    hardware = ours.hardware.keys() | theirs.hardware.keys()
    kernels = KERNELS if equal else sorted(hardware - {"gpu_memory_bytes"})
    for first, second, names in (
        ({"device": ours.device}, {"device": theirs.device}, ["device"]),
        (ours.versions, theirs.versions, sorted(ours.versions.keys() | theirs.versions.keys())),
        ({"threads": run.pins.threads}, {"threads": again.pins.threads}, ["threads"]),
        (run.pins.environment, again.pins.environment, sorted(PINNED)),
        (ours.hardware, theirs.hardware, kernels),
    ):
        found += [f"{n}: {first.get(n)}, now {second.get(n)}" for n in names if first.get(n) != second.get(n)]
    return found


def _predictions(run: Run) -> str | None:
    """Hash of what was predicted for every item, to the last digit; None where the run was not scored."""
    if not run.evaluations:
        return None
    return predictions_sha256(score_table.read_items(run))


def _scores(run: Run, again: Run) -> Iterator[Comparison]:
    """Every metric's score, to the last digit."""
    anew = {entry.metric: repr(entry.score) for entry in again.evaluations}
    for entry in run.evaluations:
        yield Comparison(f"score {entry.metric}", repr(entry.score), anew.get(entry.metric))


def _rescored(run: Run, rescored: Scored) -> Iterator[Comparison]:
    """Every metric's score of the stored checkpoint, scored once more."""
    anew = {entry.metric: repr(entry.score) for entry in rescored.evaluations}
    for entry in run.evaluations:
        yield Comparison(f"rescored {entry.metric}", repr(entry.score), anew.get(entry.metric))


def _first_step(recorded: Path, again: Path) -> int | None:
    """The first step at which the traces part."""
    traces = [
        json_files.read_text(trace_path(folder), json_files.MAX_JSON_BYTES).splitlines() for folder in (recorded, again)
    ]
    for number, (ours, theirs) in enumerate(zip(*traces, strict=False)):
        if ours != theirs:
            return number
    return min(map(len, traces)) if len(traces[0]) != len(traces[1]) else None


def _cause(comparisons: Sequence[Comparison], environment: Sequence[str]) -> str:
    if environment:
        return f"the environment differs: {'; '.join(environment)}"
    first = next((comparison.what for comparison in comparisons if not comparison.equal), "")
    return CAUSES.get(re.split("[_ ]", first)[0], "") if first else ""


def _noise(folder: Path, run: Run, again: Run, rescored: Scored | None) -> Iterator[Noise]:
    """Same-seed noise and scoring noise beside seed noise, metric by metric."""
    others = [other for other in folders.finished_runs(folder) if other.status == "finished"]
    anew = {entry.metric: entry.score for entry in (() if rescored is None else rescored.evaluations)}
    second = {entry.metric: entry.score for entry in again.evaluations}
    for entry in run.evaluations:
        scores = [e.score for other in others for e in other.evaluations if e.metric == entry.metric]
        known = [score for score in scores if score is not None]
        yield Noise(
            entry.metric,
            _distance(entry.score, second.get(entry.metric)),
            _distance(entry.score, anew.get(entry.metric)),
            sample_sd(known) if len(known) > 1 else None,
        )


def _distance(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else abs(first - second)
