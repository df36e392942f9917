"""`seedband check --report`: files for other tools, whatever happened, and exit codes that they cannot turn green."""

import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from junitparser import JUnitXml
from tiny import ROOT, Result, run_cli

from seedband import fit_band
from seedband.cli import app, errors
from seedband.commands.scores import from_file

BAND = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]})
KINDS = {"json": "r.json", "junit": "r.xml", "github": "comment.md", "markdown": "r.md"}
EVERY = [word for kind, file in KINDS.items() for word in ("--report", f"{kind}={file}")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the command line runs in this process, as if typed there."""
    BAND.save(tmp_path / "band.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(errors, "ENDING", [])
    return tmp_path


@pytest.fixture
def check(monkeypatch, capsys):
    def run(score, *flags, name="new.csv"):
        Path(name).write_text(f"seed,accuracy\n9,{score}\n")
        words = ["check", "--scores", name, *flags]
        monkeypatch.setattr("sys.argv", ["seedband", *words])
        code = app(words, standalone_mode=False)
        return Result(code, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("score", "code", "status"), [(0.88, 0, "pass"), (0.8, 1, "fail"), (0.869, 4, "suspect"), ("nan", 3, "refused")]
)
def test_every_outcome_is_told_in_every_report(folder, check, score, code, status):
    done = check(score, *EVERY, "--json")
    assert done.code == code, done.err
    told = json.loads(done.out)
    assert (told["status"], told["exit_code"]) == (status, code)
    assert json.loads((folder / "r.json").read_text()) == told
    [suite] = JUnitXml.fromfile(str(folder / "r.xml"))
    assert (suite.failures, suite.errors) == ({"fail": 1, "suspect": 1}.get(status, 0), int(status == "refused"))
    assert (folder / "comment.md").read_text().startswith(f"<!-- seedband -->\n### seedband: {status.upper()}\n")
    assert (folder / "r.md").read_text().startswith(f"### seedband: {status.upper()}\n")
    assert [line for line in done.err.splitlines() if line.startswith("::")]


def test_a_suspect_that_is_let_through_is_still_one(folder, check):
    done = check(0.869, *EVERY, "--on-suspect", "pass")
    assert done.code == 0, done.err
    assert "SUSPECT: below the band; 1 more seed, 2 at most" in done.out
    assert "hint: 1 more seed, 2 at most: train and score it as the others" in done.err
    told = json.loads((folder / "r.json").read_text())
    assert (told["status"], told["exit_code"]) == ("suspect", 0)
    assert told["next"].startswith("1 more seed")
    [suite] = JUnitXml.fromfile(str(folder / "r.xml"))
    assert (suite.failures, suite.skipped) == (0, 1)
    assert check(0.869, "--on-suspect", "stop").code == 4
    assert check(0.8, "--on-suspect", "pass").code == 1
    assert check("nan", "--on-suspect", "pass").code == 3
    wrong = check(0.88, "--on-suspect", "warn", "--report", "json=r.json")
    assert wrong.code == 2
    assert json.loads((folder / "r.json").read_text())["message"] == "--on-suspect warn: expected stop or pass"


@pytest.mark.parametrize(("score", "code"), [(0.88, 5), (0.8, 1), ("nan", 3)])
def test_a_report_that_cannot_be_written_is_told_and_the_others_are_there(folder, check, score, code):
    (folder / "file").write_text("")
    done = check(score, "--report", "junit=file/r.xml", *EVERY)
    assert done.code == code
    assert "error: cannot write file/r.xml" in done.err
    assert "false-alarm rate:" in done.out or score == "nan"
    assert json.loads((folder / "r.json").read_text())["exit_code"] == code
    assert all((folder / file).is_file() for file in KINDS.values())


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (ZeroDivisionError("half"), 5, "a bug in seedband: ZeroDivisionError: half"),
        (OSError(28, "No space left on device", "x"), 5, "x: No space left on device"),
        (
            KeyboardInterrupt("SIGTERM"),
            130,
            "ended by SIGTERM; what was finished is kept, and the same command goes on",
        ),
        (MemoryError(), 5, "a bug in seedband: MemoryError: "),
    ],
)
def test_what_nobody_expects_is_reported_too(folder, monkeypatch, capsys, raised, code, told):
    def ended(*_, **__):
        raise raised

    monkeypatch.setattr(from_file, "check_scores", ended)
    (folder / "r.json").write_text('{"format": "seedband.report", "status": "pass"}')
    assert app(["check", "--scores", "new.csv", *EVERY], standalone_mode=False) == code
    report = json.loads((folder / "r.json").read_text())
    assert (report["status"], report["exit_code"], report["message"]) == ("error", code, told)
    [suite] = JUnitXml.fromfile(str(folder / "r.xml"))
    assert suite.errors == 1
    assert told.strip() in capsys.readouterr().err


@pytest.mark.parametrize("place", ["seedband.reports.junit._add_properties", "seedband.cli.console.print_verdict"])
def test_a_bug_in_telling_it_leaves_no_report_that_passes(folder, check, monkeypatch, place):
    def broken(*_, **__):
        raise ZeroDivisionError("half")

    monkeypatch.setattr(place, broken)
    done = check(0.88, *EVERY)
    assert done.code == 5
    assert "error: a bug in seedband: ZeroDivisionError: half" in done.err
    report = json.loads((folder / "r.json").read_text())
    assert (report["status"], report["exit_code"]) == ("error", 5)
    assert (folder / "comment.md").read_text().startswith("<!-- seedband -->\n### seedband: ERROR\n")
    assert (folder / "r.xml").exists() == ("junit" not in place)


def test_the_summary_of_a_job_gets_what_the_comment_says(folder, check, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    done = check(0.8, "--report", "github=c.md")
    assert done.code == 1, done.err
    assert f"<!-- seedband -->{(folder / 'summary.md').read_text()}" == (folder / "c.md").read_text()
    told = done.err.splitlines()[-1]
    assert told.startswith("::error title=seedband%3A FAIL::candidate 1 of 1 collapsed%0Anext: see what it is held ag")
    assert "::" not in check(0.8).err


def test_a_fail_says_what_to_run_next_wherever_it_is_told(folder, check):
    done = check(0.8, *EVERY, "--report", "html=r.html")
    following = json.loads((folder / "r.json").read_text())["next"]
    assert following == (
        "see what it is held against: seedband show band.json, or if the change is meant: score its seeds, and make a "
        "new band with seedband band"
    )
    assert f"hint: {following}" in done.err
    for file in ("r.xml", "r.md", "comment.md"):
        assert following in (folder / file).read_text()
    assert "or if the change is meant: score its seeds" in (folder / "r.html").read_text()
    assert json.loads(check(0.88, "--json").out)["next"] == ""


def test_a_name_that_drives_terminals_and_pages_is_shown(folder, check):
    name = "a|b`<script>@team\u202e.csv"
    done = check(0.88, *EVERY, name=name)
    assert done.code == 0, done.err
    for file in KINDS.values():
        assert "\u202e" not in (folder / file).read_text()
    assert r"a\|b\`&lt;script&gt;@&#8203;team\\u202e.csv" in (folder / "r.md").read_text()
    done = run_cli("check", "--scores", (folder / name).rename(os.fsdecode(b"\xff.csv")), *EVERY, cwd=folder)
    assert done.code == 0, done.err


def test_the_next_command_leaves_reports_to_the_pipeline(folder, check):
    done = check(0.869, "--report=json=r.json", "--report", "junit=r.xml", "--json", "--alpha", ".05")
    assert json.loads(done.out)["next"].endswith("then seedband check --scores new.csv --json --alpha .05 --looks 1")
    assert "--report=json=r.json --report junit=r.xml" in json.loads(done.out)["command"]


@pytest.mark.slow
def test_a_checkpoint_is_told_with_its_seed_and_slices(swept):
    done = run_cli("check", "runs/seed-2", *EVERY, "-q", cwd=swept.folder)
    assert done.code == 0, done.err
    report = json.loads((swept.folder / "r.json").read_text())
    schema = json.loads((ROOT / "docs" / "reference" / "schemas" / "report.schema.json").read_text())
    Draft202012Validator(schema).validate(report)
    assert (report["candidates"][0]["seed"], len(report["slices"])) == (2, 4)
    page = (swept.folder / "r.md").read_text()
    assert "| runs/seed-2 | 2 | " in page
    assert "is seed 2 of the band |" in page
    assert "slices: " in page
    [suite] = JUnitXml.fromfile(str(swept.folder / "r.xml"))
    assert (suite.tests, suite.failures, suite.errors) == (3, 0, 0)
    assert "slices: " in next(iter(suite)).system_out


def test_a_report_does_not_replace_the_band(folder, check):
    before = (folder / "band.json").read_text()
    done = check(0.88, "--report", "json=band.json")
    assert done.code == 2
    assert "band.json is what this call reads" in done.err
    assert (folder / "band.json").read_text() == before


def test_a_file_that_is_no_report_survives_a_report_asked_for_in_its_place(folder, check):
    for file, content in (("README.md", "# seedband"), ("cand/adapter_config.json", '{"r": 8}')):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(content)
        done = check(0.88, "--report", f"json={file}")
        assert done.code == 2
        assert f"{file} is no json report of seedband" in done.err
        assert (folder / file).read_text() == content
    assert [check(0.88, *EVERY).code for _ in range(2)] == [0, 0]


def test_no_report_is_written_into_a_candidate(folder):
    (folder / "cand").mkdir()
    done = run_cli("check", "cand", "--report", "json=cand/r.json", cwd=folder)
    assert done.code == 2
    assert "cand/r.json lies in cand, which this call reads" in done.err
    assert not list((folder / "cand").iterdir())


@pytest.mark.parametrize("wrong", ["bad=x", "junit=band.json", "json=r.json"])
def test_a_wrong_request_leaves_no_report_of_an_earlier_call(folder, check, wrong):
    assert check(0.88, "--report", "json=r.json").code == 0
    done = check(0.8, "--report", "json=r.json", "--report", wrong)
    assert (done.code, done.out) == (2, "")
    assert not (folder / "r.json").exists()
    assert (folder / "band.json").is_file()


@pytest.mark.parametrize("metric", ["::stop-commands::x", "a ##[stop-commands]z"])
def test_a_metric_gives_no_command_to_the_runner(folder, metric):
    (folder / "base.csv").write_text(f"seed,{metric}\n0,.871\n1,.884\n2,.879\n3,.892\n")
    (folder / "new.csv").write_text(f"seed,{metric}\n9,.8\n")
    judge = ["check", "--scores", "new.csv", "--band", "odd.json"]
    calls = [
        run_cli("band", "base.csv", "--band", "odd.json", cwd=folder),
        run_cli("band", "base.csv", "--band", "odd.json", "--higher-is-better", metric, cwd=folder),
        run_cli("show", "odd.json", cwd=folder),
        run_cli(*judge, cwd=folder),
        run_cli(*judge, "--json", cwd=folder),
        run_cli(*judge, "--rule", metric, cwd=folder),
        run_cli(*judge, "-q", "--report", "github=c.md", cwd=folder),
    ]
    assert [done.code for done in calls] == [2, 0, 0, 1, 1, 2, 1]
    lines = [line for done in calls for line in (done.out + done.err).splitlines()]
    assert [line for line in lines if line.lstrip().startswith("::")] == [calls[-1].err.splitlines()[-1]]
    assert "##[" not in "".join(lines)
    assert metric in json.loads(calls[4].out)["metrics"]
