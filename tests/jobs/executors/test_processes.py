"""How jobs are started: forked from a process that has imported everything, or spawned, to the same bits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import PATIENCE_S, ROOT, Tiny, gone, recipe_text

from seedband.commands.sweep.plan import train_jobs
from seedband.commands.sweep.prepare import prepare
from seedband.determinism.pins import pinned_environment
from seedband.determinism.settings import DeterminismSection
from seedband.jobs.executors import local, make, processes
from seedband.jobs.executors.processes import Launcher, may_fork
from seedband.jobs.kinds.probe import ProbeJob
from seedband.jobs.kinds.score import ScoreJob
from seedband.jobs.score import ScoreTarget
from seedband.jobs.spec import write_job
from seedband.models.recognise import recognise
from seedband.recipe.parse import load_recipe
from seedband.runs.layout import SCORES
from seedband.runs.run_file import read_run
from seedband.storage import json_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux only")

#: A launcher that imports nothing, and whose jobs are lines of Python.
LAUNCHER = """
import os, sys
from pathlib import Path
from seedband.jobs import launcher

def work(arguments):
    exec(Path(arguments[0]).read_text(), {"parent": int(arguments[1])})
    return 0

launcher._import_libraries = lambda: (__import__('numpy'), os.environ.update(TORCH_IMPORTED="1"))
launcher._finds_gpu = lambda: True
launcher.why_not = lambda: os.environ.get("WHY_NOT", "")
launcher.worker.main = work
if __name__ == "__main__":
    sys.exit(launcher.main(sys.argv[1:]))
"""


class Bench:
    """Starts lines of Python as jobs of a launcher."""

    def __init__(self, folder: Path, **variables: str) -> None:
        (folder / "own_launcher.py").write_text(LAUNCHER)
        environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", **variables}
        self.folder, self.number = folder, 0
        self.launcher = Launcher(environment, folder / "launcher.log", "own_launcher")

    def start(self, code: str):
        self.number += 1
        file = self.folder / f"{self.number}.py"
        file.write_text(code)
        with (self.folder / f"{self.number}.log").open("w") as log:
            return self.launcher.start(file, "cpu", log)


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.launcher.close()


def read(process) -> str:
    with process.stdout as stream:
        return stream.read()


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("print('all is well', flush=True)", 0),
        ("raise SystemExit(3)", 3),
        ("raise ValueError('in the log')", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os._exit(7)", 7),
    ],
)
def test_how_a_job_ends_is_told_as_of_a_child(bench, code, ends):
    process = bench.start(code)
    assert (process.wait(), read(process)) == (ends, "all is well\n" if ends == 0 else "")
    assert ("ValueError: in the log" in (bench.folder / "1.log").read_text()) == (ends == 1)


def test_a_job_is_alone(bench):
    """Of a session of its own, with the log as its standard error, and no file but its own."""
    waits = bench.start("import time; time.sleep(600)")
    code = """
import json, os, sys
files = ["/proc/self/fd/" + file for file in os.listdir("/proc/self/fd")]
links = [os.readlink(file) for file in files if os.path.islink(file)]
print(json.dumps([os.getsid(0) == os.getpid(), os.getppid() == parent, len(sys.argv), links]), flush=True)
"""
    process = bench.start(code)
    *alone, links = json.loads(read(process))
    assert alone == [True, True, 3]
    assert {link.partition(":")[0] for link in links} == {"/dev/null", "pipe", str(bench.folder / "2.log")}
    assert len(links) == 3
    waits.kill()
    assert waits.wait() == -signal.SIGKILL
    read(waits)


def test_jobs_run_side_by_side_and_are_ended_one_by_one(bench):
    first, second = (bench.start("import time; print('on', flush=True); time.sleep(600)") for _ in range(2))
    assert first.stdout.readline() == second.stdout.readline() == "on\n"
    first.terminate()
    assert first.wait(PATIENCE_S) == -signal.SIGTERM
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.1)
    second.kill()
    assert second.wait(PATIENCE_S) == -signal.SIGKILL
    first.kill()  # which has no one to hit any more
    for process in (first, second):
        read(process)


def test_no_two_jobs_draw_the_same_where_nothing_is_seeded(bench):
    code = "import random, numpy; print(random.random(), numpy.random.random(), flush=True)"
    drawn = [read(bench.start(code)).split() for _ in range(2)]
    assert not {*drawn[0]} & {*drawn[1]}


def test_left_alone_a_launcher_ends_with_its_jobs(bench):
    process = bench.start("import os, time; print(os.getpid(), parent, flush=True); time.sleep(600)")
    pids = process.stdout.readline().split()
    bench.launcher.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert process.wait() == -signal.SIGKILL
    read(process)


def test_a_launcher_that_dies_takes_its_jobs_along_and_is_asked_no_more(bench):
    process = bench.start("import os, time; print(os.getpid(), parent, flush=True); time.sleep(600)")
    pid, launcher = map(int, process.stdout.readline().split())
    os.kill(launcher, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert gone(pid)
    assert bench.start("pass") is None
    read(process)


def test_nothing_outlives_a_process_that_is_killed(tmp_path):
    (tmp_path / "own_launcher.py").write_text(LAUNCHER)
    (tmp_path / "job.py").write_text("import os, time; print(os.getpid(), parent, flush=True); time.sleep(600)")
    code = """
import os, pathlib
from seedband.jobs.executors.processes import Launcher
here = pathlib.Path()
launcher = Launcher(os.environ, here / "launcher.log", "own_launcher")
process = launcher.start(here / "job.py", "cpu", (here / "log").open("w"))
print(process.stdout.readline(), flush=True)
process.wait()
"""
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        pids = list(map(int, parent.stdout.readline().split()))
        parent.kill()
    assert len(pids) == 2
    assert all(map(gone, pids))


def test_where_forking_is_not_safe_there_is_no_fork(tmp_path):
    bench = Bench(tmp_path, WHY_NOT="imports started 1 thread")
    assert [bench.start("pass"), bench.start("pass")] == [None, None]
    bench.launcher.close()
    assert "every job gets a process of its own: imports started 1 thread" in (tmp_path / "launcher.log").read_text()


def test_a_launcher_that_cannot_import_forks_nothing(tmp_path):
    bench = Bench(tmp_path, PYTHONPATH=str(ROOT))
    assert bench.start("pass") is None
    bench.launcher.close()


def test_a_launcher_ends_while_it_imports(tmp_path, monkeypatch):
    slow = LAUNCHER.replace("__import__('numpy')", "__import__('time').sleep(600)")
    assert slow != LAUNCHER
    bench = Bench(tmp_path)
    bench.launcher.close()
    (tmp_path / "own_launcher.py").write_text(slow)
    bench.launcher = Launcher({**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}, tmp_path / "log", "own_launcher")
    monkeypatch.setattr(processes, "GRACE_S", 120.0)
    before = time.monotonic()
    bench.launcher.close()
    assert time.monotonic() - before < 120


def test_a_job_that_finds_a_gpu_goes_on_in_a_python_of_its_own(tmp_path):
    section = DeterminismSection()
    bench = Bench(tmp_path, **pinned_environment(section, offline=True))
    write_job(tmp_path / "job.json", ProbeJob("cpu", section))
    with (tmp_path / "job.log").open("w") as log:
        process = bench.launcher.start(tmp_path / "job.json", "auto", log)
    probed, done = map(json.loads, read(process).splitlines())
    assert (process.wait(), done["kind"]) == (0, "done"), (tmp_path / "job.log").read_text()
    assert "TORCH_IMPORTED" not in probed["content"]["pins"]["environment"]
    bench.launcher.close()


@pytest.fixture
def prepared(tiny):
    tiny.config.write_text(recipe_text(train_epochs="1"), encoding="utf-8")
    return prepare(load_recipe(tiny.config), offline=True)


def test_what_forking_cannot_serve_is_not_tried(tiny, prepared, monkeypatch):
    monkeypatch.setattr(processes, "GPUS", ())
    (job,) = train_jobs(prepared, tiny.runs, [0])
    assert may_fork(job)
    recipe = job.recipe
    assert not may_fork(replace(job, recipe=replace(recipe, determinism=DeterminismSection(threads=2))))
    assert not may_fork(replace(job, recipe=replace(recipe, train=replace(recipe.train, device="cuda"))))
    assert not may_fork(ProbeJob("cpu", DeterminismSection()))
    monkeypatch.setattr(processes, "GPUS", ("/dev/null",))
    assert not may_fork(job)
    assert may_fork(replace(job, recipe=replace(recipe, train=replace(recipe.train, device="cpu"))))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(processes, "GPUS", ())
    assert not may_fork(job)


def carry_out(tiny, prepared, place, seeds):
    """Train seeds and score the last of them once more, all by one executor; whether jobs were forked."""
    folder, events = tiny.folder / place, []
    (folder / "logs").mkdir(parents=True)
    jobs = train_jobs(prepared, folder, seeds)
    runs = [run for job in jobs for run in job.runs]
    for run in runs:
        Path(run.folder).mkdir(parents=True)
    with make("local", slots=1, offline=True) as executor:
        outcomes = executor.run(jobs, folder / "logs", events.append)
        files = recognise(Path(runs[-1].folder), "the last")
        target = ScoreTarget(files, str(folder / "again"))
        section = prepared.recipe.determinism
        outcomes += executor.run([ScoreJob(prepared.scoring, (target,), section)], folder, events.append)
        launchers = len(executor._launchers)
    assert [outcome.message for outcome in outcomes] == [""] * len(outcomes)
    return {event.content["forked"] for event in events if event.kind == "job"}, launchers


def told(tiny, place, seed):
    """Everything on record of a run and of its second scoring, but how long it took and where it lies."""
    run = read_run(tiny.folder / place / f"seed-{seed}")
    scored = json_files.read_json(tiny.folder / place / "again" / SCORES, "scores")
    record = {key: value for key, value in run.record.items() if key != "train_seconds"}
    return json.dumps([record, scored], sort_keys=True).replace(f"{tiny.folder}/{place}", "")


def assert_equal_forked_and_spawned(tiny, prepared, monkeypatch):
    monkeypatch.setattr(processes, "GPUS", ())
    assert carry_out(tiny, prepared, "forked", [0, 1]) == ({True}, 1)
    monkeypatch.setattr(local, "may_fork", lambda _: False)
    assert carry_out(tiny, prepared, "spawned", [1]) == ({False}, 0)
    assert json.loads(told(tiny, "forked", 1)) == json.loads(told(tiny, "spawned", 1))
    weights = [tiny.folder / place / "seed-1" for place in ("forked", "spawned")]
    (first,), (second,) = ([path.read_bytes() for path in folder.glob("*.safetensors")] for folder in weights)
    assert first == second


def test_a_job_comes_to_the_same_forked_and_spawned(tiny, prepared, monkeypatch):
    assert_equal_forked_and_spawned(tiny, prepared, monkeypatch)


@pytest.mark.slow
def test_a_group_of_heads_comes_to_the_same_forked_and_spawned(tiny, monkeypatch):
    tiny.config.write_text(recipe_text(train_method='"head"', train_epochs="2"), encoding="utf-8")
    assert_equal_forked_and_spawned(tiny, prepare(load_recipe(tiny.config), offline=True), monkeypatch)


@pytest.mark.slow
def test_a_language_model_comes_to_the_same_forked_and_spawned(tiny_generation, tmp_path, monkeypatch):
    tiny = Tiny(Path(shutil.copytree(tiny_generation.folder, tmp_path / "tiny")))
    assert_equal_forked_and_spawned(tiny, prepare(load_recipe(tiny.config), offline=True), monkeypatch)
