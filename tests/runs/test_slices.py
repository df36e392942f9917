"""Slices: where on the items a candidate is worse; advice with its error rate."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from tiny import run_cli

from seedband.bands.band import fit_band, load_band
from seedband.bands.stats.cohorts import holm
from seedband.bands.stats.items import item_floor
from seedband.bands.verdict import Candidate
from seedband.cli.console.verdicts import print_verdict
from seedband.errors import Refused
from seedband.runs import slices

CHANNELS = ["chat", "chat", "email", "email", "email", "phone"]


def table(*scores, **columns):
    """items.parquet of one run."""
    named = {f"slice:{name}": values for name, values in {"channel": CHANNELS, **columns}.items()}
    return pd.DataFrame({"item": [f"i{n}" for n in range(len(scores))], **named, "score:accuracy": scores})


def candidate(name="new", **means):
    by_value = {value: {"accuracy": score} for value, score in means.items()}
    return Candidate(name, {"accuracy": 0.5}, "ab" * 32, slices={"channel": by_value})


def band_of(rows, scores=(0.80, 0.81, 0.79, 0.80)):
    return fit_band({"accuracy": scores}, provenance={"slices": rows})


def row(value, scores, floor=0.0):
    metric = {"scores": scores, "n_items": 30, "unscored": [], "floor": floor, "resolution": 0.0}
    return {"column": "channel", "value": value, "n_items": 30, "metrics": {"accuracy": metric}}


def test_a_column_of_many_values_is_left_to_show():
    n = slices.MAX_VALUES + 1
    many = pd.DataFrame({"item": [str(k) for k in range(n)], "score:accuracy": np.ones(n)})
    many["slice:id"] = many["item"]
    assert slices.of_runs([many, many]) == []
    assert [row.value for row in slices.of_runs([many[1:]] * 2)] == sorted(many["slice:id"][1:])


def test_a_band_keeps_scores_floor_and_count_of_every_slice():
    runs = [table(1, 0, 1, 1, 0, 1), table(1, 1, 1, 0, 0, np.nan)]
    chat, email, phone = slices.of_runs(runs)
    assert (chat.column, chat.value, chat.n_items) == ("channel", "chat", 2)
    assert asdict(chat.metrics["accuracy"]) == {
        "scores": [0.5, 1.0],
        "n_items": 2,
        "unscored": [],
        "floor": item_floor([[1, 0], [1, 1]]),
        "resolution": 0.5,
    }
    assert email.metrics["accuracy"].scores == pytest.approx([2 / 3, 1 / 3])
    assert phone.metrics == {}  # one seed left it without a score


def test_seeds_are_compared_on_the_items_that_all_of_them_scored():
    runs = [table(1, 0, np.nan, 1, 0, 1), table(1, 1, 0, 1, 0, np.nan)]
    _, email, phone = slices.of_runs(runs)
    metric = email.metrics["accuracy"]
    assert metric.scores == [0.5, 0.5]  # by its own items the second would have 1/3
    assert (email.n_items, metric.n_items, metric.unscored) == (3, 2, ["i2"])
    assert phone.metrics == {}


def test_a_candidate_is_scored_on_the_items_that_count_in_the_band_or_not_at_all():
    runs = [table(1, 0, np.nan, 1, 0, 1), table(1, 1, 0, 1, 0, 1)]
    band = band_of([asdict(row) for row in slices.of_runs(runs)])
    scored = {"chat": {"accuracy": 0.5}, "email": {"accuracy": 0.0}, "phone": {"accuracy": 1.0}}
    assert slices.of_candidate(table(1, 0, 1, 0, 0, 1), band) == {"channel": scored}
    assert slices.of_candidate(table(1, 0, np.nan, 0, 0, 1), band) == {"channel": scored}
    lacking = slices.of_candidate(table(np.nan, 0, 1, 0, 0, 1), band)["channel"]
    assert lacking == {value: scores for value, scores in scored.items() if value != "chat"}
    assert slices.of_candidate(table(1, 0, 1, 0, 0, 1).drop(columns="slice:channel"), band) == {}
    assert slices.of_candidate(table(1, 0, 1, 0, 0, 1).drop(columns="score:accuracy"), band) == {}


def test_a_worse_slice_is_told_and_the_others_are_not():
    rows = [row("chat", [0.80, 0.82, 0.81, 0.83]), row("email", [0.70, 0.72, 0.69, 0.71])]
    chat, email = slices.judge(band_of(rows), [candidate(chat=0.82, email=0.55)])
    assert (email.value, email.n_items, email.scores) == ("email", 30, (0.55,))
    assert email.p_adjusted < 0.01 < chat.p_adjusted
    assert email.lower <= 0.69
    assert email.mean == pytest.approx(0.705)
    assert (chat.p_adjusted, email.p_adjusted) == holm([chat.p_value, email.p_value])


def test_lower_is_better_turns_the_direction():
    rows = [row("chat", [0.80, 0.82, 0.81, 0.83])]
    band = fit_band({"accuracy": [0.8, 0.81]}, lower_is_better=["accuracy"], provenance={"slices": rows})
    assert slices.judge(band, [candidate(chat=0.95)])[0].p_value < 0.01
    assert slices.judge(band, [candidate(chat=0.65)])[0].p_value > 0.99


def test_a_slice_that_cannot_be_judged_says_nothing():
    without_scale = [row("chat", [0.8, 0.8, 0.8, 0.8])]
    assert slices.judge(band_of(without_scale), [candidate(chat=0.5)]) == ()
    rows = [row("chat", [0.80, 0.82, 0.81, 0.83])]
    assert slices.judge(band_of(rows), [candidate(email=0.5)]) == ()
    assert slices.judge(band_of(rows), [candidate(chat=0.5), Candidate("old", {"accuracy": 0.5}, None)]) == ()
    assert slices.judge(fit_band({"accuracy": [0.8, 0.81]}), [candidate(chat=0.5)]) == ()


def test_an_unchanged_candidate_has_a_slice_told_at_most_as_often_as_alpha_says():
    draw, told, rounds = np.random.default_rng(7), 0, 1500
    for scores in draw.normal(0.8, 0.02, (rounds, 6, 5)):
        rows = [row(f"v{n}", values[:4].tolist()) for n, values in enumerate(scores)]
        new = candidate(**{f"v{n}": float(values[4]) for n, values in enumerate(scores)})
        told += min(verdict.p_adjusted for verdict in slices.judge(band_of(rows), [new])) <= 0.05
    assert 0.03 < told / rounds < 0.065  # Holm keeps the family at .05; its standard error here is .006


def test_check_tells_slices_and_the_verdict_stands_without_them(tiny_swept):
    band = load_band(tiny_swept.band)
    found = {(entry["column"], entry["value"]) for entry in band.provenance["slices"]}
    assert found == {("channel", "chat"), ("channel", "email")}
    median = tiny_swept.runs / f"seed-{band.metrics[band.primary].median_seed}"
    done = run_cli("check", str(median), "--band", str(tiny_swept.band), cwd=tiny_swept.folder)
    assert done.code == 0, done.err
    assert "slices: on none of 2 is it worse than chance explains" in done.out
    done = run_cli("check", str(median), "--band", str(tiny_swept.band), "--json", cwd=tiny_swept.folder)
    told = json.loads(done.out)["slices"]
    assert {entry["value"] for entry in told} == {"chat", "email"}
    assert {entry["metric"] for entry in told} < set(band.metrics)


@pytest.mark.parametrize(
    "broken",
    [
        [{"column": "channel"}],
        [row("chat", [0.8])],
        [row("chat", [0.8, "0.9"])],
        [row("chat", [0.8, 0.9], floor=-1)],
        [{**row("chat", [0.8, 0.9]), "metrics": {"accuracy": {"scores": [0.8, 0.9], "floor": 0, "resolution": 0}}}],
        [{**row("chat", [0.8, 0.9]), "metrics": [1]}],
        {"channel": {}},
    ],
)
def test_a_band_with_other_slices_than_ours_is_refused(tmp_path, broken):
    band_of(broken).save(tmp_path / "band.json")
    with pytest.raises(Refused, match=r"provenance.slices: found .*, expected a list of slices"):
        load_band(tmp_path / "band.json")


@pytest.mark.parametrize(("n", "more"), [(5, ""), (8, "… and 3 more slices like these (--json has them)")])
def test_a_candidate_that_is_worse_everywhere_fills_no_screen(n, more, capsys):
    rows = [row(f"v{k}", [0.80, 0.82, 0.81, 0.83]) for k in range(n)]
    band = band_of(rows)
    new = candidate(**{f"v{k}": 0.1 + 0.01 * k for k in range(n)})
    print_verdict(replace(band.judge({"accuracy": 0.5}), slices=slices.judge(band, [new])), band)
    told = [
        line for line in capsys.readouterr().out.splitlines() if "after Holm advises" in line or "like these" in line
    ]
    assert [line.split(" (")[0] for line in told[:5]] == [f"accuracy on channel = v{k}" for k in range(5)]
    assert "".join(told[5:]) == more
