"""Jobs: train, score or probe in processes of their own, and tell what came of it."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from seedband.errors import Problem, Refused, UsageError, WorkFailed
from seedband.events import Event
from seedband.jobs.distinct_seeds import StepZeroGuard
from seedband.jobs.executors import Executor, OnEvent
from seedband.jobs.kinds.probe import ProbeJob
from seedband.jobs.kinds.score import ScoreJob
from seedband.jobs.kinds.train import TrainJob
from seedband.jobs.spec import Outcome
from seedband.runs.layout import RUN
from seedband.runs.run import Evaluation, Run
from seedband.storage.json_files import JsonObject

#: Names of temporary folders begin with it.
WORKSPACE = "seedband-work-"


def train(
    jobs: Sequence[TrainJob],
    executor: Executor,
    logs: Path,
    before: Sequence[Run],
    vary: Sequence[str],
    on_event: OnEvent,
) -> list[Outcome]:
    """Run training jobs; stop as soon as two seeds turn out to be the same draw.

    A group that crashed after its seeds had begun is split: each that is not finished is trained by a job of its own,
    so that a crash costs the seed that causes it, and no other.

    Returns:
        The jobs that crashed; the others ran on, and what was finished is kept.

    Raises:
        Refused: Two seeds share a draw that should vary, nothing varies at all, or this machine's numerics are not
            those of the runs before.
    """
    if not jobs:
        return []
    started: set[int] = set()
    guard = StepZeroGuard(jobs[0].recipe, vary, {run.seed: run.witnesses for run in before})

    def watched(event: Event) -> None:
        on_event(event)
        if event.seed is not None:
            started.add(event.seed)
        if event.kind == "witness" and event.seed is not None:
            guard.admit(event.seed, event.content)
        if event.kind == "environment" and before:
            _check_same_numerics(before[0], event.content)

    for job in jobs:
        for run in job.runs:
            Path(run.folder).mkdir(parents=True, exist_ok=True)
    crashed, alone = _run(jobs, executor, logs, watched, started)
    if alone:
        names = ", ".join(str(run.seed) for job in alone for run in job.runs)
        on_event(Event("note", content={"text": f"seeds {names}: trained one by one after their group crashed"}))
        crashed += _run(alone, executor, logs, watched, started)[0]
    return crashed


def _run(
    jobs: Sequence[TrainJob], executor: Executor, logs: Path, on_event: OnEvent, started: Collection[int]
) -> tuple[list[Outcome], list[TrainJob]]:
    """The jobs that crashed, and jobs that train each seed alone of groups that did."""
    crashed, alone = list[Outcome](), list[TrainJob]()
    for outcome in executor.run(jobs, logs, on_event):
        if outcome.exit_code:
            split = _each_alone(outcome, started)
            alone += split
            crashed += [] if split else [_of_open_runs(outcome)]
    return crashed, alone


def _each_alone(outcome: Outcome, started: Collection[int]) -> list[TrainJob]:
    """A job for each open seed of a group that crashed on its way; a mistake, or no way to begin, would meet all."""
    job, group = _of_open_runs(outcome).job, outcome.job
    assert isinstance(job, TrainJob)
    assert isinstance(group, TrainJob)
    if len(group.runs) == 1 or told_of(outcome) or not any(run.seed in started for run in job.runs):
        return []
    return [replace(job, runs=(run,)) for run in job.runs]


def _of_open_runs(outcome: Outcome) -> Outcome:
    """A crash with those seeds of its job that it kept from being finished."""
    job = outcome.job
    assert isinstance(job, TrainJob)
    open_runs = tuple(run for run in job.runs if not (Path(run.folder) / RUN).is_file())
    return replace(outcome, job=replace(job, runs=open_runs or job.runs))


def each_warning_once(on_event: OnEvent) -> OnEvent:
    """Pass each warning on once, however many jobs or checkpoints give it."""
    told = set()

    def watched(event: Event) -> None:
        text = event.content.get("text") if event.kind == "warning" else None
        if text is None or text not in told:
            on_event(event)
        told.add(text)

    return watched


def score(job: ScoreJob, executor: Executor, logs: Path, on_event: OnEvent, then: str = "check again") -> None:
    """Run a scoring job; `then` says what to do after a crash.

    Raises:
        WorkFailed: It crashed.
        UsageError, Refused: What it found wrong with the checkpoint.
    """
    told = each_warning_once(on_event)
    # What ended a single job is raised, so that it is not told twice.
    outcomes = executor.run([job], logs, lambda event: None if event.kind == "crashed" else told(event))
    raise_failed(outcomes, then)


def probe(job: ProbeJob, executor: Executor, logs: Path, on_event: OnEvent) -> None:
    """Ask a job's process what it is like.

    Raises:
        WorkFailed: It could not be started or pinned.
    """
    raise_failed(executor.run([job], logs, on_event), "try again")


@contextmanager
def workspace(what: str) -> Iterator[Path]:
    """A temporary folder that is kept when the work crashed, for its logs say why.

    One that a killed process left is removed by the next call: nobody holds the lock beside it any more.
    """
    from filelock import FileLock

    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent)
    work = parent / f"{WORKSPACE}{what}-{secrets.token_hex(8)}"
    lock = work.with_name(f"{work.name}.lock")
    with FileLock(lock):
        work.mkdir(mode=0o700)
        try:
            yield work
        except WorkFailed:
            raise
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        else:
            shutil.rmtree(work, ignore_errors=True)
        finally:
            lock.unlink(missing_ok=True)


def remove_abandoned(parent: Path) -> None:
    """Remove the workspaces of this user's killed processes."""
    from filelock import FileLock, Timeout

    for lock in parent.glob(f"{WORKSPACE}*.lock"):
        try:
            if lock.is_symlink() or lock.stat().st_uid != getattr(os, "getuid", int)():
                continue
            with FileLock(lock, timeout=0):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except (OSError, Timeout):  # in use, or gone meanwhile
            continue


def _check_same_numerics(run: Run, content: JsonObject) -> None:
    """A job tells what its numerics are before it trains: what could join no band is ended there."""
    known = run.environment
    if (known.fingerprint, known.device) != (content["fingerprint"], content["device"]):
        raise Refused(
            f"{run.folder} was trained in another environment: numerics fingerprint {known.fingerprint[:12]}… on "
            f"{known.device}, here {content['fingerprint'][:12]}… on {content['device']}",
            hint="go on where it was trained, or give another --out; seedband doctor shows what differs",
        )


def told_of(outcome: Outcome) -> type[UsageError] | type[Refused] | None:
    """The error of a job that ended with a mistake or a refusal; None for a crash."""
    kinds: Mapping[int, type[UsageError | Refused]] = {2: UsageError, 3: Refused}
    return kinds.get(outcome.error.get("exit_code", 5))


def raise_told(outcomes: Sequence[Outcome]) -> None:
    """Raise the first mistake or refusal that a job told of, if any did."""
    for outcome in outcomes:
        told = told_of(outcome)
        if told is not None:
            problems = [Problem(**problem) for problem in outcome.error["problems"]]
            raise told(outcome.error["message"], problems=problems, hint=outcome.error["hint"])


def raise_unscored(name: str, evaluation: Evaluation, then: str) -> None:
    """Raise why a metric has no score: its evaluator crashed, or what it scored allows none."""
    message = f"{name} has no {evaluation.metric}: {evaluation.failure}"
    if evaluation.crashed:
        raise WorkFailed(message, hint=f"mend the evaluator, {then}")
    if evaluation.score is None:
        raise Refused(message, hint="no verdict rests on a part of the items")


def raise_failed(outcomes: Sequence[Outcome], then: str) -> None:
    """Raise what made jobs fail, if any did: their own account of it, or that they crashed; `then` says what to do."""
    failed = [outcome for outcome in outcomes if outcome.exit_code != 0]
    raise_told(failed)
    raise_crashes(failed, then)


def raise_crashes(crashed: Sequence[Outcome], then: str) -> None:
    """Raise what made jobs crash, if any did; `then` says what to do."""
    if crashed:
        first = crashed[0]
        names = ", ".join(outcome.job.name for outcome in crashed)
        raise WorkFailed(f"{names} crashed: {first.message}", hint=f"the log is {first.log}; {then}")
