"""Method `command`: a training script of the user's own, run once per seed, whose checkpoint is scored like any other.

The script writes to `{out}`. When it ends well, its checkpoint and whatever lies beside it move up into the run's
folder, so that nothing else needs to know who trained it. What it draws is its own affair: the losses that it logs and
its weights are the witnesses.
"""

import json
import math
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from seedband.counts import first_of
from seedband.determinism.subprocesses import attend
from seedband.determinism.witnesses import lines_sha256, tensors_sha256
from seedband.errors import Refused, SeedbandError, UsageError, WorkFailed
from seedband.models import kinds
from seedband.models.checkpoints import checkpoint_tensors
from seedband.models.model_folders import CheckpointFiles
from seedband.models.recognise import recognise
from seedband.models.safety import PICKLES
from seedband.recipe import printed_scores, train_command
from seedband.recipe.sections import TrainSection
from seedband.runs.layout import ITEMS, OUT, REPORTED, RUN, TRACE, TRAINED, TRAINING, trace_path
from seedband.storage import atomic_files, json_files
from seedband.storage.json_files import JsonObject
from seedband.trainers import Method, Report, SeedRun, TrainContext, TrainedRun

#: What Hugging Face trainers leave of their course.
TRAINER_STATE = "trainer_state.json"
#: Files of a run's folder that are seedband's: a script that writes one of them writes evidence.
OURS = (RUN, TRAINED, ITEMS, TRACE, REPORTED, TRAINING)
#: Endings of files that nobody shall open, and that stay where the script left them.
LEFT_BEHIND = (*PICKLES, ".pkl", ".pickle", ".joblib")
#: A loss as trainers log it, in a dict of Python's or of JSON: 'loss': 0.5 or 'loss': '0.5'.
LOGGED_LOSS = re.compile(
    r"""["']loss["']:\s*["']?(?P<loss>[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf))\b""", re.IGNORECASE
)
#: So many different losses no two seeds log by chance, rounded as they are.
MIN_LOSSES = 3
#: trainer_state.json's word for it → trace.jsonl's.
TRACED = {"learning_rate": "learning_rate", "grad_norm": "gradient_norm"}
NO_WITNESSES: Mapping[str, None] = dict.fromkeys(("init", "init_adapter", "init_head", "order", "dropout"))


@dataclass(frozen=True)
class _Course:
    """What a script told of its training, step by step.

    Attributes:
        steps: As trace.jsonl has them.
        taken: Optimizer steps, as far as it told.
    """

    steps: Sequence[Mapping[str, float]] = ()
    taken: int = 0

    def witness(self) -> str | None:
        """Hash of the losses; None where they are too few to tell two seeds apart."""
        losses = [str(step["loss"]) for step in self.steps]
        return lines_sha256(losses) if len(set(losses)) >= MIN_LOSSES else None


@dataclass
class Ear:
    """Hears what a script prints: for the job's log, for who watches, and for the numbers among it.

    Attributes:
        seed: Under which it runs.
        report: Told every line.
        patterns: Metric → what finds its score.
        losses: As it logged them.
        scores: Metric → what its pattern found last.
        unread: Metric → why the line that spoke of it last cannot be relied on.
    """

    seed: int
    report: Report
    patterns: Mapping[str, str] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    scores: dict[str, str | None] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """Take a line as it comes."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        self.report("output", self.seed, {"text": line})
        if found := LOGGED_LOSS.search(line):
            self.losses.append(float(found["loss"]))
        for metric, pattern in self.patterns.items():
            if reading := printed_scores.read(pattern, line):
                self.scores[metric] = reading.score
                self.unread[metric] = reading.problem


class Command(Method):
    """A training script of the user's own."""

    name = "command"

    def train(self, context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
        """Run the command under each seed."""
        return (_train(context, run, report) for run in runs)


def _train(context: TrainContext, run: SeedRun, report: Report) -> TrainedRun:
    folder = Path(run.folder)
    places = {
        "train": str(context.items.path.absolute()),
        "eval": context.scoring.eval_path,
        "base": context.scoring.base.path,
    }
    ear = run_script(context.recipe.train, run, Path(context.scoring.folder), Ear(run.seed, report), places)
    course = _course(folder / OUT, ear.losses)
    files = _taken(folder / OUT, folder, context.scoring.labels)
    _write_trace(folder, course)
    tensors = list(checkpoint_tensors(files))
    broken = sorted(name for name, tensor in tensors if not bool(tensor.isfinite().all()))
    failure = f"weights are not finite: {first_of(broken, 'tensor')}" if broken else ""
    witnesses = {**NO_WITNESSES, "losses": course.witness(), "final": tensors_sha256(tensors)}
    if not failure:
        report("witness", run.seed, witnesses)
    return TrainedRun(run, failure, witnesses, (), course.taken, "")


def run_script(section: TrainSection, run: SeedRun, start: Path, ear: Ear, places: Mapping[str, str]) -> Ear:
    """Run the command until it ends well, as often as the recipe allows.

    Args:
        section: The command.
        run: Its seed, and its folder, from which everything else is removed.
        start: Folder in which it starts.
        ear: Hears it; each attempt has one like it.
        places: What placeholders stand for beside seeds and {out}.

    Returns:
        The ear of the attempt that ended well.

    Raises:
        UsageError: Somebody else's files lie in the run's folder.
        WorkFailed: No attempt ended well.
    """
    _clear(Path(run.folder))
    out = Path(run.folder) / OUT
    seeds = {
        name: train_command.stream_seed(run.streams[stream]) for name, stream in train_command.STREAM_SEEDS.items()
    }
    values = {**places, **{name: str(seed) for name, seed in {"seed": run.seed, **seeds}.items()}, "out": str(out)}
    assert section.command is not None
    command = [train_command.filled(argument, values) for argument in train_command.arguments_of(section.command)]
    command[0] = train_command.program_of(command[0], Path(start)) or command[0]
    failed = ""
    for attempt in range(1, section.retries + 2):
        if failed:
            message = f"seed {run.seed}: attempt {attempt - 1} of {section.retries + 1} failed: {failed}"
            ear.report("warning", run.seed, {"text": message})
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        ear.report("start", run.seed, {"what": f"seed {run.seed}: {' '.join(command)}"})
        ear = Ear(ear.seed, ear.report, ear.patterns)
        with _ended_in_order():
            failed = attend(command, start, "the command", ear.hear, section.timeout_s)
        if not failed:
            return ear
    raise WorkFailed(failed)


def write_course(folder: Path, ear: Ear) -> None:
    """Put the course of training into trace.jsonl, as far as the script told it."""
    _write_trace(folder, _course(folder / OUT, ear.losses))


def _write_trace(folder: Path, course: _Course) -> None:
    lines = [json.dumps({**step, **_finite(step)}) + "\n" for step in course.steps]
    atomic_files.write_text(trace_path(folder), "".join(lines))


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """A job that is asked to end gives its command, and what that started, the time to do so, too."""

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _clear(folder: Path) -> None:
    """Remove what an earlier attempt left in a run's folder, which its trace marks as one of ours.

    Raises:
        UsageError: Somebody else's files lie there.
    """
    left = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if left and not trace_path(folder).is_file():
        raise UsageError(f"{folder}: holds {left[0].name}, and no run", hint="give another --out, or move the files")
    trace_path(folder).touch()
    for path in left:
        if path.is_file() and path != trace_path(folder):
            path.unlink()


def _taken(out: Path, folder: Path, labels: Sequence[str]) -> CheckpointFiles:
    """Move what the script left into the run's folder; pickles and folders stay where they are.

    Raises:
        UsageError: No checkpoint, files that would be taken for ours, or outputs that stand for other labels.
        Refused: A checkpoint that is not safe to open.
    """
    try:
        files = recognise(out, str(out))
    except UsageError as error:
        message = f"train.command: the command ended well, and left no checkpoint: {error.message}"
        raise UsageError(message, hint=error.hint) from error
    names = [path.name for path in sorted(out.iterdir()) if path.is_file() and not path.name.startswith(".")]
    if taken := [name for name in names if name in OURS]:
        raise UsageError(f"train.command: the command wrote {taken[0]} to {{out}}, which is a name of seedband's")
    _check_labels(files, labels)
    for name in names:
        if not name.endswith(LEFT_BEHIND):
            _move(out / name, folder / name)
    if not any(out.iterdir()):
        out.rmdir()
    return recognise(folder, folder.name)


def _move(source: Path, target: Path) -> None:
    if source.is_symlink():
        shutil.copyfile(source, target)
    else:
        source.replace(target)


def _check_labels(files: CheckpointFiles, labels: Sequence[str]) -> None:
    """A whole model that names its labels names them in the order by which it will be scored."""
    kind = kinds.find(files.kind)
    own = kind.labels(Path(files.path)) if kind.whole and labels else []
    if own and own != list(labels):
        raise Refused(
            f"train.command: the model's labels are {own}, it would be scored by {list(labels)}",
            hint="number the labels in the order of their sorted names",
        )


def _course(out: Path, logged: Sequence[float]) -> _Course:
    """The course of training: from trainer_state.json, of the last checkpoint if need be, else from the log.

    Raises:
        WorkFailed: A trainer_state.json that is none.
    """
    states = [out / TRAINER_STATE, *sorted(out.glob(f"checkpoint-*/{TRAINER_STATE}"), key=_step_of, reverse=True)]
    state = next((path for path in states if path.is_file()), None)
    if state is None:
        return _Course([{"step": number, "loss": loss} for number, loss in enumerate(logged)], len(logged))
    try:
        table: Any = json.loads(
            json_files.read_text(state, json_files.MAX_FOREIGN_BYTES)
        )  # NaN stands in it where a loss was NaN
        entries = [entry for entry in table["log_history"] if "loss" in entry]
        steps = [_traced(entry) for entry in entries]
        return _Course(steps, int(table.get("global_step") or len(steps)))
    except (ValueError, TypeError, KeyError, SeedbandError) as error:
        raise WorkFailed(f"{state}: not what a trainer leaves: {error}") from error


def _step_of(state: Path) -> int:
    number = state.parent.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def _traced(entry: JsonObject) -> dict[str, float]:
    """A line of trace.jsonl from one of log_history, whose numbers may be texts."""
    step: dict[str, float] = {"step": int(entry["step"]), "loss": float(entry["loss"])}
    return step | {ours: float(entry[name]) for name, ours in TRACED.items() if entry.get(name) is not None}


def _finite(step: Mapping[str, float]) -> dict[str, str]:
    """JSON has no word for a number that is not finite."""
    return {name: str(value) for name, value in step.items() if isinstance(value, float) and not math.isfinite(value)}
