"""docs/how-to/ci.md: its files are read by what they are for, its scripts are run, its commands print what it shows."""

import json
import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml
from runner import Runner
from tiny import ROOT

from seedband import fit_band

PAGE = (ROOT / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)
FILES = {title: content for _, title, content in BLOCKS if title}
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "COLUMNS": "110",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "LANG": "C.UTF-8",
}
SLOW = partial(pytest.param, marks=pytest.mark.slow)
#: Stands in for GitHub's command line: tells which comment is there, and keeps what it was asked.
GH = """#!/bin/bash
case "$*" in
  *--paginate*) printf "%s" "$OLD" ;;
  *) printf "%s\\n" "$@" > asked.txt ;;
esac
"""


@pytest.fixture
def folder(tmp_path):
    """The files of the page, and its band."""
    for title, content in FILES.items():
        (tmp_path / title).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / title).write_text(content, encoding="utf-8")
    fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]}).save(tmp_path / "band.json")
    return tmp_path


def typed(command, folder, **variables):
    """Exit code and both streams of a command, as a pipeline's shell runs it."""
    done = subprocess.run(
        ["bash", "-e", "-c", f"exec 2>&1\n{command}"],
        cwd=folder, env={**ENVIRONMENT, **variables}, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def scored(folder, score):
    (folder / "scores" / "new.csv").write_text(f"seed,accuracy\n9,{score}\n")


def test_commands_print_what_the_page_shows(folder):
    (folder / "band.json").unlink()
    shown = "".join(content for language, _, content in BLOCKS if language == "console")
    commands = re.findall(r"^\$ (.*)$", shown, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        code, text = typed(command, folder)
        ended = f"exit {code}\n" if code else ""
        printed = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
        assert f"$ {command}\n{printed}{ended}" in shown


def test_every_yaml_block_is_yaml():
    blocks = [(title, content) for language, title, content in BLOCKS if language == "yaml"]
    assert len(blocks) == 4
    for title, content in blocks:
        assert isinstance(yaml.safe_load(content), dict), title


@pytest.mark.parametrize(
    ("old", "method", "place"), [("", "POST", "issues/7/comments"), ("42", "PATCH", "comments/42")]
)
def test_the_workflow_keeps_one_comment(folder, old, method, place):
    scored(folder, 0.869)
    [gate, comment] = yaml.safe_load(FILES[".github/workflows/gate.yml"])["jobs"]["gate"]["steps"][1:]
    (folder / "temporary").mkdir()
    environment = {name: ENVIRONMENT[name] for name in ("PATH", "PYTHONPATH")}
    runner = Runner(ROOT, folder, folder / "temporary", environment)
    given = {name.replace("-", "_"): value for name, value in gate["with"].items()}
    job = runner.run(**given, version="installed", python_version="")
    assert job.green, job.log
    assert job.outputs["status"] == "suspect"
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    assert "${{" not in comment["run"]
    assert comment["env"]["REPORT"] == "${{ steps.gate.outputs.report }}"
    variables = {"PATH": f"{folder}:{ENVIRONMENT['PATH']}", "GITHUB_REPOSITORY": "o/r", "PULL": "7", "OLD": old}
    code, text = typed(comment["run"], folder, REPORT=job.outputs["report"], **variables)
    assert code == 0, text
    asked = (folder / "asked.txt").read_text().splitlines()
    assert asked[:3] == ["api", "--method", method]
    assert asked[3].startswith("repos/o/r/issues/")
    assert asked[3].endswith(place)
    assert asked[-1] == f"body=@{job.outputs['report']}"
    assert Path(job.outputs["report"]).read_text().startswith("<!-- seedband -->\n### seedband: SUSPECT\n")


@pytest.mark.parametrize(("score", "code"), [SLOW(0.88, 0), (0.869, 4), SLOW(0.8, 1)])
def test_pipelines_stop_as_the_page_says(folder, score, code):
    scored(folder, score)
    gitlab = yaml.safe_load(FILES[".gitlab-ci.yml"])["gate"]
    pip, command = gitlab["script"]
    assert pip.startswith("pip install")
    assert typed(command, folder)[0] == code
    assert gitlab["allow_failure"] == {"exit_codes": [4]}
    [suite] = JUnitXml.fromfile(str(folder / gitlab["artifacts"]["reports"]["junit"]))
    assert suite.failures == (code != 0)
    assert json.loads((folder / gitlab["artifacts"]["paths"][0]).read_text())["exit_code"] == code

    [hook] = yaml.safe_load(FILES[".pre-commit-config.yaml"])["repos"][0]["hooks"]
    assert typed(shlex.join(shlex.split(hook["entry"])), folder)[0] == code
    assert re.search(hook["files"], "scores/new.csv")
    assert not re.search(hook["files"], "scores/new_csv")


def test_jenkins_make_and_plain_github_run_what_the_page_says(folder):
    scored(folder, 0.8)
    (command,) = re.findall(r"sh '(.*)'", FILES["Jenkinsfile"])
    (report,) = re.findall(r"junit '(.*)'", FILES["Jenkinsfile"])
    assert typed(command, folder)[0] == 1
    assert len(JUnitXml.fromfile(str(folder / report))) == 1
    assert typed("make gate", folder)[0] == 2
    assert json.loads((folder / "gate.json").read_text())["exit_code"] == 1
    (plain,) = [content for language, title, content in BLOCKS if language == "yaml" and not title]
    command = yaml.safe_load(plain)["jobs"]["gate"]["steps"][-1]["run"]
    code, text = typed(command, folder, GITHUB_STEP_SUMMARY=str(folder / "summary.md"))
    assert code == 1
    assert text.splitlines()[-1].startswith("::error title=seedband%3A FAIL::")
    assert "### seedband: FAIL" in (folder / "summary.md").read_text()


def test_every_input_and_output_of_the_action_stands_on_the_page():
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    for name in (*action["inputs"], *action["outputs"]):
        assert f"`{name}`" in PAGE, name
