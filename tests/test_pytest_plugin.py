"""The pytest plugin, in suites of its own, which know it by the entry point that pyproject.toml declares."""

import functools
import importlib
import os
import shutil
import subprocess
import sys

import pytest
from installed import declare, loaded_by
from tiny import ROOT

from seedband import fit_band, load_band
from seedband.commands.check.check import check
from seedband.pytest_plugin import assert_within

pytest_plugins = ["pytester"]
SCORES = {"accuracy": [0.871, 0.884, 0.879, 0.892], "loss": [0.40, 0.42, 0.41, 0.39]}
LIGHT = {"torch", "transformers", "peft", "pandas", "numpy", "scipy", "sklearn", "typer", "rich", "pydantic"}
for library in LIGHT:  # what a suite in this process imports is forgotten at its end, and pandas bears no second time
    importlib.import_module(library)


@pytest.fixture
def suite(pytester, monkeypatch):
    """A folder with a band of two metrics, where pytest knows the plugin by its entry point alone."""
    site = pytester.path / "site"
    declare(site)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    fit_band(SCORES, primary="accuracy", lower_is_better=["loss"]).save(pytester.path / "band.json")
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


def told(suite, body, *arguments):
    suite.makepyfile(f"def test_new(seedband_gate):\n    {body}\n")
    return suite.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", *arguments)


def test_scores_within_the_band_pass_and_the_report_knows_it(suite):
    body = 'assert seedband_gate("band.json").check_scores({"accuracy": 0.88, "loss": 0.4}).status == "pass"'
    done = told(suite, body, "--junit-xml=report.xml")
    done.assert_outcomes(passed=1)
    assert '<property name="seedband" value="pass"' in (suite.path / "report.xml").read_text()


def test_a_failure_is_told_in_the_gates_words_without_a_traceback(suite):
    (suite.path / "new.csv").write_text("seed,accuracy,loss\n7,0.70,0.41\n")
    done = told(suite, 'seedband_gate("band.json").check_scores("new.csv")')
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "new.csv against band.json",
            "accuracy: FAIL score=0.7000 band=[[]0.8710,0.8920[]] rule=retest p=* gates",
            "loss: PASS score=0.4100 * advises",
            "false-alarm rate: 5.0% *",
            "FAIL: *",
            "next: see what it is held against: seedband show band.json, or if the change is meant: score its seeds*",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert "def test_new" not in done.stdout.str()


def test_a_suspect_stops_unless_it_is_let_through(suite):
    body = 'seedband_gate("band.json").check_scores({"accuracy": 0.869, "loss": 0.4}%s)'
    done = told(suite, body % "")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        ["SUSPECT: *1 more seed, 2 at most", "next: 1 more seed, 2 at most: train and score it as *"]
    )
    told(suite, body % ', on_suspect="pass"').assert_outcomes(passed=1)
    told(suite, body % ', rule="t"').assert_outcomes(passed=1)
    done = told(suite, body % ', on_suspect="ignore"')
    done.stdout.fnmatch_lines(['ERROR: on_suspect=\'ignore\': expected "stop" or "pass"'])


def test_what_settles_a_suspect_is_the_same_check_with_more_seeds(suite, monkeypatch):
    @functools.wraps(check)
    def judged(candidates, band, **_):
        return band.judge({"accuracy": 0.869, "loss": 0.4})

    monkeypatch.setattr(sys.modules["seedband.commands.check.check"], "check", judged)
    (suite.path / "new.csv").write_text("seed,accuracy,loss\n7,0.869,0.41\n")
    more = "next: 1 more seed, 2 at most: "
    for call, told_next in (
        ('check("runs/new")', "* or seedband check runs/new --band band.json --more-seeds 2 --recipe CANDIDATE.toml"),
        (
            'check("a", "b", alpha=0.04, recipe="new.toml", ledger_path="look", more_seeds=1, strict=True)',
            "seedband check a b --band band.json --alpha 0.04 --recipe new.toml --ledger look --more-seeds 3 --strict*",
        ),
        (
            'check_scores("new.csv")',
            "*, add it to new.csv, then seedband check --band band.json --scores new.csv --looks 1",
        ),
        ('check_scores({"accuracy": 0.869, "loss": 0.41})', "train and score it as *, the new one last, with looks=1"),
    ):
        done = told(suite, f'seedband_gate("band.json").{call}')
        done.stdout.fnmatch_lines([f"{more}{told_next}"])


def test_score_files_of_single_runs_are_one_look(suite):
    for seed, score in ((7, 0.869), (8, 0.868)):
        (suite.path / f"{seed}.csv").write_text(f"seed,accuracy,loss\n{seed},{score},0.41\n")
    body = """gate = seedband_gate("band.json")
    assert gate.check_scores(["7.csv", "8.csv"]).reason.startswith("one look at 2 candidates")
    gate.check_scores(["7.csv", "8.csv"], looks=1)"""
    told(suite, body).stdout.fnmatch_lines(["next: * seedband check 8.csv --band band.json --scores 7.csv --looks 2"])
    told(suite, 'seedband_gate("band.json").check_scores([])').stdout.fnmatch_lines(["ERROR: no score file"])


def test_what_is_refused_is_told_with_its_hint(suite):
    done = told(suite, 'seedband_gate("band.json").check("runs/new")')
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "runs/new against band.json",
            "REFUSED: this band was made from bare scores: it does not say how to score a checkpoint",
            "hint: score it as the others were scored*",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert "another exception occurred" not in done.stdout.str()
    done = told(suite, 'seedband_gate("none.json").check_scores({"accuracy": 0.88})')
    done.stdout.fnmatch_lines(["ERROR: *none.json: no such file"])


def test_a_list_of_candidates_is_told_by_its_names_and_a_mistyped_option_with_those_there_are(suite):
    done = told(suite, 'seedband_gate("band.json").check(["runs/a", "runs/b"])')
    done.stdout.fnmatch_lines(["runs/a runs/b against band.json", "REFUSED: *"])
    done = told(suite, 'seedband_gate("band.json").check("runs/a", tolerence=0.1)')
    done.stdout.fnmatch_lines(["*TypeError: check() has no option 'tolerence'; it takes on_suspect, rule, alpha, tol*"])


def test_paths_start_at_the_root_folder_wherever_pytest_is_called(suite, monkeypatch):
    suite.mkdir("elsewhere")
    (suite.path / "new.csv").write_text("seed,accuracy,loss\n7,0.88,0.41\n")
    body = 'seedband_gate("band.json").check_scores("new.csv")\n    from seedband.pytest_plugin import assert_within'
    suite.makepyfile(f"def test_new(seedband_gate):\n    {body}\n    assert_within(0.88, 'band.json')\n")
    monkeypatch.chdir(suite.path / "elsewhere")
    done = suite.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir=..", "..")
    done.assert_outcomes(passed=1)


def test_looks_that_were_taken_go_on(suite):
    body = 'seedband_gate("band.json").check_scores({"accuracy": [0.869, 0.868], "loss": [0.41, 0.41]}%s)'
    told(suite, body % "").assert_outcomes(passed=1)
    done = told(suite, body % ", looks=1")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["SUSPECT: look 2: p = *", "next: 1 more seed, 1 at most: *with looks=2"])
    (suite.path / "two.csv").write_text("seed,accuracy,loss\n7,0.869,0.41\n8,0.868,0.41\n")
    done = told(suite, 'seedband_gate("band.json").check_scores("two.csv", looks=1)')
    done.stdout.fnmatch_lines(["next: 1 more seed, 1 at most: *--scores two.csv --looks 2"])


def test_plain_numbers_are_within_a_band_or_stop_the_test(tmp_path):
    path = tmp_path / "band.json"
    fit_band(SCORES, primary="accuracy", lower_is_better=["loss"]).save(path)
    assert assert_within(0.88, path).status == "pass"
    assert assert_within(0.99, path).status == "pass"
    assert assert_within([0.41], load_band(path), "loss").status == "pass"
    assert assert_within(0.869, path, on_suspect="pass").candidates_needed == 1
    assert assert_within([0.869, 0.868], path).reason.startswith("one look at 2 candidates: p = ")
    for given, message in (
        ({"scores": [0.869, 0.868], "looks": 1}, r"SUSPECT: look 2: .*\nnext: 1 more seed, 1 at most: .*looks=2"),
        ({"scores": [0.869, 0.868], "looks": 3}, "ERROR: looks 3: expected how many of the 2 candidates"),
        ({"scores": [0.869, 0.868], "looks": 1, "rule": "t"}, "ERROR: looks on record belong to rule retest"),
        ({"scores": 0.5}, r"accuracy: FAIL score=0.5000 .*\nFAIL: .*\nnext: see what it is held against"),
        ({"scores": 0.6, "metric": "loss"}, "loss: FAIL score=0.6000"),
        ({"scores": 0.869}, r"SUSPECT: .*\nnext: 1 more seed, 2 at most: train and score it"),
        ({"scores": float("nan")}, "REFUSED: candidate's accuracy: nan is not a finite score"),
        ({"scores": 0.88, "metric": "f1"}, "ERROR: metric 'f1' is not in .*; there are accuracy, loss"),
        ({"scores": 0.88, "rule": "paired"}, "ERROR: rule paired needs candidates under the band's own seeds"),
    ):
        with pytest.raises(pytest.fail.Exception, match=message) as info:
            assert_within(**given, band=path)
        assert not info.value.pytrace


def test_it_is_silent_and_loads_nothing_until_it_is_asked(suite):
    suite.makepyfile("import sys\ndef test_other():\n    print(sorted(sys.modules))\n")
    plain = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s"]
    done = subprocess.run(plain, cwd=suite.path, capture_output=True, text=True, check=True)
    assert "'seedband.pytest_plugin'" in done.stdout
    assert not any(f"'{name}'" in done.stdout for name in LIGHT)
    printed = [
        line for line in done.stdout.splitlines() if not line.startswith("plugins: ") and "zipimport" not in line
    ]
    assert "seedband" not in "".join(printed)
    assert not loaded_by("-c", "import seedband.pytest_plugin") & LIGHT


@pytest.mark.slow
def test_a_checkpoint_is_scored_and_judged(tiny_heads, suite):
    band, new = tiny_heads.band, tiny_heads.runs / "seed-1"
    shutil.copy(tiny_heads.folder / "eval.jsonl", suite.path / "moved.jsonl")
    call = f'check("{new}", data="moved.jsonl", offline=True)'
    done = told(suite, f'print(seedband_gate("{band}").{call}.reason)', "-s")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*this is seed 1 of the band itself, weight for weight*"])
