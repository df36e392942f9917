"""`seedband band` through the real command line."""

import json

import pytest
from tiny import run_cli

from seedband import load_band

WORKED = "seed,accuracy\n0,.871\n1,.884\n2,.879\n3,.892\n"


def test_json_is_one_object_with_the_worked_example(tmp_path):
    (tmp_path / "scores.csv").write_text(WORKED)
    done = run_cli("band", "scores.csv", "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert done.out == json.dumps(told, indent=2) + "\n"
    accuracy = told["metrics"]["accuracy"]
    assert (told["primary"], told["rule"], told["alpha"]) == ("accuracy", "retest", 0.05)
    exact = {key: accuracy[key] for key in ("scores", "seeds", "failed_seeds", "n", "median_seed", "lower", "upper")}
    assert exact == {
        "scores": [0.871, 0.884, 0.879, 0.892],
        "seeds": [0, 1, 2, 3],
        "failed_seeds": [],
        "n": 4,
        "median_seed": 2,
        "lower": 0.871,
        "upper": 0.892,
    }
    rounded = [round(accuracy[key], 4) for key in ("mean", "median", "sd", "spread", "collapse_limit")]
    assert rounded == [0.8815, 0.8815, 0.0088, 0.021, 0.8239]


def test_band_is_shown_saved_and_replaced_by_its_own_scores_only(tmp_path):
    (tmp_path / "scores.csv").write_text(WORKED)
    done = run_cli("band", "scores.csv", "--rule", "t", "--alpha", "0.1", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "band accuracy: [0.8710, 0.8920] n=4" in done.out
    assert "seedband check --scores FILE --band band.json" in done.err
    assert (load_band(tmp_path / "band.json").rule, load_band(tmp_path / "band.json").alpha) == ("t", 0.1)

    (tmp_path / "scores.csv").write_text(WORKED + "4,nan\n")
    again = run_cli("band", "scores.csv", "--failed", "4", "-q", cwd=tmp_path)
    assert (again.code, again.err) == (0, "")
    assert load_band(tmp_path / "band.json").metrics["accuracy"].failed_seeds == (4,)

    (tmp_path / "other.csv").write_text(WORKED)
    other = run_cli("band", "other.csv", cwd=tmp_path)
    assert (other.code, other.out) == (2, "")
    assert "not a band of other.csv" in other.err


def test_every_flag_reaches_the_band(tmp_path):
    table = {"bleu": [31.0, 32.5, 33.0], "ter": [0.4, 0.5, 0.6], "accuracy": [0.8, 0.81, 0.83]}
    flags = ["--higher-is-better", "bleu", "--lower-is-better", "ter", "--primary", "bleu"]
    for name in ("past1", "past2", "now"):
        table["bleu"][0] -= 0.25
        (tmp_path / f"{name}.json").write_text(json.dumps(table))
    for name in ("past1", "past2"):
        assert run_cli("band", f"{name}.json", *flags, "--band", f"{name}.band.json", cwd=tmp_path).code == 0
    history = ["--history", "past1.band.json", "--history", "past2.band.json"]
    done = run_cli("band", "now.json", *flags, *history, "--band", "gate/band.json", cwd=tmp_path)
    assert done.code == 0, done.err
    band = load_band(tmp_path / "gate" / "band.json")
    assert band.primary == "bleu"
    assert not band.metrics["ter"].higher_is_better
    assert band.provenance["history"]["bands"] == 2
    assert band.provenance["scores"]["path"] == "../now.json"


def test_probable_failure_is_told_on_standard_error(tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps({"accuracy": [0.92, 0.93, 0.91, 0.51, 0.92, 0.93, 0.94, 0.92]}))
    done = run_cli("band", "scores.json", "-q", cwd=tmp_path)
    assert done.code == 0
    assert "exclude it with --failed 3" in done.err
    assert "hint" not in done.err


@pytest.mark.parametrize(
    ("text", "flags", "code", "told"),
    [
        (WORKED.replace(".879", "abc"), [], 2, "row 4: found 'abc' for accuracy, expected a number"),
        (WORKED.replace(".879", "nan"), [], 3, "row 4: found accuracy of seed 2 is nan, expected a finite score"),
        (WORKED.replace("accuracy", "meteor"), [], 2, "--higher-is-better meteor"),
        (WORKED, ["--rule", "paired"], 2, "paired"),
        (WORKED, ["--history", "none.json"], 2, "none.json: no such file"),
    ],
)
def test_refusals_exit_2_or_3_and_write_nothing(tmp_path, text, flags, code, told):
    (tmp_path / "scores.csv").write_text(text)
    done = run_cli("band", "scores.csv", *flags, cwd=tmp_path)
    assert (done.code, done.out) == (code, ""), done.err
    assert told in done.err
    assert not (tmp_path / "band.json").exists()
