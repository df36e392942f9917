"""Bands and verdicts: the worked example, the rules, and what must hold for every input."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seedband import Refused, SeedbandError, UsageError, fit_band, load_band

WORKED = {"accuracy": [0.871, 0.884, 0.879, 0.892]}
ORDER = {"pass": 0, "suspect": 1, "fail": 2}
scores = st.integers(0, 400).map(lambda x: x / 400)
baselines = st.lists(scores, min_size=2, max_size=12)
candidates = st.lists(scores, min_size=1, max_size=5)
rules = st.sampled_from(["retest", "t", "range"])


def judge(baseline, candidate, **options):
    return fit_band({"m": baseline}).judge({"m": candidate}, **options).metrics["m"]


def test_worked_example_by_every_rule():
    band = fit_band(WORKED)
    retest, t, span = (
        band.judge({"accuracy": 0.869}, rule=rule).metrics["accuracy"] for rule in ("retest", "t", "range")
    )
    assert (retest.status, retest.screen_rate, retest.limit) == ("suspect", 0.2, 0.871)
    assert (retest.candidates_needed, retest.candidates_at_most) == (1, 2)
    assert retest.false_alarm_rate == pytest.approx(0.05, abs=5e-4)
    assert (t.status, round(t.p_value, 3), round(t.limit, 4), t.false_alarm_rate) == ("pass", 0.147, 0.8583, 0.05)
    assert (span.status, span.limit, span.false_alarm_rate) == ("fail", 0.871, 0.2)
    assert judge(WORKED["accuracy"], 0.869, rule="t", alpha=0.15).status == "fail"


def test_band_has_every_documented_number():
    b = fit_band(WORKED).metrics["accuracy"]
    assert (b.lower, b.upper, b.mean, b.median, b.n) == (0.871, 0.892, 0.8815, 0.8815, 4)
    assert (b.seeds, b.failed_seeds, b.median_seed) == ((0, 1, 2, 3), (), 2)
    assert (round(b.spread, 6), round(b.collapse_limit, 4)) == (0.021, 0.8239)


@pytest.mark.parametrize(
    ("given_scores", "status", "needed", "at_most"),
    [
        ([0.880], "pass", 0, 0),
        ([0.871], "pass", 0, 0),
        ([0.869], "suspect", 1, 2),
        ([0.80], "fail", 0, 0),
        ([0.869, 0.869], "suspect", 1, 1),
        ([0.869, 0.885], "pass", 0, 0),
        ([0.869, 0.82], "fail", 0, 0),
        ([0.869, 0.869, 0.868], "fail", 0, 0),
        ([0.869, 0.869, 0.892], "pass", 0, 0),
        ([0.885, 0.80], "fail", 0, 0),
    ],
)
def test_retest_looks_again_only_where_needed(given_scores, status, needed, at_most):
    m = judge(WORKED["accuracy"], given_scores)
    assert (m.status, m.candidates_needed, m.candidates_at_most) == (status, needed, at_most)


def test_candidates_trained_up_front_get_one_look():
    m = judge(WORKED["accuracy"], [0.885, 0.869, 0.869, 0.869])
    assert m.status == "pass"
    assert m.screen_rate == 0
    assert m.false_alarm_rate > 0.05


def test_larger_bands_screen_the_lowest_fifth():
    baseline = [0.80, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87, 0.88]
    assert judge(baseline, 0.805).status == "suspect"
    assert judge(baseline, 0.81).status == "pass"
    assert fit_band({"m": baseline}).metrics["m"].lower == 0.81


def test_lower_is_better_is_the_mirror_image():
    up = fit_band({"m": [1.0, 2.0, 3.0, 4.0]}).metrics["m"]
    down = fit_band({"m": [-1.0, -2.0, -3.0, -4.0]}, lower_is_better=["m"]).metrics["m"]
    assert (down.lower, down.upper, down.collapse_limit) == (-up.upper, -up.lower, -up.collapse_limit)
    assert down.median_seed == up.median_seed


@given(baselines, candidates, rules)
def test_direction_flip_is_symmetric(baseline, candidate, rule):
    up = fit_band({"m": baseline}).judge({"m": candidate}, rule=rule).metrics["m"]
    flipped = fit_band({"m": [-x for x in baseline]}, lower_is_better=["m"])
    down = flipped.judge({"m": [-x for x in candidate]}, rule=rule).metrics["m"]
    assert (up.status, up.p_value, up.detectable_drop) == (down.status, down.p_value, down.detectable_drop)


@given(baselines, candidates, rules, st.sampled_from([-8.0, -1.0, 0.5, 4.0]), st.sampled_from([0.125, 2.0, 1024.0]))
def test_shift_and_scale_change_nothing_but_units(baseline, candidate, rule, shift, scale):
    plain = judge(baseline, candidate, rule=rule)
    assume(plain.p_value is None or all(abs(plain.p_value - level) > 1e-6 for level in (0.005, 0.05, 0.2)))
    moved = judge([x * scale + shift for x in baseline], [y * scale + shift for y in candidate], rule=rule)
    assert moved.status == plain.status
    if plain.detectable_drop is not None and moved.detectable_drop is not None:
        assert moved.detectable_drop == pytest.approx(plain.detectable_drop * scale, rel=1e-6, abs=1e-9)


@given(baselines, candidates, rules, st.randoms(use_true_random=False))
def test_order_of_baseline_seeds_is_irrelevant(baseline, candidate, rule, draw):
    shuffled = draw.sample(baseline, len(baseline))
    assert judge(baseline, candidate, rule=rule) == judge(shuffled, candidate, rule=rule)


@settings(max_examples=400)
@given(baselines, candidates, rules, st.floats(0, 1), st.sampled_from([0.01, 0.05, 0.2]))
def test_lowering_all_candidates_never_helps_them(baseline, candidate, rule, drop, alpha):
    before = judge(baseline, candidate, rule=rule, alpha=alpha)
    after = judge(baseline, [y - drop for y in candidate], rule=rule, alpha=alpha)
    assert not (before.status in ("fail", "suspect") and after.status == "pass")


@given(st.lists(st.floats(), max_size=6), st.lists(st.floats(), max_size=4), rules, st.floats())
def test_any_floats_give_a_verdict_or_a_named_refusal(baseline, candidate, rule, alpha):
    try:
        m = fit_band({"m": baseline}, alpha=alpha).judge({"m": candidate}, rule=rule).metrics["m"]
    except SeedbandError:
        return
    assert m.status in ORDER
    assert m.p_value is None or 0 <= m.p_value <= 1


@given(
    st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=6),
    st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=4),
    rules,
)
def test_any_finite_scores_are_judged(baseline, candidate, rule):
    assert judge(baseline, candidate, rule=rule).status in ORDER


def test_zero_spread_is_no_proof_of_zero_noise():
    same = [0.9] * 4
    assert judge(same, 0.9).status == "pass"
    one = judge(same, 0.8)
    assert (one.status, one.p_value, one.detectable_drop, one.candidates_at_most) == ("suspect", None, None, 2)
    assert judge(same, [0.8] * 2).status == "suspect"
    assert judge(same, [0.8] * 3).status == "fail"


def test_items_put_a_floor_under_the_sd():
    items = [[1, 0, 1, 1], [0, 1, 1, 1]]
    band = fit_band({"m": [0.75, 0.75]}, items={"m": items}).metrics["m"]
    assert band.sd == 0
    assert band.floored_sd == band.floor == pytest.approx(math.sqrt(0.25 / 4))
    constant = fit_band({"m": [0.5, 0.5]}, items={"m": [[1, 0], [1, 0]]}).metrics["m"]
    assert constant.floor == 0.5
    assert constant.collapse_limit < 0.5


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (Refused, lambda: fit_band({})),
        (Refused, lambda: fit_band({"m": [0.9]})),
        (Refused, lambda: fit_band({"m": [0.9, float("nan")]})),
        (Refused, lambda: fit_band({"m": [0.9, float("inf")]})),
        (Refused, lambda: fit_band({"m": [0.9, True]})),
        (Refused, lambda: fit_band({"m": [0.9, 0.8], "o": [0.9]}, primary="m")),
        (Refused, lambda: fit_band(WORKED, seeds=[1, 1, 2, 3])),
        (UsageError, lambda: fit_band({"m": [0.9, 0.8], "o": [0.9, 0.7]})),
        (UsageError, lambda: fit_band(WORKED, primary="f1")),
        (UsageError, lambda: fit_band(WORKED, lower_is_better=["f1"])),
        (UsageError, lambda: fit_band(WORKED, alpha=0.5)),
        (UsageError, lambda: fit_band(WORKED, rule="sigma")),
        (Refused, lambda: fit_band(WORKED).judge({"f1": 0.9})),
        (Refused, lambda: fit_band(WORKED).judge({"accuracy": 0.9, "f1": 0.9})),
        (Refused, lambda: fit_band(WORKED).judge({"accuracy": []})),
        (Refused, lambda: fit_band(WORKED).judge({"accuracy": float("nan")})),
        (UsageError, lambda: fit_band(WORKED).judge({"accuracy": 0.9}, alpha=0.0001)),
        (UsageError, lambda: fit_band(WORKED).judge({"accuracy": 0.9}, rule="sigma")),
    ],
)
def test_refuses_what_allows_no_verdict(kind, make):
    with pytest.raises(kind):
        make()


def test_primary_gates_and_the_others_advise():
    band = fit_band({"a": [0.8, 0.81, 0.82, 0.83], "b": [0.5, 0.6, 0.7, 0.8]}, primary="a")
    verdict = band.judge({"a": 0.82, "b": 0.0})
    assert (verdict.status, verdict.metrics["b"].status) == ("pass", "suspect")
    assert verdict.metrics["a"].gates
    assert not verdict.metrics["b"].gates


def test_numpy_scores_are_scores():
    band = fit_band({"m": np.array([0.8, 0.81, 0.82], dtype=np.float32)})
    assert band.judge({"m": np.float32(0.81)}).status == "pass"


def test_failed_candidate_fails_whatever_its_scores():
    verdict = fit_band(WORKED).judge({"accuracy": 0.9}, failure="loss is not finite")
    assert (verdict.status, verdict.reason) == ("fail", "loss is not finite")


def test_saved_band_is_the_band(tmp_path):
    band = fit_band(
        {"a": [0.8, 0.81], "b": [2.0, 3.0]}, primary="a", lower_is_better=["b"], alpha=0.1, failed_seeds=[7]
    )
    band.save(tmp_path / "band.json")
    assert load_band(tmp_path / "band.json") == band


@pytest.mark.parametrize("change", ["scores", "alpha", "primary", "seeds"])
def test_edited_band_is_refused(tmp_path, change):
    fit_band(WORKED).save(tmp_path / "band.json")
    content = json.loads((tmp_path / "band.json").read_text())
    if change == "scores":
        content["metrics"]["accuracy"]["scores"][0] = 0.1
    else:
        content[change] = {"alpha": 0.2, "primary": "other", "seeds": [4, 5, 6, 7]}[change]
    (tmp_path / "band.json").write_text(json.dumps(content))
    with pytest.raises(Refused, match="sha256"):
        load_band(tmp_path / "band.json")


def test_judging_a_thousand_metrics_costs_one_fit_each():
    draw = np.random.default_rng(0)
    table = {f"m{i}": draw.normal(size=32).tolist() for i in range(1000)}
    band = fit_band(table, primary="m0")
    verdict = band.judge(dict.fromkeys(table, 0.0))
    assert len(verdict.metrics) == 1000
