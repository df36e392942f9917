"""Train and score what a sweep's plan names, and collect every run of its folder."""

from seedband.commands.sweep.plan import Plan
from seedband.commands.sweep.rescore import rescore
from seedband.events import Event
from seedband.jobs.executors import Executor, OnEvent
from seedband.jobs.run_jobs import each_warning_once, raise_crashes, raise_told, told_of, train
from seedband.recipe.parse import dump_recipe
from seedband.runs import folders, score_table
from seedband.runs.layout import LOGS, RECIPE, SCORES_TABLE
from seedband.runs.run import Run
from seedband.storage import atomic_files


def carry_out(
    plan: Plan,
    executor: Executor,
    *,
    on_event: OnEvent,
    announce: bool = True,
    keep_going: bool = False,
) -> list[Run]:
    """Train what is missing, and collect all runs of the folder; its lock must be held.

    Args:
        plan: Made since the lock is held.
        executor: Where jobs go.
        on_event: Called with everything that happens.
        announce: Put the seeds on record before they are trained, so that a sweep that is cut short says what it lacks.
        keep_going: Go on without runs that crash.

    Raises:
        Refused: Seeds that do nothing, or a finished run that cannot be scored anew: other weights, another machine.
        WorkFailed: A run or its scoring crashed; the others are kept, and sweep.json says which was not trained.
    """
    on_event = each_warning_once(on_event)
    folders.clear(plan.folder)
    recipe = plan.prepared.recipe
    for text in plan.prepared.warnings:
        on_event(Event("warning", content={"text": text}))
    atomic_files.write_text(plan.folder / RECIPE, dump_recipe(recipe))
    if announce:
        plan.record.ask(plan.seeds)
    on_event(Event("plan", content={"jobs": len(plan.jobs), "seeds": plan.seeds, "folder": str(plan.folder)}))
    logs = plan.folder / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    crashed = train(plan.jobs, executor, logs, plan.finished, recipe.seeds.vary, on_event)
    if crashed and announce:
        plan.record.crash(plan.seeds, [outcome for outcome in crashed if told_of(outcome) is None])
    raise_told(crashed)
    # Further seeds of a candidate are no occasion to touch the other runs of its folder.
    rescore(plan, [run for run in plan.stale if announce or run.seed in plan.seeds], executor, on_event)
    if not keep_going:
        leaving = "; --keep-going leaves it out" if announce else ""
        raise_crashes(crashed, f"sweep again to train it: what is finished is kept{leaving}")
    finished = folders.finished_runs(plan.folder)
    with atomic_files.replacing(plan.folder / SCORES_TABLE) as temporary:
        score_table.scores_table(finished).to_parquet(temporary, index=False)
    plan.record.ask(plan.seeds)
    return finished
