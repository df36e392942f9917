"""Train: a group of seeds is trained, and every checkpoint scored from disk as `check` would."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedband import trainers
from seedband.bands import comparability
from seedband.data.dataset import load_items
from seedband.determinism import environment
from seedband.determinism.environment_record import EnvironmentRecord
from seedband.determinism.pins import flipped, pin, read_back
from seedband.determinism.seeds import item_keys
from seedband.determinism.settings import DeterminismSection
from seedband.errors import SeedbandError, WorkFailed
from seedband.events import Emit
from seedband.jobs.process import feature_cache, resolve_device
from seedband.jobs.score import Scorer, ScoreTarget
from seedband.models import base_watch
from seedband.models.base_watch import BaseWatch
from seedband.models.recognise import recognise
from seedband.recipe import identity, locations, train_command
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import Recipe
from seedband.runs.item_table import predictions_sha256, read_table
from seedband.runs.layout import ITEMS, RUN, TRAINED
from seedband.runs.run import Scored
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject
from seedband.trainers import SeedRun, TrainContext
from seedband.trainers.loop.unscored import Process, Unscored, hashes_of_files, record_of, take_over


@dataclass(frozen=True)
class TrainJob:
    """Train a group of one or more seeds of one recipe, then score their checkpoints."""

    recipe: Recipe
    scoring: Scoring
    train_path: str
    runs: tuple[SeedRun, ...]
    provenance: JsonObject
    kind: str = "train"

    @property
    def determinism(self) -> DeterminismSection:
        """The pins of the job's process."""
        return self.recipe.determinism

    @property
    def name(self) -> str:
        """For people and log files."""
        return "seed " + ", ".join(str(run.seed) for run in self.runs)

    @property
    def launched_on(self) -> str:
        """The device of a launcher that may fork it; empty for one that has no use for a launcher."""
        return self.recipe.train.device

    def carry_out(self, emit: Emit) -> None:
        """Train every seed of the group, score its checkpoint from disk as `check` would, and record it.

        A seed that was trained by a process that ended before it was scored is scored alone.
        """
        recipe = self.recipe
        pin(recipe.determinism)
        device = resolve_device(recipe.train.device)
        pins = read_back()
        train_items = load_items(Path(self.train_path), self.scoring.columns)
        if train_items.sha256 != self.provenance["data"]["train"]["sha256"]:
            raise WorkFailed(f"{self.train_path} has changed since the sweep began", hint="sweep again")
        train_command.check_unchanged(self.provenance.get("command", {}), Path(self.scoring.folder))
        base = base_watch.watch(self.scoring)
        facts, known = environment.describe(device), identity.RecordedRecipe(recipe.as_dict(), self.provenance)
        context = TrainContext(
            recipe=recipe,
            scoring=self.scoring,
            items=train_items,
            item_keys=tuple(item_keys(train_items.contents)),
            device=device,
            identity=json_files.digest([identity.training_identity(known), *_apart(facts, device, self.scoring.base)]),
            features=feature_cache(facts, pins, base, emit),
            check_base=base.glance,
        )
        scorer = Scorer(self.scoring, device, facts, context.features, emit, context.ways)
        emit("environment", None, {"fingerprint": facts.fingerprint, "device": device})
        waiting = []
        for run in self.runs:
            known_of_run = take_over(run, context.identity, emit)
            if known_of_run is None:
                waiting.append(run)
            else:
                emit("witness", run.seed, known_of_run.witnesses)
                _finish(self, run, known_of_run, pins, base, scorer, emit)
        if waiting:
            _train(self, context, waiting, Process(facts, pins), base, scorer, emit)


def _apart(facts: EnvironmentRecord, device: str, base: Base) -> list[object]:
    """The facts beside its recipe that a killed run must share with the one that goes on from it."""
    further = [base.further_sha256] if base.further_sha256 else []
    return [facts.fingerprint, facts.versions, device, *further]


def _train(
    job: TrainJob,
    context: TrainContext,
    runs: Sequence[SeedRun],
    process: Process,
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
        content = {
            "seed": run.seed,
            "streams": dict(run.streams),
            "files": hashes_of_files(folder),
            "record": record.as_dict(),
        }
        json_files.write_json(folder / TRAINED, "trained", {"identity": context.identity, **content})
        _finish(job, run, record, process.pins, base, scorer, emit)
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
    known: Unscored,
    pins: Mapping[str, object],
    base: BaseWatch,
    scorer: Scorer,
    emit: Emit,
) -> None:
    """Score what training left, and make a finished run of it."""
    from seedband.trainers.loop import resume

    scored = _scored(run, known, scorer)
    base.check()
    pins_flipped = sorted({*known.pins_flipped, *flipped(pins, read_back())})
    if pins_flipped:
        text = f"seed {run.seed}: pins changed while it ran: {', '.join(pins_flipped)}"
        emit("warning", run.seed, {"text": text})
    folder, witnesses = Path(run.folder), dict(known.witnesses)
    if job.recipe.train.command is not None and scored.items_sha256 is not None:
        # A script's draws are unknown, so what it made of them must tell two seeds apart.
        witnesses["predictions"] = predictions_sha256(read_table(folder / ITEMS))
        emit("witness", run.seed, witnesses)
    signature = scored.signature
    if signature is not None:
        signature = {**signature, **comparability.of_training(job.recipe, known.padding, known.initializers)}
    result = scored.as_dict()
    record = {
        **known.as_dict(),
        "seed": run.seed,
        "streams": dict(run.streams),
        "status": "failed" if scored.failure else "finished",
        **result,
        "signature": signature,
        "witnesses": witnesses,
        "truncated": {**known.truncated, "eval": scored.truncated},
        "recipe": job.recipe.as_dict(),
        "provenance": locations.relative(job.provenance, folder),
        "pins_flipped": pins_flipped,
    }
    json_files.write_json(folder / RUN, "run", record)
    (folder / TRAINED).unlink()
    resume.remove(folder)
    emit("finished", run.seed, {"status": record["status"], "evaluations": result["evaluations"]})


def _scored(run: SeedRun, known: Unscored, scorer: Scorer) -> Scored:
    """The scores of what training left; none where it failed."""
    if known.failure:
        return Scored(failure=known.failure)
    return scorer.score(ScoreTarget(recognise(Path(run.folder), f"seed {run.seed}"), run.folder))
