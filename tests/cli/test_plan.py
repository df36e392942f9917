"""`seedband plan` through the real command line."""

import json

import pytest
from tiny import run_cli

from seedband import fit_band

WORKED = {"accuracy": [0.871, 0.884, 0.879, 0.892]}


@pytest.fixture
def band(tmp_path):
    fit_band(WORKED).save(tmp_path / "band.json")
    return tmp_path / "band.json"


def test_tells_what_the_band_sees_and_what_to_train(band):
    done = run_cli("plan", "--drop", "0.015", "--band", band)
    assert done.code == 0, done.err
    assert "a drop of 0.015 of accuracy, stopped with 80 % power at alpha 0.05" in done.out
    assert (
        "band: n=4 sd=0.008813, 90 % interval 0.00546 to 0.0257; as it is, rule retest stops a drop of 0.0208"
        in done.out
    )
    assert "recommended: " in done.out
    assert "(4 of them trained)" in done.out
    assert "trainings for the band and 10 checks" in done.out
    assert "if the sd is really 0.0257" in done.out


def test_an_sd_of_ones_own_needs_no_band():
    done = run_cli("plan", "--drop", "0.02", "--sd", "0.009", "--power", "0.9", "--alpha", "0.1")
    assert done.code == 0, done.err
    assert "sd: 0.009, as given" in done.out
    assert "90 % power at alpha 0.1" in done.out
    assert "really" not in done.out


def test_json_holds_the_whole_plan(band):
    done = run_cli("plan", "--drop", "0.015", "--band", band, "--metric", "accuracy", "--json")
    told = json.loads(done.out)
    assert [row["n"] for row in told["rows"]][:5] == [2, 3, 4, 5, 6]
    assert told["recommended"]["detectable_drop"] <= 0.015
    assert told["noise"]["metric"] == "accuracy"


def test_nothing_that_sees_the_drop_is_an_answer_too():
    done = run_cli("plan", "--drop", "0.0001", "--sd", "0.009")
    assert done.code == 0, done.err
    assert "recommended: nothing" in done.out
    assert "hint: more eval items" in done.err
    assert json.loads(run_cli("plan", "--drop", "0.0001", "--sd", "0.009", "--json").out)["recommended"] is None


@pytest.mark.parametrize(
    "flags",
    [
        ["--drop", "0", "--sd", "1"],
        ["--drop", "-1", "--sd", "1"],
        ["--drop", "1", "--sd", "0"],
        ["--drop", "1", "--sd", "1", "--alpha", "0.3"],
        ["--drop", "1", "--sd", "1", "--power", "0.2"],
        ["--drop", "1", "--sd", "1", "--metric", "accuracy"],
        ["--drop", "1"],
        ["--sd", "1"],
    ],
)
def test_what_was_typed_wrong_exits_2(flags):
    assert run_cli("plan", *flags).code == 2


def test_a_band_and_an_sd_or_an_unknown_metric_exit_2_with_a_hint(band):
    both = run_cli("plan", "--drop", "1", "--sd", "1", "--band", band)
    assert (both.code, "hint: --band FILE or --sd X" in both.err) == (2, True)
    unknown = run_cli("plan", "--drop", "1", "--band", band, "--metric", "mcc")
    assert (unknown.code, "hint: there are accuracy" in unknown.err) == (2, True)


def test_a_band_without_noise_exits_3(tmp_path):
    fit_band({"accuracy": [0.5, 0.5, 0.5]}).save(tmp_path / "band.json")
    done = run_cli("plan", "--drop", "0.01", "--band", tmp_path / "band.json")
    assert done.code == 3
    assert "vouch for a standard deviation with --sd" in done.err


def test_colour_and_width_are_respected(band):
    done = run_cli("plan", "--drop", "0.015", "--band", band, env={"NO_COLOR": "1", "COLUMNS": "60"})
    assert done.code == 0, done.err
    assert "\x1b[" not in done.out
