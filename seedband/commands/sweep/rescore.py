"""Score finished runs again where the recipe asks for other scores: nothing is trained for it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from seedband.bands import comparability
from seedband.commands.sweep.plan import Plan
from seedband.commands.sweep.prepare import Prepared
from seedband.errors import Refused
from seedband.events import Event
from seedband.jobs.executors import Executor, OnEvent
from seedband.jobs.kinds.score import ScoreJob
from seedband.jobs.run_jobs import score
from seedband.jobs.score import ScoreTarget
from seedband.models.recognise import recognise
from seedband.recipe import locations
from seedband.recipe.parse import differing_keys
from seedband.runs.item_table import predictions_sha256, read_table
from seedband.runs.layout import ANEW, ITEMS, LOGS, RUN, SCORES
from seedband.runs.old_padding import unversioned, went_wrong_in
from seedband.runs.run import Run, read_scored
from seedband.storage import atomic_files, json_files


def rescore(plan: Plan, stale: Sequence[Run], executor: Executor, on_event: OnEvent) -> None:
    """Score finished runs once more, each kept as soon as it is done; nothing is trained for it."""
    for run in plan.finished:
        # What a process that was killed left there was asked for by another recipe, or in other words.
        _discard(run.folder / ANEW, keep_folder=run in plan.stale)
    if not stale:
        return
    names = {f"seed {run.seed}": run for run in stale}
    on_event(Event("note", content={"text": f"{', '.join(names)}: scored again, not trained again"}))
    if unversioned(stale) and went_wrong_in(plan.prepared.scoring) == "training":
        text = "an earlier version trained these seeds with wrong padding, and only their scores are made again"
        on_event(Event("warning", content={"text": f"{text}: for a band of today's training give another --out"}))

    def watched(event: Event) -> None:
        on_event(event)
        if event.kind == "scored":
            _take_over(names[event.content["checkpoint"]], plan.prepared)

    targets = [ScoreTarget(recognise(run.folder, name), str(run.folder / ANEW)) for name, run in names.items()]
    job = ScoreJob(plan.prepared.scoring, tuple(targets), plan.prepared.recipe.determinism)
    score(job, executor, plan.folder / LOGS, watched, "sweep again to score it: what is finished is kept")


def _take_over(run: Run, prepared: Prepared) -> None:
    """Put new scores in place of a run's old ones; killed at any moment, the next sweep scores it once more."""
    place = run.folder / ANEW
    scored = read_scored(place)
    if scored.checkpoint_sha256 != run.checkpoint_sha256:
        raise Refused(
            f"{run.folder}: its weights are not those that its {RUN} records", hint="restore the run's folder"
        )
    ours = comparability.at(run.signature or {}, "environment") or {}
    changed = differing_keys(ours, comparability.at(scored.signature or {}, "environment") or {})
    if changed:
        raise Refused(
            f"{run.folder} was scored in another environment: {', '.join(changed)} changed",
            hint="score it again where it was trained, or give another --out; seedband doctor shows what differs",
        )
    kept = {key: value for key, value in run.record.items() if key not in ("format", "version")}
    result = scored.as_dict()
    new = {key: result[key] for key in ("evaluations", "items_sha256", "failure")}
    new |= {
        "status": "failed" if scored.failure else "finished",
        "signature": {
            **(scored.signature or {}),
            **comparability.of_training(
                prepared.recipe, run.record.get("padding", 1), run.record.get("initializers", ())
            ),
        },
        "truncated": {**run.record.get("truncated", {}), "eval": scored.truncated},
        # Its weights are the same, so this recipe differs in how they are scored, and where things lie.
        "recipe": prepared.recipe.as_dict(),
        "provenance": locations.relative(prepared.provenance, run.folder),
    }
    if "predictions" in run.witnesses:
        new["witnesses"] = {**run.witnesses, "predictions": predictions_sha256(read_table(place / ITEMS))}
    with atomic_files.replacing(run.folder / ITEMS) as temporary:
        shutil.copyfile(place / ITEMS, temporary)
    json_files.write_json(run.folder / RUN, "run", {**kept, **new})
    _discard(place)


def _discard(place: Path, *, keep_folder: bool = False) -> None:
    """Remove new scores; while the folder is there, a run's items may be newer than its record."""
    (place / SCORES).unlink(missing_ok=True)
    if not keep_folder:
        shutil.rmtree(place, ignore_errors=True)
