"""One job in one pinned child process: train a group of seeds, or score a checkpoint.

    python -m seedband.jobs.worker JOB.json PARENT_PID

Events go to standard output, one JSON object a line; whatever libraries print goes to standard error, which the
parent keeps as the job's log. run.json is written last: its existence means that the run is finished. trained.json
stands there while a trained checkpoint is scored: whatever ends the process meanwhile, nothing is trained for it again.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from seedband import trainers
from seedband.bands import comparability
from seedband.data.dataset import load_items
from seedband.determinism import environment
from seedband.determinism.pins import PORTABLE, check_environment, flipped, pin, read_back
from seedband.determinism.seeds import item_keys
from seedband.determinism.subprocesses import end_with_parent
from seedband.errors import SeedbandError, UsageError, WorkFailed
from seedband.events import Emit
from seedband.jobs import report
from seedband.jobs.score import Scorer
from seedband.jobs.spec import Job, ProbeJob, ReportJob, ScoreJob, ScoreTarget, TrainJob
from seedband.models import base_watch
from seedband.models.base_watch import BaseWatch
from seedband.models.model_folders import recognise
from seedband.models.speedups.feature_cache import FOLDER, FeatureCache, distrust, trim
from seedband.recipe import identity, locations, train_command
from seedband.recipe.scoring import Base
from seedband.runs.item_table import predictions_sha256, read_table
from seedband.runs.layout import ITEMS, RUN, SCORES, TRAINED
from seedband.storage import atomic_files, json_files
from seedband.storage.validation import checked, read_record
from seedband.trainers import SeedRun, TrainContext
from seedband.trainers.loop.unscored import hashes_of_files, record_of, take_over


@dataclass(frozen=True)
class _Kind:
    kind: Literal["train", "score", "probe", "report"]


@dataclass(frozen=True)
class _JobFile:
    job: _Kind


def main(arguments: Sequence[str]) -> int:
    """Run the job in a file; the exit code is that of the error tree."""
    events = _take_stdout()

    def emit(kind: str, seed: int | None, content: Mapping[str, Any]) -> None:
        events.write(json.dumps({"kind": kind, "seed": seed, "content": dict(content)}) + "\n")
        events.flush()

    end_with_parent(int(arguments[1]))
    try:
        job = read_job(Path(arguments[0]))
        if isinstance(job, TrainJob):
            run_train(job, emit)
        elif isinstance(job, ScoreJob):
            run_score(job, emit)
        elif isinstance(job, ReportJob):
            run_report(job, emit)
        else:
            run_probe(job, emit)
        emit("done", None, {})
    except SeedbandError as error:
        return _tell(error, emit)
    except OSError as error:
        traceback.print_exc()
        return _tell(WorkFailed.from_os(error), emit)
    return 0


def _tell(error: SeedbandError, emit: Emit) -> int:
    """Give the parent the error as it is; the exit code is its own."""
    problems = [asdict(problem) for problem in error.problems]
    content = {"exit_code": error.exit_code, "message": error.message, "problems": problems, "hint": error.hint}
    emit("error", None, content)
    return error.exit_code


def run_train(job: TrainJob, emit: Emit) -> None:
    """Train every seed of the group, score its checkpoint from disk as `check` would, and record it.

    A seed that was trained by a process that ended before it was scored is scored alone.
    """
    recipe = job.recipe
    pin(recipe.determinism)
    device = resolve_device(recipe.train.device)
    pins = read_back()
    train_items = load_items(Path(job.train_path), job.scoring.columns)
    if train_items.sha256 != job.provenance["data"]["train"]["sha256"]:
        raise WorkFailed(f"{job.train_path} has changed since the sweep began", hint="sweep again")
    train_command.check_unchanged(job.provenance.get("command", {}), Path(job.scoring.folder))
    base = base_watch.watch(job.scoring)
    facts, known = environment.describe(device), {"recipe": recipe.as_dict(), "provenance": job.provenance}
    context = TrainContext(
        recipe=recipe,
        scoring=job.scoring,
        items=train_items,
        item_keys=tuple(item_keys(train_items.contents)),
        device=device,
        identity=json_files.digest([identity.training_identity(known), *_apart(facts, device, job.scoring.base)]),
        features=feature_cache(facts, pins, base, emit),
        check_base=base.glance,
    )
    scorer = Scorer(job.scoring, device, facts, context.features, emit, context.ways)
    emit("environment", None, {"fingerprint": facts["fingerprint"], "device": device})
    waiting = []
    for run in job.runs:
        known_of_run = take_over(run, context.identity, emit)
        if known_of_run is None:
            waiting.append(run)
        else:
            emit("witness", run.seed, known_of_run["witnesses"])
            _finish(job, run, known_of_run, pins, base, scorer, emit)
    if waiting:
        _train(job, context, waiting, {"environment": facts, "pins": pins}, base, scorer, emit)


def _apart(facts: Mapping[str, Any], device: str, base: Base) -> list[Any]:
    """What beside its recipe a killed run must have in common with the one that goes on from it."""
    further = [base.further_sha256] if base.further_sha256 else []
    return [facts["fingerprint"], facts["versions"], device, *further]


def _train(
    job: TrainJob,
    context: TrainContext,
    runs: Sequence[SeedRun],
    process: Mapping[str, Any],
    base: BaseWatch,
    scorer: Scorer,
    emit: Emit,
) -> None:
    """Train these seeds; what each left is on record before its scores are asked for."""
    started = time.monotonic()
    for trained in trainers.find(context.recipe.train.method).train(context, runs, emit):
        seconds = time.monotonic() - started if trained.seconds is None else trained.seconds
        if told := trained.truncated.in_words("train", len(context.items), context.scoring.max_length):
            emit("warning", None, {"text": told})
        record = record_of(trained, process, round(seconds, 3))
        folder, run = Path(trained.run.folder), trained.run
        _check_base(base, runs)
        content = {"seed": run.seed, "streams": dict(run.streams), "files": hashes_of_files(folder), "record": record}
        json_files.write_json(folder / TRAINED, "trained", {"identity": context.identity, **content})
        _finish(job, run, record, process["pins"], base, scorer, emit)
        started = time.monotonic()


def _check_base(base: BaseWatch, runs: Sequence[SeedRun]) -> None:
    """Look at the base once more; where it is another now, what training left on the way is of neither."""
    from seedband.trainers.loop import resume

    try:
        base.check()
    except SeedbandError:
        for run in runs:
            resume.remove(Path(run.folder))
        raise


def _finish(
    job: TrainJob,
    run: SeedRun,
    known: Mapping[str, Any],
    pins: Mapping[str, Any],
    base: BaseWatch,
    scorer: Scorer,
    emit: Emit,
) -> None:
    """Score what training left, and make a finished run of it."""
    from seedband.trainers.loop import resume

    record = _run_record(job, run, known, pins, scorer)
    base.check()
    if record["pins_flipped"]:
        text = f"seed {run.seed}: pins changed while it ran: {', '.join(record['pins_flipped'])}"
        emit("warning", run.seed, {"text": text})
    folder = Path(run.folder)
    if job.recipe.train.command is not None and record["items_sha256"] is not None:
        # A script's draws are unknown, so what it made of them must tell two seeds apart.
        predictions = predictions_sha256(read_table(folder / ITEMS))
        record["witnesses"] = {**record["witnesses"], "predictions": predictions}
        emit("witness", run.seed, record["witnesses"])
    json_files.write_json(folder / RUN, "run", record)
    (folder / TRAINED).unlink()
    resume.remove(folder)
    emit("finished", run.seed, {"status": record["status"], "evaluations": record["evaluations"]})


def run_score(job: ScoreJob, emit: Emit) -> None:
    """Score every checkpoint; each result goes to scores.json in its folder, written last."""
    pin(job.determinism)
    device = resolve_device(job.scoring.device)
    facts = environment.describe(device)
    base = base_watch.watch(job.scoring)
    scorer = Scorer(job.scoring, device, facts, feature_cache(facts, read_back(), base, emit), emit)
    for target in job.targets:
        result = scorer.score(target)
        base.check()
        json_files.write_json(Path(target.out) / SCORES, "scores", {"checkpoint": target.checkpoint.name, **result})
        emit("scored", None, {"checkpoint": target.checkpoint.name})


def run_report(job: ReportJob, emit: Emit) -> None:
    """Run the command, and put the scores that it reports on record."""
    check_environment(job.determinism)
    train_command.check_unchanged(job.files, Path(job.start))
    record = report.run(job, environment.versions(), emit)
    evaluations = [{"metric": metric, "score": score} for metric, score in record["scores"].items()]
    emit("finished", job.run.seed, {"status": "finished", "evaluations": evaluations})


def run_probe(job: ProbeJob, emit: Emit) -> None:
    """Pin, and say what this process is like: its pins as read back, its environment, its numerics."""
    pin(job.determinism)
    device = resolve_device(job.device)
    emit("probed", None, {"environment": environment.describe(device), "pins": read_back()})


def feature_cache(facts: Mapping[str, Any], pins: Mapping[str, Any], base: BaseWatch, emit: Emit) -> FeatureCache:
    """Where features of a frozen backbone are kept, apart for every class of numerics."""
    folder = atomic_files.cache_folder() / FOLDER
    if why := distrust(folder):
        hint = f"remove it, make it yours alone, or set {atomic_files.CACHE} to another folder"
        emit("warning", None, {"text": f"{folder} {why}: nothing is kept there, nor read ({hint})"})
        return FeatureCache()
    trim(folder)
    apart = [facts[name] for name in ("fingerprint", "versions", "hardware", "device")]
    instructions = [os.environ.get(name) for name in PORTABLE]
    return FeatureCache(folder, json_files.digest([*apart, pins["threads"], instructions]), base.glance)


def resolve_device(asked: str) -> str:
    """The device a job runs on; "auto" takes CUDA where there is any."""
    import torch

    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise UsageError('train.device: "cuda" was asked for, and torch finds no CUDA device', hint='device = "auto"')
    if asked == "auto":
        return "cuda" if available else "cpu"
    return asked


def write_job(path: Path, job: Job) -> None:
    """Write a job for a child to read."""
    json_files.write_json(path, "job", {"job": asdict(job)})


def read_job(path: Path) -> Job:
    """Read what `write_job` wrote."""
    kinds: dict[str, type[TrainJob | ScoreJob | ProbeJob | ReportJob]] = {
        "train": TrainJob,
        "score": ScoreJob,
        "probe": ProbeJob,
        "report": ReportJob,
    }
    content = read_record(path, "job", _JobFile)[1]["job"]
    return checked(content, kinds[content["kind"]], f"{path}: not a job that holds together")


def _run_record(
    job: TrainJob, run: SeedRun, known: Mapping[str, Any], pins: Mapping[str, Any], scorer: Scorer
) -> dict[str, Any]:
    scored: dict[str, Any] = {
        "evaluations": [],
        "signature": None,
        "checkpoint_sha256": None,
        "items_sha256": None,
        "failure": known["failure"],
    }
    if not known["failure"]:
        files = recognise(Path(run.folder), f"seed {run.seed}")
        scored = scorer.score(ScoreTarget(files, run.folder))
    if scored["signature"] is not None:
        scored["signature"] |= comparability.of_training(job.recipe, known["padding"], known["initializers"])
    return {
        **known,
        "seed": run.seed,
        "streams": dict(run.streams),
        "status": "failed" if scored["failure"] else "finished",
        **scored,
        "truncated": {**known["truncated"], "eval": scored.get("truncated")},
        "recipe": job.recipe.as_dict(),
        "provenance": locations.relative(job.provenance, Path(run.folder)),
        "pins_flipped": sorted({*known["pins_flipped"], *flipped(pins, read_back())}),
    }


def _take_stdout() -> TextIO:
    """Keep standard output for events; what libraries print joins standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
