"""The local executor: environment, crashes, and an end for every child."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from seedband.commands.sweep.plan import train_jobs
from seedband.commands.sweep.prepare import prepare
from seedband.determinism.pins import overridden, pinned_environment
from seedband.determinism.settings import DeterminismSection
from seedband.jobs.executors import local, make
from seedband.jobs.executors.local import _Child, _message
from seedband.jobs.spec import write_job
from seedband.recipe.parse import load_recipe


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
    with make("local", slots=2, offline=True) as executor:
        outcomes = executor.run([first, jobs[1]], tiny.folder / "logs", events.append)
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

    def endless(job):
        return replace(job, recipe=replace(job.recipe, train=replace(job.recipe.train, epochs=10_000)))

    with make("local", slots=2, offline=True) as executor, pytest.raises(StopNowError):
        executor.run([endless(job) for job in jobs], tiny.folder / "logs", stop)
    assert not list(tiny.runs.rglob("run.json"))
    assert not list((tiny.folder / "logs").glob("*.job.json"))


def test_an_interruption_during_imports_leaves_no_job_behind(tiny, jobs, monkeypatch):
    class Importing(local.Launcher):
        def hear(self, timeout=None):
            raise KeyboardInterrupt

    monkeypatch.setattr(local, "Launcher", Importing)
    monkeypatch.setattr(local, "may_fork", lambda _: True)
    with make("local", slots=1, offline=True) as executor, pytest.raises(KeyboardInterrupt):
        executor.run(jobs, tiny.folder / "logs", lambda _: None)
    assert not list((tiny.folder / "logs").glob("*.job.json"))


def test_what_the_shell_sets_otherwise_is_told():
    pinned = pinned_environment(DeterminismSection(threads=2), offline=True)
    assert pinned["OMP_NUM_THREADS"] == "2"
    assert pinned["HF_HUB_OFFLINE"] == "1"
    told = overridden(pinned, {"OMP_NUM_THREADS": "8", "PYTHONHASHSEED": "0", "PATH": "/bin"})
    assert [(entry.name, entry.found, entry.pinned) for entry in told] == [("OMP_NUM_THREADS", "8", "2")]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells that a parent died")
def test_job_whose_parent_died_before_it_began_does_nothing(tiny, jobs):
    write_job(tiny.folder / "job.json", jobs[0])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-P", "-m", "seedband.jobs.worker", str(tiny.folder / "job.json"), str(gone.pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stdout) == (-9, "")
    assert not list(Path(jobs[0].runs[0].folder).iterdir())


def test_what_a_crash_said_last_is_short_and_holds_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("STORE_PASSWORD", "hunter2-hunter2")
    log = tmp_path / "job.log"
    log.write_bytes(b"first line\n" * 10_000 + b"https://me:hunter2-hunter2@store/ " + b"x" * 10_000 + b"\n\n")
    child = _Child(None, None, log, log)
    assert _message(1, child) == ("https://me:[STORE_PASSWORD]@store/ " + "x" * 300)[:300]
    assert _message(-40, child) == "killed by signal 40"
    log.write_text("")
    assert _message(7, child) == "ended with exit code 7"
