"""`seedband show` through the real command line."""

import json

from tiny import run_cli

from seedband import fit_band


def test_shows_seeds_band_and_what_it_can_tell(tiny_swept):
    for path in (tiny_swept.band, tiny_swept.runs):
        done = run_cli("show", path)
        assert done.code == 0, done.err
        assert "median run" in done.out
        assert "band accuracy: [" in done.out
        assert "a drop of" in done.out
        assert "├" in done.out


def test_json_holds_every_number(tiny_swept):
    told = json.loads(run_cli("show", tiny_swept.band, "--json").out)
    m = told["metrics"]["accuracy"]
    assert m["n"] == 4
    assert m["lower"] == min(m["scores"])


def test_failed_seeds_are_shown_and_counted(tmp_path):
    fit_band({"m": [0.8, 0.81, 0.83]}, failed_seeds=[3]).save(tmp_path / "band.json")
    done = run_cli("show", tmp_path / "band.json")
    assert "1 of 4 seeds failed to train (25%, 90 % interval 1% to 75%)" in done.out


def test_other_rules_say_their_own_rate(tmp_path):
    for rule, told in (("t", "stopped in 5.0% of cases"), ("range", "stopped in 25% of cases")):
        fit_band({"m": [0.8, 0.81, 0.83]}, rule=rule).save(tmp_path / "band.json")
        assert told in run_cli("show", tmp_path / "band.json").out


def test_what_is_no_band_is_told(tmp_path):
    assert run_cli("show", tmp_path).code == 2
    assert run_cli("show", tmp_path / "none.json").code == 2
    (tmp_path / "other.json").write_text('{"format": "other"}')
    assert run_cli("show", tmp_path / "other.json").code == 3


def test_colour_and_width_are_respected(tiny_swept):
    done = run_cli("show", tiny_swept.band, env={"NO_COLOR": "1", "COLUMNS": "60"})
    assert "\x1b[" not in done.out
    assert "band accuracy: [" in done.out
