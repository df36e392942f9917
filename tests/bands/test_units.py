"""Percent and fractions never meet in a verdict: in Python, in pytest and on the command line alike."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import run_cli

from seedband import Refused, evaluators, fit_band, load_band
from seedband.bands import units
from seedband.pytest_plugin import assert_within
from seedband.storage.registry import EVALUATORS

WORKED = [0.871, 0.884, 0.879, 0.892]
PERCENT = [100 * score for score in WORKED]


def test_bounds_are_those_of_the_evaluators():
    own = {name: evaluators.built_in(name).bounds for name in EVALUATORS.built_in}
    assert {name: bounds for name, bounds in own.items() if bounds != (-math.inf, math.inf)} == units.BOUNDS


@pytest.mark.parametrize("metric", ["accuracy", "eval_accuracy", "my own score"])
def test_percent_on_a_band_of_fractions_and_the_reverse_are_refused_under_any_name(metric):
    band = fit_band({metric: WORKED})
    for rule, seeds in (("retest", ()), ("t", ()), ("range", ()), ("paired", (0, 1))):
        with pytest.raises(Refused, match="percent or fraction"):
            band.judge({metric: [41.5, 42.0][: max(1, len(seeds))]}, rule=rule, seeds=seeds)
    assert band.judge({metric: 0.885}).status == "pass"
    other = fit_band({"eval_accuracy": PERCENT})
    with pytest.raises(Refused, match="percent or fraction"):
        other.judge({"eval_accuracy": 0.88})
    assert other.judge({"eval_accuracy": 0.0}).status == "fail"
    assert other.judge({"eval_accuracy": 41.5}).status == "fail"


def test_a_baseline_in_two_units_is_refused_and_one_that_lies_around_1_is_not():
    with pytest.raises(Refused, match=r"eval_f1 of seed 3 is 0.892, of seed 1 88.4: percent or fraction\?"):
        fit_band({"eval_f1": [0.871, 88.4, 0.879, 0.892]})
    for fine in ([0.9, 1.7, 1.2], [0.03, 2.1, 1.3, -0.4], [0.9, 12.0, 11.0], [0.5, 400.0], [0.008, 1.55]):
        assert fit_band({"reward": fine}).metrics["reward"].scores == tuple(fine)
    with pytest.raises(Refused, match=r"accuracy of seed 1 is 88\.4, expected 0 to 1"):
        fit_band({"accuracy": [0.871, 88.4, 0.879, 0.892]})
    with pytest.raises(Refused, match="expected 0 to 1"):
        fit_band({"accuracy": PERCENT})


def test_a_seed_that_scored_nothing_hides_no_second_unit():
    with pytest.raises(Refused, match=r"of seed 1 is 0.88, of seed 2 88.4: percent or fraction\?"):
        fit_band({"eval_accuracy": [0, 0.88, 88.4]})
    assert fit_band({"eval_accuracy": [0, 0.88]}).metrics["eval_accuracy"].n == 2


def test_a_history_in_another_unit_lends_no_variance():
    past = [fit_band({"score": scores}) for scores in ([87.1, 88.4, 87.9], [86.1, 88.2, 87.0])]
    with pytest.raises(Refused, match=r"history, band 1: score scores 87.1 to 88.4, .* percent or fraction\?"):
        fit_band({"score": [0.871, 0.884, 0.879]}, history=past)
    assert fit_band({"score": [87.2, 88.1, 87.7]}, history=past).metrics["score"].prior.df > 0
    higher_losses = [fit_band({"loss": scores}, lower_is_better=["loss"]) for scores in ([2.1, 2.4], [1.9, 2.2])]
    assert fit_band({"loss": [0.8, 0.9]}, lower_is_better=["loss"], history=higher_losses)


@given(st.floats(0, 1e90), st.floats(0.01, 10))
def test_a_loss_is_never_refused_for_its_size(candidate, scale):
    band = fit_band({"eval_loss": [scale * score for score in WORKED]}, lower_is_better="eval_loss")
    worse = candidate > 10 * scale
    status = band.judge({"eval_loss": candidate}).status
    assert status == "fail" if worse else status in ("pass", "suspect", "fail")


def test_a_loss_is_refused_for_a_sign_that_its_band_does_not_have():
    positive = fit_band({"loss": WORKED}, lower_is_better="loss")
    with pytest.raises(Refused, match="another sign"):
        positive.judge({"loss": -0.87})
    negative = fit_band({"score": [-score for score in WORKED]}, lower_is_better="score")
    with pytest.raises(Refused, match="another sign"):
        negative.judge({"score": 0.87})
    both = fit_band({"score": [-0.1, 0.1, 0.2]}, lower_is_better="score")
    assert {both.judge({"score": score}).status for score in (-5.0, 5.0)} == {"pass", "fail"}
    assert positive.judge({"loss": 3e40}).status == "fail"


def test_scores_of_the_bands_own_evaluators_have_its_unit():
    band = fit_band({"bleu": [30.1, 30.4, 31.0]})
    assert band.judge({"bleu": 0.4}, same_evaluators=True).status == "fail"
    with pytest.raises(Refused, match="percent or fraction"):
        band.judge({"bleu": 0.4})


def test_bands_of_an_evaluator_of_the_users_own_may_have_any_unit():
    signed = {"signature": {"evaluators": {"accuracy": {"name": "python:mine:percent"}}}}
    band = fit_band({"accuracy": PERCENT}, provenance=signed)
    assert band.judge({"accuracy": 88.0}).status == "pass"


def test_every_door_refuses_and_names_what_it_was_given(tmp_path):
    (tmp_path / "base.csv").write_text("seed,accuracy\n" + "".join(f"{s},{x}\n" for s, x in enumerate(WORKED)))
    (tmp_path / "pct.csv").write_text("seed,accuracy\n9,41.5\n")
    assert run_cli("band", "base.csv", "-q", cwd=tmp_path).code == 0
    done = run_cli("check", "--scores", "pct.csv", cwd=tmp_path)
    assert (done.code, done.out) == (3, "")
    assert (
        "pct.csv: accuracy: a candidate scores 41.5, the band's seeds 0.871 to 0.892: percent or fraction?" in done.err
    )
    with pytest.raises(Refused, match="percent or fraction"):
        load_band(tmp_path / "band.json").judge({"accuracy": 41.5})
    with pytest.raises(pytest.fail.Exception, match=r"REFUSED: accuracy: a candidate scores 41\.5"):
        assert_within(41.5, tmp_path / "band.json", "accuracy")
    (tmp_path / "test_gate.py").write_text(
        "def test_gate(seedband_gate):\n    seedband_gate('band.json').check_scores({'accuracy': [41.5]})\n"
    )
    gate = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_gate.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert gate.returncode == 1
    assert "REFUSED: accuracy: a candidate scores 41.5" in gate.stdout


@pytest.mark.parametrize("shape", [(), (1,)])
def test_arrays_and_tensors_are_scores(shape):
    import torch

    band = fit_band({"accuracy": WORKED})
    for given_score in (np.full(shape, 0.885), torch.full(shape, 0.885, dtype=torch.float64), np.float32(0.885)):
        assert band.judge({"accuracy": given_score}).status == "pass"
        assert assert_within(given_score, band).status == "pass"
    with pytest.raises(Refused, match="is not a finite score"):
        band.judge({"accuracy": torch.tensor(float("nan"))})
