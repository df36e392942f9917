"""Which runs of a folder are a band's, and what an interrupted one leaves."""

import json
import shutil
from contextlib import contextmanager

import pytest
from tiny import Tiny, recipe_text

from seedband import load_band, sweep
from seedband.commands.check.candidates import resolve
from seedband.commands.sweep.carry_out import carry_out
from seedband.commands.sweep.fit import fit
from seedband.commands.sweep.plan import make_plan, train_jobs
from seedband.commands.sweep.prepare import prepare
from seedband.commands.sweep.sweep import make_plan as plan_sweep
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.events import Event
from seedband.jobs.executors import make
from seedband.jobs.run_jobs import each_warning_once, train
from seedband.jobs.spec import Outcome
from seedband.recipe.locations import recorded_recipe
from seedband.recipe.parse import load_recipe
from seedband.runs.folders import finished_runs
from seedband.runs.layout import TRAINING
from seedband.runs.run_file import read_run
from seedband.runs.sweep_file import read_sweep
from seedband.storage import atomic_files, json_files, locks


@pytest.fixture
def heads(tiny_heads, tmp_path):
    return Tiny(shutil.copytree(tiny_heads.folder, tmp_path / "tiny"))


def test_candidates_in_the_folder_of_a_sweep_do_not_join_its_band(heads):
    sweep(heads.config, [7], out=heads.runs, band=None, offline=True)
    sweep(heads.config, 3, out=heads.runs, band=heads.band, offline=True)
    assert load_band(heads.band).seeds == (0, 1, 2)
    sweep(heads.config, [7], out=heads.runs, band=heads.band, offline=True)
    assert load_band(heads.band).seeds == (0, 1, 2, 7)


def test_a_candidate_in_the_folder_is_no_second_seed_of_a_band(heads):
    sweep(heads.config, [7], out=heads.folder / "new", band=None, offline=True)
    with pytest.raises(Refused, match="one seed has no spread"):
        plan_sweep(heads.config, [0], out=heads.folder / "new", band=heads.folder / "new.json", offline=True)


def test_an_interrupted_further_seed_leaves_the_sweep_a_candidate(heads):
    def interrupt(event):
        if event.kind in ("job", "step"):
            raise KeyboardInterrupt

    plan = make_plan(prepare(load_recipe(heads.config), offline=True), [9], heads.runs)
    with make("local", slots=1, offline=True) as executor, pytest.raises(KeyboardInterrupt):
        carry_out(plan, executor, on_event=interrupt, announce=False)
    assert read_sweep(heads.runs).seeds == (0, 1, 2)
    assert [entry.seed for entry in resolve(heads.runs)] == [0, 1, 2]
    with make("local", slots=1, offline=True) as executor, pytest.raises(KeyboardInterrupt):
        carry_out(plan, executor, on_event=interrupt)
    assert read_sweep(heads.runs).seeds == (0, 1, 2, 9)


class KilledError(BaseException):
    pass


def kill_at_the_band(heads, monkeypatch, *, written):
    """Sweep, and stop beside the moment at which the band comes into its place."""
    write = atomic_files.write_text

    def cut(path, text):
        if path == heads.band and not written:
            raise KilledError
        write(path, text)
        if path == heads.band:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(atomic_files, "write_text", cut)
        with pytest.raises(KilledError):
            sweep(heads.config, 3, out=heads.runs, band=heads.band, offline=True)


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_sweep_killed_beside_writing_its_band_knows_it_as_its_own(heads, monkeypatch, before, written):
    undisturbed = heads.band.read_bytes()
    if before:  # another band of this very sweep, which the next one replaces
        heads.config.write_text(heads.config.read_text() + "[gate]\nalpha = 0.01\n")
        sweep(heads.config, 3, out=heads.runs, band=heads.band, offline=True)
        heads.config.write_text(recipe_text(train_method='"head"', train_epochs="10"))
    else:
        heads.band.unlink()
        record = json.loads((heads.runs / "sweep.json").read_text())
        json_files.write_json(heads.runs / "sweep.json", "sweep", {**without_seal(record), "band": None})
    kill_at_the_band(heads, monkeypatch, written=written)
    kill_at_the_band(heads, monkeypatch, written=written)
    sweep(heads.config, 3, out=heads.runs, band=heads.band, offline=True)
    assert heads.band.read_bytes() == undisturbed


def without_seal(record):
    return {key: value for key, value in record.items() if key not in ("format", "version", "sha256")}


def test_band_that_somebody_put_there_while_it_trained_is_kept(heads):
    def meddle(event):
        if event.kind == "plan":
            heads.band.write_text("another")

    with pytest.raises(UsageError, match="is not the band of"):
        sweep(heads.config, 3, out=heads.runs, band=heads.band, offline=True, on_event=meddle)
    assert heads.band.read_text() == "another"


def test_what_a_kill_left_is_gone_after_the_next_sweep(heads):
    def files():
        return sorted(str(path.relative_to(heads.folder)) for path in heads.folder.rglob("*"))

    before, seed = files(), heads.runs / "seed-1"
    left = [
        heads.folder / ".band.json.abcd_123.part",
        heads.runs / ".sweep.json.abcd_123.part",
        heads.runs / ".lock-holder",
        heads.runs / "logs" / "seed-2.job.json",
        heads.runs / "logs" / ".seed-2.job.json.abcd_123.part",
        seed / ".items.parquet.abcd_123.part",
        seed / "training.json",
        seed / "training-5.safetensors",
    ]
    for path in left:
        path.write_text("half")
    sweep(heads.config, 3, out=heads.runs, band=heads.band, offline=True)
    assert files() == before


def test_runs_that_another_sweep_finished_before_the_lock_was_ours_are_kept(heads, monkeypatch):
    last, aside, hold = heads.runs / "seed-2", heads.folder / "aside", locks.locked
    last.rename(aside)

    @contextmanager
    def held(folder):
        aside.rename(last)  # what the sweep did that had the lock until now
        with hold(folder):
            yield

    monkeypatch.setattr(locks, "locked", held)
    events = []
    sweep(heads.config, 3, out=heads.runs, band=None, offline=True, on_event=events.append)
    assert [event.content["jobs"] for event in events if event.kind == "plan"] == [0]


def test_checkpoint_of_another_method_is_no_part_of_the_run_that_comes_next(tiny):
    run = tiny.runs / "seed-0"
    run.mkdir(parents=True)
    for name in ("trace.jsonl", "adapter_config.json", "adapter_model.safetensors"):
        (run / name).write_text("{}")
    tiny.config.write_text(recipe_text(train_method='"head"', train_epochs="10"))
    done = sweep(tiny.config, [0], out=tiny.runs, band=None, offline=True)
    assert done.runs[0].status == "finished"
    assert not list(run.glob("adapter*"))


class Script:
    """An executor whose jobs do what they are told: end well, crash, or find a mistake."""

    def __init__(self, *acts):
        self.acts, self.asked = list(acts), []

    def run(self, jobs, logs, on_event):
        self.asked.append([[run.seed for run in job.runs] for job in jobs])
        return [self.acts.pop(0)(job, on_event) for job in jobs]


def begins(seed, on_event):
    on_event(Event("witness", seed, {"init_head": str(seed), "order": str(seed), "dropout": str(seed)}))


def crashes_after(*seeds, error=None):
    def act(job, on_event):
        for seed in seeds:
            begins(seed, on_event)
        return Outcome(job, 5 if error is None else error["exit_code"], "killed", job.runs[0].folder, error or {})

    return act


def ends_well(job, on_event):
    for run in job.runs:
        begins(run.seed, on_event)
    return Outcome(job, 0, "", job.runs[0].folder)


def script(heads, tmp_path, seeds, *acts, before=()):
    prepared = prepare(load_recipe(heads.config), offline=True)
    executor = Script(*acts)
    jobs = train_jobs(prepared, tmp_path / "new", seeds)
    crashed = train(jobs, executor, tmp_path, before, ("init", "order"), lambda _: None)
    return executor.asked, [[run.seed for run in outcome.job.runs] for outcome in crashed]


def test_a_crash_costs_the_seed_that_causes_it_and_the_others_of_its_group_are_trained(heads, tmp_path):
    acts = [crashes_after(0, 1, 2), ends_well, crashes_after(1), ends_well]
    asked, crashed = script(heads, tmp_path, [0, 1, 2], *acts)
    assert asked == [[[0, 1, 2]], [[0], [1], [2]]]
    assert crashed == [[1]]


def test_what_a_group_finished_before_it_crashed_is_not_trained_again(heads, tmp_path):
    def ends_early(job, on_event):
        (tmp_path / "new" / "seed-0" / "run.json").write_text("{}")
        return crashes_after(0, 1)(job, on_event)

    asked, crashed = script(heads, tmp_path, [0, 1], ends_early, ends_well)
    assert asked == [[[0, 1]], [[1]]]
    assert crashed == []


def test_a_group_that_cannot_begin_is_not_split(heads, tmp_path):
    asked, crashed = script(heads, tmp_path, [0, 1], crashes_after())
    assert asked == [[[0, 1]]]
    assert crashed == [[0, 1]]


@pytest.mark.parametrize(
    ("slots", "groups"), [(1, [[0, 1, 2, 3, 4]]), (2, [[0, 1, 2], [3, 4]]), (9, [[0], [1], [2], [3], [4]])]
)
def test_heads_are_grouped_so_that_every_slot_has_some(heads, tmp_path, slots, groups):
    jobs = train_jobs(prepare(load_recipe(heads.config), offline=True), tmp_path, range(5), slots)
    assert [[run.seed for run in job.runs] for job in jobs] == groups


def test_a_mistake_that_a_job_finds_is_told_to_nobody_twice(heads, tmp_path):
    error = {"exit_code": 2, "message": "no such file", "problems": [], "hint": ""}
    asked, crashed = script(heads, tmp_path, [0, 1], crashes_after(0, error=error))
    assert asked == [[[0, 1]]]
    assert crashed == [[0, 1]]


def test_another_machines_numerics_are_refused_before_anything_is_trained(heads, tmp_path):
    def elsewhere(job, on_event):
        on_event(Event("environment", content={"fingerprint": "0" * 64, "device": "cpu"}))
        raise AssertionError("it went on")

    with pytest.raises(Refused, match="trained in another environment: numerics fingerprint"):
        script(heads, tmp_path, [7], elsewhere, before=finished_runs(heads.runs))


def test_a_band_of_fewer_than_two_runs_because_others_crashed_is_work_that_failed(heads):
    prepared = prepare(load_recipe(heads.config), offline=True)
    with pytest.raises(WorkFailed, match=r"1 healthy run is left.*seed 1 crashed: killed by SIGKILL"):
        fit(prepared, finished_runs(heads.runs)[:1], heads.band, crashed={"1": "killed by SIGKILL"})


def test_a_further_seed_that_was_killed_in_a_new_folder_goes_on(heads, tmp_path):
    (tmp_path / "new" / "seed-9").mkdir(parents=True)
    (tmp_path / "new" / "seed-9" / TRAINING).write_text("{}")
    plan = make_plan(prepare(load_recipe(heads.config), offline=True), [9], tmp_path / "new")
    assert [run.seed for job in plan.jobs for run in job.runs] == [9]


def test_a_training_checkpoint_of_another_recipe_is_not_lost(heads):
    for run in heads.runs.glob("seed-*"):
        shutil.rmtree(run)
    (heads.runs / "seed-0").mkdir()
    (heads.runs / "seed-0" / TRAINING).write_text("{}")
    heads.config.write_text(recipe_text(train_method='"head"', train_epochs="11"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"holds runs of another recipe: train\.epochs changed"):
        make_plan(prepare(load_recipe(heads.config), offline=True), [0], heads.runs)


def test_data_are_found_from_a_sweep_behind_a_link(heads, tmp_path):
    (tmp_path / "scratch").mkdir()
    heads.runs.rename(tmp_path / "scratch" / "runs")
    heads.runs.symlink_to(tmp_path / "scratch" / "runs")
    sweep(heads.config, [5], out=heads.runs, band=None, offline=True)
    run = read_run(heads.runs / "seed-5")
    again = prepare(recorded_recipe(run.recorded, run.folder), offline=True)
    assert again.train_items.path.samefile(heads.folder / "train.jsonl")
    assert again.recipe.data.train == "train.jsonl"
    assert again.scoring.base.reference == "base"


def test_what_every_job_warns_of_is_told_once():
    told = []
    watched = each_warning_once(told.append)
    events = [Event("warning", content={"text": text}) for text in ("a", "b", "a")]
    for event in [*events, Event("step", 0, {"step": 1}), Event("step", 0, {"step": 1})]:
        watched(event)
    assert [event.content.get("text") for event in told] == ["a", "b", None, None]
