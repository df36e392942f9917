"""The local executor: environment, crashes, and an end for every child."""

from dataclasses import replace
from pathlib import Path

import pytest

from seedband.determinism import overridden, pinned_environment
from seedband.executors import make
from seedband.preflight import prepare
from seedband.recipe import load_recipe
from seedband.runs import train_jobs


@pytest.fixture
def jobs(tiny):
    prepared = prepare(load_recipe(tiny.config), offline=True)
    made = train_jobs(prepared, tiny.runs, [0, 1])
    for job in made:
        for run in job.runs:
            Path(run.folder).mkdir(parents=True)
    (tiny.folder / "logs").mkdir()
    return made


def test_a_crash_leaves_the_other_job_running(tiny, jobs):
    first = replace(jobs[0], train_path=str(tiny.folder / "gone.jsonl"))
    events = []
    executor = make("local", slots=2, offline=True, logs=tiny.folder / "logs")
    outcomes = executor.run([first, jobs[1]], 1, events.append)
    by_name = {outcome.job.name: outcome for outcome in outcomes}
    assert by_name["seed 0"].exit_code == 2
    assert "gone.jsonl: no such file" in by_name["seed 0"].message
    assert by_name["seed 1"].exit_code == 0
    assert (tiny.runs / "seed-1" / "run.json").is_file()
    assert any(event.kind == "crashed" for event in events)
    assert not list((tiny.folder / "logs").glob("*.job.json"))


def test_an_exception_of_the_listener_ends_every_job(tiny, jobs):
    class StopNowError(Exception):
        pass

    def stop(event):
        if event.kind == "witness":
            raise StopNowError

    executor = make("local", slots=2, offline=True, logs=tiny.folder / "logs")
    with pytest.raises(StopNowError):
        executor.run(jobs, 1, stop)
    assert not list(tiny.runs.rglob("run.json"))
    assert not list((tiny.folder / "logs").glob("*.job.json"))


def test_what_the_shell_sets_otherwise_is_told():
    pinned = pinned_environment(2, offline=True)
    assert pinned["OMP_NUM_THREADS"] == "2"
    assert pinned["HF_HUB_OFFLINE"] == "1"
    told = overridden(pinned, {"OMP_NUM_THREADS": "8", "PYTHONHASHSEED": "0", "PATH": "/bin"})
    assert [(entry.name, entry.found, entry.pinned) for entry in told] == [("OMP_NUM_THREADS", "8", "2")]
