"""action.yml, its steps executed as GitHub's runner would: job result, summary, annotations, outputs.

`version: installed` leaves the installation out, so that the gate that is tested is this very tree; what the step of
the installation asks pip for is tested by itself. `actions/setup-python` is not run.
"""

import json
import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml
from runner import Runner
from tiny import ROOT

from seedband import fit_band

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
WORKFLOWS = ROOT / ".github" / "workflows"
BINARIES = Path(sys.executable).parent
SLOW = partial(pytest.param, marks=pytest.mark.slow)
#: A `seedband` that only writes down how it was called.
RECORDER = f"""#!{sys.executable}
import json, sys
from pathlib import Path
Path("called.json").write_text(json.dumps(sys.argv[1:]))
"""


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "workspace"
    folder.mkdir()
    fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]}).save(folder / "band.json")
    return folder


@pytest.fixture
def first(tmp_path):
    """A folder that stands first on PATH."""
    (tmp_path / "first").mkdir()
    return tmp_path / "first"


@pytest.fixture
def gate(workspace, first, tmp_path):
    """The action, with the seedband of this tree installed."""
    environment = {
        "PATH": os.pathsep.join([str(first), str(BINARIES), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
    }
    temporary = tmp_path / "temporary files"
    temporary.mkdir()
    runner = Runner(ROOT, workspace, temporary, environment)

    def run(score=None, **inputs):
        if score is not None:
            (workspace / "new.csv").write_text(f"seed,accuracy\n9,{score}\n")
            inputs["scores"] = "new.csv"
        return runner.run(**{"version": "installed", "python_version": "", **inputs})

    return run


def put(folder, name, content):
    (folder / name).write_text(content)
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("score", "inputs", "green", "status", "code", "level", "why"),
    [
        (0.88, {}, True, "pass", "0", "notice", "inside the band, or better"),
        (0.869, {}, False, "suspect", "4", "warning", "below the band; 1 more seed, 2 at most"),
        (0.869, {"on_suspect": "pass"}, True, "suspect", "0", "warning", "below the band; 1 more seed, 2 at most"),
        (0.8, {"on_suspect": "pass"}, False, "fail", "1", "error", "candidate 1 of 1 collapsed"),
        ("nan", {}, False, "refused", "3", "error", "new.csv: "),
        SLOW(0.88, {"band": "none.json"}, False, "error", "2", "error", "none.json: no such file"),
        SLOW(0.869, {"rule": "range"}, False, "fail", "1", "error", "all of 1 below every baseline seed"),
        SLOW(0.88, {"alpha": "0.9"}, False, "error", "2", "error", "alpha 0.9 is outside"),
        (
            0.869,
            {"args": "--rule=range\n\n  --alpha=0.1  \n"},
            False,
            "fail",
            "1",
            "error",
            "all of 1 below every baseline seed",
        ),
    ],
)
def test_the_job_says_what_the_gate_said(gate, score, inputs, green, status, code, level, why):
    job = gate(score, **inputs)
    assert job.green == green, job.log
    assert job.ran == ["Judge", "Verdict"]
    assert (job.outputs["status"], job.outputs["exit-code"]) == (status, code)
    [(shown, title, message)] = job.annotations
    assert (shown, title) == (level, f"seedband: {status.upper()}")
    assert message.startswith(why)
    report = Path(job.outputs["report"]).read_text()
    assert report == f"<!-- seedband -->{job.summary}"
    assert job.summary.startswith(f"\n### seedband: {status.upper()}\n")
    told = json.loads(Path(job.outputs["json"]).read_text())
    assert (told["status"], told["exit_code"]) == (status, int(code))
    [suite] = JUnitXml.fromfile(job.outputs["junit"])
    assert (suite.failures + suite.errors == 0) == green


def test_several_candidates_are_several_words_whatever_they_are_called(gate, workspace, first):
    put(first, "seedband", RECORDER)
    candidates = ["runs/a b", "$(touch pwned)", '"; touch pwned; "', "`touch pwned`", "--strict", "c'd"]
    job = gate(
        candidate="\n".join(["", *candidates, "  "]) + "\n",
        band="$(touch pwned)",
        rule='";touch pwned',
        alpha="${PATH}",
        on_suspect="stop\ntouch pwned",
        args="--label=$(touch pwned)\n--jobs 2",
    )
    assert not list(workspace.rglob("pwned"))
    called = json.loads((workspace / "called.json").read_text())
    assert called[called.index("--") + 1 :] == candidates
    options = [word for word in called[: called.index("--")] if not word.startswith("--report=")]
    assert options == [
        "check", "--band=$(touch pwned)", "--on-suspect=stop\ntouch pwned", '--rule=";touch pwned', "--alpha=${PATH}",
        "--label=$(touch pwned)", "--jobs 2",
    ]  # fmt: skip
    assert not job.green


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("#!/bin/sh\nexit 0\n", "5"),
        ("#!/bin/sh\nkill -9 $$\n", "137"),
        ("#!/bin/sh\nexit 1\n", "1"),
        ("#!/none\n", "12"),
    ],
)
def test_nothing_passes_without_a_report_that_says_so(gate, first, script, code):
    put(first, "seedband", script)
    job = gate(0.88)
    assert not job.green
    assert job.outputs["status"] == "error"
    assert job.outputs["exit-code"].startswith(code)
    [(level, title, message)] = job.annotations
    assert (level, title) == ("error", "seedband: ERROR")
    assert "left no report: the log says why" in message
    assert (job.outputs["report"], job.outputs["json"]) == ("", "")


@pytest.mark.parametrize(
    ("told", "code"), [('{"status": "pass", "exit_code": 0}', 1), ('{"status": "fail"}', 0), ("[]", 0)]
)
def test_a_report_that_contradicts_the_exit_code_passes_nothing(gate, first, told, code):
    script = f"""#!/bin/bash
for word in "$@"; do case "$word" in --report=json=*) echo '{told}' > "${{word#--report=json=}}" ;; esac; done
exit {code}
"""
    put(first, "seedband", script)
    job = gate(0.88)
    assert not job.green
    assert (job.outputs["status"], job.outputs["exit-code"]) == ("error", str(code or 5))


def test_options_that_cannot_be_parsed_are_told(gate):
    job = gate(0.88, args="--bogus")
    assert (job.green, job.outputs["status"], job.outputs["exit-code"]) == (False, "error", "2")
    assert "No such option: --bogus" in job.log
    assert job.annotations[0][2] == "seedband ended with 2 and left no report: the log says why"


def test_modules_in_the_workspace_are_not_imported(gate, workspace):
    for name in ("json.py", "pathlib.py", "seedband.py"):
        (workspace / name).write_text("raise SystemExit(0)")
    assert gate(0.8).outputs["status"] == "fail"


def test_paths_start_from_the_working_directory(gate, workspace):
    (workspace / "models").mkdir()
    for name in ("band.json", "new.csv"):
        (workspace / "new.csv").write_text("seed,accuracy\n9,.88\n")
        (workspace / name).rename(workspace / "models" / name)
    assert gate(scores="new.csv", working_directory="models").outputs["status"] == "pass"


@pytest.mark.parametrize(
    ("version", "extras", "wanted"),
    [
        ("", "", str(ROOT)),
        ("", "text,judge", f"{ROOT}[text,judge]"),
        (".", "", "."),
        ("./vendor/seedband", "text", "./vendor/seedband[text]"),
        ("0.1.0", "", "seedband==0.1.0"),
        ("0.1.0", "text", "seedband[text]==0.1.0"),
        ("$(touch pwned)", "", "seedband==$(touch pwned)"),
    ],
)
def test_what_is_installed_is_what_was_asked_for(gate, workspace, first, version, extras, wanted):
    script = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
if sys.argv[1:3] != ["-I", "-m"]:
    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
Path("pip.json").write_text(json.dumps(sys.argv[1:]))
"""
    put(first, "python", script)
    put(first, "seedband", RECORDER)
    job = gate(0.88, version=version, extras=extras, python_version="3.12")
    assert job.used == ["actions/setup-python@v5"]
    assert job.ran[0] == "Install seedband"
    assert json.loads((workspace / "pip.json").read_text())[-2:] == ["--", wanted]
    assert not (workspace / "pwned").exists()


def test_without_an_installation_there_is_no_verdict(gate, first):
    put(first, "python", "#!/bin/sh\nexit 1\n")
    job = gate(0.88, version="0.1.0")
    assert (job.green, job.ran, job.outputs["status"]) == (False, ["Install seedband"], "")


def test_no_script_holds_what_users_give():
    workflows = list(WORKFLOWS.glob("*.yml"))
    assert {path.name for path in workflows} >= {"ci.yml", "gate.yml"}
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        if "run" in step and "\n" in step["run"]:
            assert step["run"].startswith("set -euo pipefail\n")
    for path in workflows:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
        steps = [step for job in described["jobs"].values() for step in job["steps"]]
        assert all("${{" not in step.get("run", "") for step in steps), path
        assert described["permissions"] == {"contents": "read"}, path


def test_every_input_is_used_and_every_input_that_is_used_is_there():
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text(encoding="utf-8")))
    assert used == set(ACTION["inputs"])


@pytest.mark.slow
def test_our_own_gate_passes_an_unchanged_recipe_and_stops_a_shuffled_one(gate, workspace):
    shutil.copytree(ROOT / "fixtures" / "gate", workspace / "fixtures" / "gate")
    jobs = yaml.safe_load((WORKFLOWS / "gate.yml").read_text(encoding="utf-8"))["jobs"]
    asked = {name: step["with"] for name, job in jobs.items() for step in job["steps"] if step.get("uses") == "./"}
    assert {name: given["version"] for name, given in asked.items()} == {"unchanged": ".", "shuffled": "."}
    told = {name: gate(**{**given, "version": "installed"}) for name, given in asked.items()}
    assert {name: (job.green, job.outputs["status"]) for name, job in told.items()} == {
        "unchanged": (True, "pass"),
        "shuffled": (False, "fail"),
    }


def test_our_own_tests_are_what_everybody_runs():
    described = yaml.safe_load((WORKFLOWS / "ci.yml").read_text(encoding="utf-8"))
    assert [step["run"] for step in described["jobs"]["test"]["steps"] if "run" in step] == ["make test"]
