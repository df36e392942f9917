"""Children of a job: pinned as it is, heard, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from holding import wait_until
from tiny import PATIENCE_S, ROOT, gone

from seedband.determinism import subprocesses
from seedband.determinism.pins import inherited, pinned_environment
from seedband.determinism.settings import DeterminismSection
from seedband.determinism.subprocesses import ask, killed_by
from seedband.errors import Refused, UsageError, WorkFailed

CHILD = """
import os, signal, subprocess, sys, time
from seedband.determinism.subprocesses import answer
from seedband.errors import Refused, UsageError

def reply(request):
    print("heard", request["what"], os.environ.get("OWN_API_KEY"))
    if request["what"] == "mistake":
        raise UsageError("limit: found 0", hint="say more")
    if request["what"] == "refusal":
        raise Refused("no model of that kind")
    if request["what"] == "leaves":
        left = subprocess.Popen([sys.executable, "-c", request["code"]], start_new_session=request["apart"])
        open(request["file"], "w").write(str(left.pid))
    if request["what"] == "crash":
        print("line before", file=sys.stderr)
        raise RuntimeError(os.environ["OWN_API_KEY"])
    if request["what"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if request["what"] == "wait":
        open(request["file"], "w").write(str(os.getpid()))
        time.sleep(600)
    return {"variables": {name: os.environ.get(name) for name in request["names"]}}

sys.exit(answer(sys.argv[1:], reply))
"""


@pytest.fixture
def child(monkeypatch, tmp_path) -> str:
    (tmp_path / "own_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setenv("OWN_API_KEY", "sk-SECRETOFCHILD")
    return "own_child"


def test_a_child_answers_pinned_as_its_parent_is(child, monkeypatch):
    for name, value in pinned_environment(DeterminismSection(threads=2, portable=True), offline=True).items():
        monkeypatch.setenv(name, value)
    log = StringIO()
    names = ["OMP_NUM_THREADS", "MKL_CBWR", "HF_HUB_OFFLINE", "PYTHONHASHSEED", "OWN"]
    said = ask(child, {"what": "all", "names": names}, "own", {"OWN": "1"}, log)
    assert said["variables"] == dict(zip(names, ["2", "AVX2,STRICT", "1", "0", "1"], strict=True))
    assert log.getvalue() == "heard all [OWN_API_KEY]\n"


def test_a_child_is_pinned_where_its_parent_is_not(child, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    said = ask(child, {"what": "all", "names": ["PYTHONHASHSEED", "HF_HUB_OFFLINE"]}, "own", {})
    assert said["variables"] == {"PYTHONHASHSEED": "0", "HF_HUB_OFFLINE": None}


def test_a_mistake_is_the_childs_own(child):
    with pytest.raises(UsageError, match="own: limit: found 0") as caught:
        ask(child, {"what": "mistake"}, "own", {})
    assert caught.value.hint == "say more"


def test_a_refusal_of_a_child_is_one(child):
    with pytest.raises(Refused, match="own: no model of that kind"):
        ask(child, {"what": "refusal"}, "own", {})


@pytest.mark.parametrize("says", ["import time; time.sleep(3600)", "while True: print('and on', flush=True)"])
@pytest.mark.parametrize("apart", [False, True])
def test_what_a_child_leaves_behind_keeps_nobody_waiting(child, monkeypatch, tmp_path, says, apart):
    monkeypatch.setattr(subprocesses, "LAST_WORDS_S", 1.0)
    request = {"what": "leaves", "code": says, "apart": apart, "file": str(tmp_path / "pid"), "names": []}
    before = time.monotonic()
    try:
        assert ask(child, request, "own", {}) == {"variables": {}}
        assert time.monotonic() - before < 120
        left = int((tmp_path / "pid").read_text())
        assert apart or gone(left)  # out of its group it is none of ours
    finally:
        if apart:
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_crash_is_told_by_its_last_lines_without_secrets(child):
    log = StringIO()
    with pytest.raises(WorkFailed) as caught:
        ask(child, {"what": "crash"}, "own", {}, log)
    assert caught.value.message.startswith("own crashed (exit code 1): ")
    assert caught.value.message.endswith("RuntimeError: [OWN_API_KEY]")
    assert "line before" in log.getvalue()
    assert "SECRET" not in log.getvalue()


def test_a_child_that_is_killed_is_told_so(child):
    with pytest.raises(WorkFailed, match=r"own crashed \(killed by SIGKILL, which is how Linux"):
        ask(child, {"what": "killed"}, "own", {})
    assert killed_by(200) == "killed by signal 200"


def later_once(monkeypatch, condition) -> None:
    """From when a condition holds, hours pass between two looks of who watches children."""
    hours = []

    def monotonic():
        hours.extend([9999.0] if condition() else [])
        return time.monotonic() + sum(hours)

    monkeypatch.setattr(subprocesses, "time", SimpleNamespace(monotonic=monotonic))


def test_a_child_that_falls_silent_is_ended(child, monkeypatch, tmp_path):
    pid = tmp_path / "pid"
    later_once(monkeypatch, lambda: pid.is_file() and pid.read_text())
    with pytest.raises(WorkFailed, match="own said nothing for 3600 s, and was ended"):
        ask(child, {"what": "wait", "file": str(pid)}, "own", {})
    assert gone(int(pid.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="parents are watched by the kernel of Linux")
def test_a_child_does_not_outlive_its_parent(child, tmp_path):
    request = {"what": "wait", "file": str(tmp_path / "pid")}
    code = f"from seedband.determinism.subprocesses import ask; ask('own_child', {json.dumps(request)}, 'own', {{}})"
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text(), parent)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert gone(int(Path(tmp_path / "pid").read_text()))


@pytest.mark.parametrize("section", [DeterminismSection(), DeterminismSection(threads=3, portable=True)])
def test_a_section_is_read_back_from_what_a_job_was_started_with(section):
    assert inherited(pinned_environment(section, offline=False)) == section
    assert inherited({"OMP_NUM_THREADS": "many"}) == DeterminismSection()


#: Starts a process of its own, says so, and goes on for ever; told to end, it says that, too.
LASTING = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("asked to end", flush=True), sys.exit(3)))
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("processes", os.getpid(), left.pid)
time.sleep(600)
"""


def attended(tmp_path, code, **options):
    heard = []
    script = tmp_path / "script.py"
    script.write_text(code)
    return subprocesses.attend([sys.executable, "script.py"], tmp_path, "the command", heard.append, **options), heard


def test_a_command_is_heard_line_by_line_without_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("OWN_API_KEY", "sk-SECRETOFSCRIPT")
    code = "import os, sys; print('one'); print(os.environ['OWN_API_KEY'], file=sys.stderr); print(os.getcwd())"
    told, heard = attended(tmp_path, code)
    assert told == ""
    assert sorted(heard) == sorted(["one", "[OWN_API_KEY]", str(tmp_path)])


def test_lines_of_a_command_come_while_it_runs(tmp_path):
    go_on = tmp_path / "go-on"
    code = f"import pathlib, time\nprint('waits')\nwhile not pathlib.Path({str(go_on)!r}).exists(): time.sleep(.05)"
    script = tmp_path / "script.py"
    script.write_text(code)
    told = subprocesses.attend(
        [sys.executable, "script.py"], tmp_path, "it", lambda _: go_on.touch(), timeout_s=PATIENCE_S
    )
    assert told == ""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('a'); print('b'); raise SystemExit(7)", "the command ended with exit code 7 / a / b"),
        ("import os; os.kill(os.getpid(), 15)", "the command was killed by SIGTERM"),
    ],
)
def test_a_command_that_fails_is_told_with_its_last_lines(tmp_path, code, told):
    assert attended(tmp_path, code)[0] == told


def test_a_program_that_cannot_be_started_is_told(tmp_path):
    told = subprocesses.attend(["no-such-program-here"], tmp_path, "the command", lambda _: None)
    assert told == "the command ended with exit code 127 / no-such-program-here: No such file or directory"


def test_a_command_that_takes_too_long_is_asked_to_end_and_ended_with_what_it_started(tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text(LASTING)
    heard = []
    later_once(monkeypatch, lambda: heard)
    command = [sys.executable, "script.py"]
    told = subprocesses.attend(command, tmp_path, "the command", heard.append, timeout_s=PATIENCE_S)
    assert told == "the command was still running after 600 s, and was ended"
    assert [gone(int(pid)) for pid in heard[0].split()[1:]] == [True, True]


def test_what_a_command_leaves_behind_is_ended(tmp_path):
    told, heard = attended(tmp_path, LASTING.rpartition("time.sleep(600)")[0])
    assert told == ""
    assert gone(int(heard[0].split()[2]))


def test_a_command_and_what_it_started_end_with_a_job_that_is_killed(tmp_path):
    (tmp_path / "script.py").write_text(LASTING)
    code = "import sys, pathlib; from seedband.determinism.subprocesses import attend; "
    code += "say = lambda line: print(line, flush=True); "
    code += "attend([sys.executable, 'script.py'], pathlib.Path(), 'the command', say)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    job = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    with job:
        pids = [int(pid) for pid in job.stdout.readline().split()[1:]]
        assert not any(not Path(f"/proc/{pid}").exists() for pid in pids)
        job.kill()
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)
