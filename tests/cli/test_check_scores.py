"""`seedband check --scores` through the real command line: every verdict without a checkpoint."""

import json
import subprocess
import sys

import pytest
from tiny import run_cli

from seedband import fit_band

BASELINE = "seed,accuracy\n0,.871\n1,.884\n2,.879\n3,.892\n"


@pytest.fixture
def worked(tmp_path):
    """The band of the worked example, made by `seedband band`."""
    (tmp_path / "baseline.csv").write_text(BASELINE)
    done = run_cli("band", "baseline.csv", "-q", cwd=tmp_path)
    assert done.code == 0, done.err
    return tmp_path


def check(folder, text, *flags, name="new.csv"):
    (folder / name).write_text(text)
    return run_cli("check", "--scores", name, *flags, cwd=folder)


def test_verdicts_of_the_worked_example_are_exit_codes(worked):
    suspect = check(worked, "seed,accuracy\n9,.869\n")
    assert suspect.code == 4, suspect.err
    assert "SUSPECT: below the band; 1 more seed, 2 at most" in suspect.out
    assert "add it to new.csv, then seedband check --scores new.csv --looks 1" in suspect.err
    assert "accuracy: SUSPECT score=0.8690 band=[0.8710,0.8920] rule=retest" in suspect.out

    inside = check(worked, "seed,accuracy\n9,.880\n")
    assert (inside.code, inside.err) == (0, "")
    assert "PASS" in inside.out

    collapsed = check(worked, "seed,accuracy\n9,.80\n")
    assert collapsed.code == 1
    assert collapsed.err.startswith("hint: see what it is held against: seedband show ")
    assert "FAIL: candidate 1 of 1 collapsed" in collapsed.out
    assert "more seed" not in collapsed.out


def test_rows_behind_looks_on_record_are_further_looks_in_the_order_of_the_file(worked):
    third = check(worked, "seed,accuracy\n9,.869\n8,.869\n7,.868\n", "--looks", "2", "--json")
    assert third.code == 1, third.err
    told = json.loads(third.out)
    assert (told["status"], told["metrics"]["accuracy"]["scores"]) == ("fail", [0.869, 0.869, 0.868])
    assert told["reason"].startswith("look 3: p = ")
    assert (told["candidates_needed"], told["false_alarm_rate"]) == (0, pytest.approx(0.05, abs=1e-3))

    together = check(worked, "seed,accuracy\n9,.869\n8,.869\n7,.868\n")
    assert together.code == 1
    assert "FAIL: one look at 3 candidates: p = " in together.out
    assert "false_alarm_rate=0.05 " in together.out
    two = "seed,accuracy\n9,.869\n8,.869\n"
    assert [check(worked, two).code, check(worked, two, "--looks", "1").code] == [0, 4]

    one_look = check(worked, '{"accuracy": [0.885, 0.80]}', "--rule", "t", "--alpha", "0.2", name="new.json")
    assert one_look.code == 1
    assert "rule=t" in one_look.out
    assert check(worked, '{"accuracy": [0.869]}', "--rule", "range", name="new.json").code == 1


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--looks", "3"], "looks 3: expected how many of the 2 candidates"),
        (["--looks", "-1"], "--looks"),
        (["--looks", "1", "--rule", "t"], "looks on record belong to rule retest, this is t"),
        (["--looks", "1", "--rule", "paired"], "looks on record belong to rule retest, this is paired"),
    ],
)
def test_looks_that_cannot_have_been_taken_are_mistakes(worked, flags, told):
    done = check(worked, "seed,accuracy\n0,.869\n1,.868\n", *flags)
    assert done.code == 2
    assert told in " ".join(done.err.split())


def test_pairs_are_found_by_their_seeds(worked):
    scores = "seed,accuracy\n3,.885\n0,.865\n2,.872\n"
    paired = check(worked, scores, "--rule", "paired", "--tolerance", "0")
    assert paired.code == 1, paired.err
    assert "differences=-0.0070,-0.0060,-0.0070 tolerance=0.0000" in paired.out
    assert "at most 5.0% for recipes no worse than the tolerance 0.0000" in paired.out
    assert check(worked, scores, "--rule", "paired").code == 0
    few = check(worked, "seed,accuracy\n3,.887\n0,.871\n", "--rule", "paired", "--tolerance", "0")
    assert few.code == 4
    assert "1 more seed, 2 left in the band" in few.out
    assert "under another seed of the band" in few.err
    all_of_them = BASELINE.replace(".892", ".891").replace(".871", ".874")
    settled = check(worked, all_of_them, "--rule", "paired", "--tolerance", "0")
    assert settled.code == 4
    assert "a larger --tolerance" in settled.err
    assert "every number of pairs from 2 on counts as one; --final says that this is the only one" in settled.err
    between = "seed,accuracy\n0,.861\n1,.880\n2,.870\n"  # p = .027
    several = check(worked, between, "--rule", "paired", "--tolerance", "0")
    assert several.code == 4
    assert "level 0.0216 at every look from 2 to 4 pairs, 0.05 in all" in several.out
    only = check(worked, between, "--rule", "paired", "--tolerance", "0", "--final")
    assert only.code == 1
    assert "counts as one" not in only.err
    open_end = check(worked, "seed,accuracy\n3,.887\n0,.871\n", "--rule", "paired", "--tolerance", "0", "--final")
    assert open_end.code == 4
    assert "this was announced as the only look at pairs" in open_end.err
    stranger = check(worked, scores.replace("3,", "9,"), "--rule", "paired")
    assert (stranger.code, stranger.out) == (3, "")
    assert "seed 9 is no seed of the band" in stranger.err
    assert check(worked, scores, "--tolerance", "0.01").code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed,accuracy\n9,nan\n", "row 2: found accuracy of seed 9 is nan, expected a finite score"),
        ("seed,f1_macro\n9,.9\n", "the candidate has no accuracy; it has f1_macro"),
        ("", "new.csv: is empty"),
        ("seed,accuracy\n", "holds no score"),
        ("seed,accuracy\n9,.88\n9,.88\n", "again, after row 2"),
    ],
)
def test_scores_that_allow_no_verdict_are_refused(worked, text, told):
    done = check(worked, text)
    assert (done.code, done.out) == (3, "")
    assert told in done.err


def test_a_metric_that_the_band_lacks_is_left_out_and_said(worked):
    done = check(worked, "seed,accuracy,f1_macro\n9,.88,.9\n")
    assert done.code == 0, done.err
    assert done.err == "note: new.csv: f1_macro: left out, for the band has accuracy\n"
    assert "f1_macro" not in done.out


def test_quiet_prints_one_line(worked):
    for score, code in ((0.88, 0), (0.869, 4), (0.80, 1)):
        done = check(worked, f"seed,accuracy\n9,{score}\n", "-q")
        assert (done.code, done.err, done.out.count("\n")) == (code, "", 1)
    assert done.out == "FAIL: candidate 1 of 1 collapsed\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_leaves_the_verdicts_exit_code(worked, closed):
    (worked / "new.csv").write_text("seed,accuracy\n9,.80\n")
    line = f'"{sys.executable}" -m seedband check --scores new.csv --report json=told.json {closed}'
    done = subprocess.run(["sh", "-c", line], cwd=worked, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert json.loads((worked / "told.json").read_text())["status"] == "fail"
    assert (worked / "new.csv").read_text() == "seed,accuracy\n9,.80\n"


def test_tiny_scores_are_printed_with_an_exponent(tmp_path):
    (tmp_path / "baseline.csv").write_text("seed,mse\n0,1.1e-12\n1,1.3e-12\n2,1.2e-12\n")
    done = run_cli("band", "baseline.csv", "--lower-is-better", "mse", cwd=tmp_path)
    assert "band mse: [1.1000e-12, 1.3000e-12]" in done.out
    fail = check(tmp_path, "seed,mse\n9,5e-12\n")
    assert fail.code == 1
    assert "score=5.0000e-12 band=[1.1000e-12,1.3000e-12]" in fail.out


def test_what_is_wrongly_typed_is_a_usage_error(worked):
    fine = "seed,accuracy\n9,.88\n"
    (worked / "runs").mkdir()
    for flags in (["runs"], ["--ledger", "looks.json"], ["--more-seeds", "1"], ["--pairs", "2"]):
        done = check(worked, fine, *flags)
        assert (done.code, done.out) == (2, "")
        assert "--scores judges what was scored already" in done.err
    assert not (worked / "looks.json").exists()
    assert check(worked, "seed,accuracy\n9,x\n").code == 2
    assert check(worked, fine, "--alpha", "0.9").code == 2
    missing = run_cli("check", "--scores", "none.csv", cwd=worked)
    assert missing.code == 2
    assert "none.csv: no such file" in missing.err


def test_several_gates_are_judged_from_one_file(tmp_path):
    table = {"accuracy": [0.871, 0.884, 0.879, 0.892], "log_loss": [0.50, 0.51, 0.53, 0.52]}
    band = fit_band(table, primary="accuracy", gates=["accuracy", "log_loss"], lower_is_better=["log_loss"])
    band.save(tmp_path / "band.json")
    done = check(tmp_path, "seed,accuracy,log_loss\n9,.869,.90\n")
    assert done.code == 1, done.err
    assert "FAIL: log_loss: candidate 1 of 1 collapsed" in done.out
    assert "more seed" not in done.out.splitlines()[-1]
    assert "2 metrics gate: false-alarm rate at most 5.0% in all" in done.out


def test_starts_without_torch_and_pandas(worked):
    (worked / "new.csv").write_text("seed,accuracy\n9,.869\n")
    script = """
import sys
from seedband.cli import app
code = app(["check", "--scores", "new.csv"], standalone_mode=False)
heavy = {"torch", "transformers", "peft", "pandas", "pyarrow", "sklearn"} & set(sys.modules)
print("exit", code, "heavy", sorted(heavy))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=worked, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.stdout.splitlines()[-1] == "exit 4 heavy []", done.stderr
