"""`seedband show` through the real command line."""

import json
import re

import pandas as pd
import pytest
from tiny import run_cli

from seedband import fit_band, load_band

TWO = {"a": [0.871, 0.884, 0.879, 0.892], "b": [0.80, 0.81, 0.82, 0.83]}


def test_shows_seeds_band_and_what_it_can_tell(tiny_swept):
    for path in (tiny_swept.band, tiny_swept.runs):
        done = run_cli("show", path)
        assert done.code == 0, done.err
        assert "median run" in done.out
        assert "band accuracy: [" in done.out
        assert "smallest drop caught with 80 % power: 0." in done.out
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
    for rule, told in (("t", "false-alarm rate 5.0%;"), ("range", "false-alarm rate 25.0%;")):
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


def told_drops(out):
    return [float(drop) for drop in re.findall(r"smallest drop caught with 80 % power: ([0-9.]+)", out)]


def test_several_gates_say_what_they_cost(tmp_path):
    band = fit_band(TWO, primary="a", gates=["a", "b"])
    band.save(tmp_path / "band.json")
    done = run_cli("show", tmp_path / "band.json")
    assert done.code == 0, done.err
    a, b, alone = told_drops(done.out)
    sds = [metric.sd for metric in band.metrics.values()]
    # 2.35 sd is what the rule sees of one metric at n = 4 and alpha .05, as published with it.
    assert alone == pytest.approx(2.35 * sds[0], rel=0.01)
    assert a > 1.1 * alone
    assert b == pytest.approx(a / sds[0] * sds[1], abs=1e-4)
    assert "2 metrics gate, each at alpha 0.025: false-alarm rate about 5.0% in all" in done.out
    assert "gating on a alone, smallest drop caught with 80 % power: 0." in done.out
    assert done.out.count("false-alarm rate 2.5%") == 2
    assert [line.endswith("gates") for line in done.out.splitlines() if line.startswith("band ")] == [True, True]
    told = json.loads(run_cli("show", tmp_path / "band.json", "--json").out)
    assert (told["primary"], told["gates"]) == ("a", ["a", "b"])


def test_gates_of_rule_range_share_no_level(tmp_path):
    fit_band(TWO, primary="a", gates=["a", "b"], rule="range").save(tmp_path / "band.json")
    done = run_cli("show", tmp_path / "band.json")
    assert done.out.count("false-alarm rate 20.0%;") == 2
    assert "2 metrics gate: false-alarm rate about 40.0% in all" in done.out


def test_history_says_what_it_is_worth(tmp_path):
    past = [fit_band({"m": scores}) for scores in ([0.80, 0.82], [0.90, 0.91], [0.84, 0.87])]
    own = {"m": [0.871, 0.884, 0.879, 0.892]}
    fit_band(own, history=past).save(tmp_path / "band.json")
    fit_band(own).save(tmp_path / "bare.json")
    done, bare = (run_cli("show", tmp_path / name).out for name in ("band.json", "bare.json"))
    metric = load_band(tmp_path / "band.json").metrics["m"]
    assert (
        f"m: history of 3 bands, worth {metric.prior.df:.1f} degrees of freedom beside 3 of its own: sd "
        f"{metric.noise_sd:.4f} instead of {metric.sd:.4f}; that they share evaluator and eval set is vouched for"
    ) in done
    assert "history" not in bare
    judged = [load_band(tmp_path / name).judge({"m": 0.88}).metrics["m"] for name in ("band.json", "bare.json")]
    assert [*told_drops(done), *told_drops(bare)] == [round(m.detectable_drop, 4) for m in judged]


def test_without_spread_no_drop_is_promised(tmp_path):
    for rule in ("retest", "t", "range"):
        fit_band({"m": [0.9] * 4}, rule=rule).save(tmp_path / "band.json")
        done = run_cli("show", tmp_path / "band.json")
        assert "smallest drop caught: unknown, for the scores have no spread" in done.out
        assert "zero spread is not evidence of zero noise" in done.out
        assert told_drops(done.out) == []


def test_names_are_shown_as_they_are_and_numbers_in_full(tmp_path):
    names = ["[/red]", "[bold]x", "a_metric_of_a_long_name", "b", "c"]
    table = {name: [0.8123, 0.8234, 0.8345] for name in names}
    fit_band(table, primary="b", seeds=[0, 1, 2]).save(tmp_path / "band.json")
    done = run_cli("show", tmp_path / "band.json", env={"COLUMNS": "40"})
    assert done.code == 0, done.err
    assert all(re.search(rf"[┃│] +{re.escape(name)} +[┃│]", done.out) for name in names)
    assert done.out.count(" 0.8123 ") >= len(names)


def cells(out):
    """Rows of the tables, without their frames."""
    rows = [re.split("[┃│]", line)[1:-1] for line in out.splitlines() if line[:1] in ("┃", "│")]
    return [[cell.strip() for cell in row] for row in rows]


def test_fail_rates_by_seed_and_slice_are_those_of_the_scores(tiny_swept):
    items = pd.read_parquet(tiny_swept.runs / "scores.parquet").query("evaluator == 'accuracy'")
    items = items.assign(wrong=items["label"] != items["prediction"])
    rates = items.groupby("seed")["wrong"].mean()
    done = run_cli("show", tiny_swept.band, "--by", "seed")
    assert done.code == 0, done.err
    rows = cells(done.out)
    assert rows[:5] == [["seed", "accuracy: fail rate"], *([str(seed), f"{rate:.1%}"] for seed, rate in rates.items())]
    assert rows[5] == ["seed", "log_loss: mean"]
    assert "Cochran's Q" in done.out
    assert "Friedman" in done.out

    for width in ("100", "30"):
        done = run_cli("show", tiny_swept.runs, "--by", "channel", env={"COLUMNS": width})
        assert done.code == 0, done.err
        rows = {row[0]: row[1:] for row in cells(done.out)[:4]}
        assert rows["channel"] == ["items", "seed 0", "seed 1", "seed 2", "seed 3", "band", "p"]
        assert rows["all"][1:5] == [f"{rate:.1%}" for rate in rates]
        for name, part in items.groupby("channel"):
            count, *own = rows[name][:5]
            assert count == str(len(part) // 4)
            wrong = part.groupby("seed")["wrong"].mean()
            assert own == [f"{rate:.1%}" for rate in wrong]
            assert rows[name][5] == f"{wrong.min():.1%} to {wrong.max():.1%}"
        assert "accuracy per channel, Holm-corrected over 2: seeds differ on " in done.out


def test_split_as_json_is_one_object(tiny_swept):
    done = run_cli("show", tiny_swept.runs, "--by", "channel", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert done.out == json.dumps(told, indent=2) + "\n"
    accuracy, loss = told["splits"]
    assert (accuracy["metric"], loss["metric"], accuracy["by"]) == ("accuracy", "log_loss", "channel")
    assert [cohort["name"] for cohort in loss["cohorts"]] == ["all", "chat", "email"]
    assert accuracy["cohorts"][0]["test"]["df"] == 3
    assert len(accuracy["cohorts"][1]["rates"]) == 4


def test_split_that_cannot_be_made_is_told(swept):
    unknown = run_cli("show", swept.runs, "--by", "source")
    assert (unknown.code, unknown.out) == (2, "")
    assert "--by source: no such slice; there are seed, channel" in unknown.err
    fit_band(TWO, primary="a").save(swept.folder / "bare.json")
    bare = run_cli("show", swept.folder / "bare.json", "--by", "seed")
    assert bare.code == 2
    assert "made from bare scores" in bare.err
    path = swept.runs / "seed-1" / "items.parquet"
    pd.read_parquet(path).assign(**{"score:accuracy": 1.0}).to_parquet(path)
    edited = run_cli("show", swept.band, "--by", "channel")
    assert (edited.code, edited.out) == (3, "")
    assert "items.parquet is missing or not the one" in edited.err
