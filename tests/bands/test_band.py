"""Bands and verdicts: the worked example, the rules, and what must hold for every input."""

import json
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import t, tstd, ttest_1samp

from seedband import Refused, SeedbandError, UsageError, fit_band, load_band

WORKED = {"accuracy": [0.871, 0.884, 0.879, 0.892]}
ORDER = {"pass": 0, "suspect": 1, "fail": 2}
scores = st.integers(0, 400).map(lambda x: x / 400)
baselines = st.lists(scores, min_size=2, max_size=12)
candidates = st.lists(scores, min_size=1, max_size=5)
rules = st.sampled_from(["retest", "t", "range"])
levels_of_a_rule = st.sampled_from([0.001, 0.01, 0.05, 0.2])


class Evidence(NamedTuple):
    """What else a band of one metric is made of.

    Attributes:
        history: Scores of earlier bands.
        flips: By how much each item differs between even and odd seeds, in 1/8; empty for a band without items.
    """

    history: list = []
    flips: list = []

    def items(self, n, move):
        """Graded items, so that they follow the unit of the score; a flip of 0 everywhere is a floor of 0."""
        rows = [[move((3 + 2 * (seed % 2) * flip) / 16) for flip in self.flips] for seed in range(n)]
        return {"m": rows} if self.flips else {}


BARE = Evidence()
histories = st.just([]) | st.lists(
    st.lists(scores, min_size=2, max_size=5).filter(lambda past: min(past) < max(past)), min_size=2, max_size=4
)
evidences = st.builds(Evidence, histories, st.lists(st.integers(0, 4), max_size=4))


def fitted(baseline, evidence=BARE, move=float, **options):
    """A band of one metric; `move` changes the unit of all that it is made of."""
    # One band twice is refused; test_history.py says so.
    if evidence.history:
        assume(len({tuple(sorted(scores)) for scores in [baseline, *evidence.history]}) == 1 + len(evidence.history))
    items = evidence.items(len(baseline), move)
    try:
        history = [fit_band({"m": [move(x) for x in past]}, **options) for past in evidence.history]
        return fit_band({"m": [move(x) for x in baseline]}, items=items, history=history, **options)
    except Refused as error:
        assume("percent or fraction" not in error.message)  # test_units.py says when
        raise


def judge(baseline, candidate, evidence=BARE, **options):
    return fitted(baseline, evidence).judge({"m": candidate}, same_evaluators=True, **options).metrics["m"]


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
        ([0.868, 0.868, 0.9], "pass", 0, 0),
        ([0.869, 0.82], "fail", 0, 0),
        ([0.869, 0.869, 0.868], "fail", 0, 0),
        ([0.869, 0.869, 0.892], "pass", 0, 0),
        ([0.885, 0.80], "fail", 0, 0),
    ],
)
def test_retest_looks_again_only_where_needed(given_scores, status, needed, at_most):
    m = judge(WORKED["accuracy"], given_scores, looks=len(given_scores) - 1)
    assert (m.status, m.candidates_needed, m.candidates_at_most) == (status, needed, at_most)
    # Looks on record all had a candidate of their own: from which one on they are told makes no difference.
    for looks in range(1, len(given_scores) + 1):
        assert judge(WORKED["accuracy"], given_scores, looks=looks) == m


@pytest.mark.parametrize(
    ("given_scores", "status", "reason"),
    [
        ([0.885, 0.869], "pass", "one look at 2 candidates: p = 0.307 > 0.04"),
        ([0.869, 0.869], "pass", "one look at 2 candidates: p = 0.0658 > 0.04"),
        ([0.885, 0.869, 0.869, 0.869], "pass", "one look at 4 candidates: p = 0.102 > 0.03"),
        ([0.869, 0.868, 0.866], "fail", "one look at 3 candidates: p = 0.0233 <= 0.04"),
        ([0.885, 0.80], "fail", "one look at 2 candidates: candidate 2 of 2 collapsed"),
    ],
)
def test_candidates_given_together_get_one_look_at_the_rate_alpha(given_scores, status, reason):
    m = judge(WORKED["accuracy"], given_scores)
    assert (m.status, m.candidates_needed, m.screen_rate) == (status, 0, 0)
    assert m.reason.startswith(reason)
    assert (m.false_alarm_rate, m.rate_is_bound) == (0.05, False)
    assert judge(WORKED["accuracy"], given_scores[::-1]).status == status


def test_rule_t_fails_a_collapsed_candidate_and_prints_what_that_costs():
    hidden = judge(WORKED["accuracy"], [0.9, 0.9, 0.8], rule="t")
    assert (hidden.status, hidden.reason) == ("fail", "candidate 3 of 3 collapsed")
    assert hidden.p_value > 0.05
    assert hidden.limit == pytest.approx(0.8239, abs=5e-5)
    assert hidden.false_alarm_rate == pytest.approx(0.059, abs=1e-3)
    alone = judge(WORKED["accuracy"], [0.8], rule="t")
    assert (alone.status, alone.false_alarm_rate, alone.rate_is_bound) == ("fail", 0.05, False)


def test_two_new_candidates_behind_a_look_on_record_are_two_looks():
    first, last = [0.869, 0.868], 0.867
    both = judge(WORKED["accuracy"], [*first, last], looks=1)
    assert both == judge(WORKED["accuracy"], [*first, last], looks=2)
    assert both.reason.startswith("look 3: p = ")
    assert both.false_alarm_rate == pytest.approx(0.05, abs=1e-3)


def test_what_lies_behind_a_look_that_passed_changes_nothing_unless_it_collapsed():
    passed = judge(WORKED["accuracy"], [0.88, 0.85], looks=1)
    assert (passed.status, passed.reason) == ("pass", "look 1 had settled it: inside the band, or better")
    assert (passed.rate_is_bound, passed.screen_rate) == (True, 0)
    assert 0.05 < passed.false_alarm_rate < 0.06
    collapsed = judge(WORKED["accuracy"], [0.88, 0.82], looks=1)
    assert (collapsed.status, collapsed.reason) == ("fail", "candidate 2 of 2 collapsed")


@pytest.mark.parametrize(("looks", "bound"), [(1, 0.05), (2, 0.057)])
def test_more_than_three_candidates_are_one_look_behind_those_on_record(looks, bound):
    four = [0.869, 0.868, 0.868, 0.867]
    m = judge(WORKED["accuracy"], four, looks=looks)
    assert (m.status, m.reason.startswith("one look at 4 candidates: p = ")) == ("fail", True)
    assert (m.false_alarm_rate, m.rate_is_bound) == (pytest.approx(bound, abs=2e-3), True)
    settled = judge(WORKED["accuracy"], [0.88, *four[1:]], looks=looks)
    assert (settled.status, settled.reason[:13]) == ("pass", "look 1 had se")


@pytest.mark.parametrize("looks", [-1, 3, 1.0, True, "1"])
def test_looks_that_cannot_have_been_taken_are_a_mistake(looks):
    with pytest.raises(UsageError, match="expected how many of the 2 candidates"):
        judge(WORKED["accuracy"], [0.869, 0.868], looks=looks)
    with pytest.raises(UsageError, match="looks on record belong to rule retest, this is range"):
        judge(WORKED["accuracy"], [0.869, 0.868], looks=1, rule="range")


def test_a_metric_whose_look_passed_keeps_its_verdict_when_another_asked_for_more():
    band = three_metrics()
    first = band.judge({"a": 0.869, "b": 0.815, "loss": 0.5})
    assert (first.status, first.metrics["b"].status) == ("suspect", "pass")
    second = band.judge({"a": [0.869, 0.868], "b": [0.815, 0.79], "loss": [0.5, 0.5]}, looks=1)
    assert second.metrics["b"].reason == "look 1 had settled it: inside the band, or better"
    assert second.status == second.metrics["a"].status == "suspect"


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


@given(baselines, candidates, evidences, rules)
def test_direction_flip_is_symmetric(baseline, candidate, evidence, rule):
    up = judge(baseline, candidate, evidence, rule=rule)
    flipped = fitted(baseline, evidence, lambda x: -x, lower_is_better=["m"])
    down = flipped.judge({"m": [-x for x in candidate]}, rule=rule, same_evaluators=True).metrics["m"]
    assert (up.status, up.p_value, up.detectable_drop) == (down.status, down.p_value, down.detectable_drop)


@given(
    baselines,
    candidates,
    evidences,
    rules,
    st.sampled_from([-8.0, -1.0, 0.5, 4.0]),
    st.sampled_from([0.125, 2.0, 1024.0]),
)
def test_shift_and_scale_change_nothing_but_units(baseline, candidate, evidence, rule, shift, scale):
    def move(x):
        return x * scale + shift

    plain = judge(baseline, candidate, evidence, rule=rule)
    assume(plain.p_value is None or all(abs(plain.p_value - level) > 1e-6 for level in (0.005, 0.05, 0.2)))
    moved = (
        fitted(baseline, evidence, move)
        .judge({"m": [move(y) for y in candidate]}, rule=rule, same_evaluators=True)
        .metrics["m"]
    )
    assert moved.status == plain.status
    if plain.detectable_drop is not None and moved.detectable_drop is not None:
        assert moved.detectable_drop == pytest.approx(plain.detectable_drop * scale, rel=1e-6, abs=1e-9)


@given(baselines, candidates, evidences, rules, st.randoms(use_true_random=False))
def test_order_of_baseline_seeds_is_irrelevant(baseline, candidate, evidence, rule, draw):
    shuffled = draw.sample(baseline, len(baseline))
    assert judge(baseline, candidate, evidence, rule=rule) == judge(shuffled, candidate, evidence, rule=rule)


@settings(max_examples=600)
@given(
    baselines,
    candidates.flatmap(lambda y: st.tuples(st.just(y), st.lists(st.floats(0, 1), min_size=len(y), max_size=len(y)))),
    evidences,
    rules,
    st.integers(0, 4),
    st.sampled_from([0.001, 0.01, 0.05, 0.2]),
)
def test_a_candidate_that_got_worse_never_helps(baseline, candidate_and_drops, evidence, rule, looks, alpha):
    """Whatever the rule, the looks on record and which of the candidates got worse."""
    candidate, drops = candidate_and_drops
    taken = min(looks, len(candidate)) if rule == "retest" else 0
    worse = [y - drop for y, drop in zip(candidate, drops, strict=True)]
    before, after = (judge(baseline, y, evidence, rule=rule, alpha=alpha, looks=taken) for y in (candidate, worse))
    assert ORDER[after.status] >= ORDER[before.status]
    assert (before.p_value is None) == (after.p_value is None)
    # Above .5 candidates are better than the baseline, and there no rule draws a line.
    assert before.p_value is None or after.p_value <= before.p_value * (1 + 1e-9) or before.p_value > 0.5


any_scores = st.lists(st.floats(), max_size=6)


@given(
    any_scores,
    st.lists(any_scores, max_size=3),
    st.lists(st.lists(st.floats(), max_size=3), max_size=3),
    st.lists(st.floats(), max_size=4),
    rules,
    st.floats() | st.just(0.05),
)
def test_any_floats_give_a_verdict_or_a_named_refusal(baseline, history, items, candidate, rule, alpha):
    try:
        past = [fit_band({"m": earlier}) for earlier in history]
        band = fit_band({"m": baseline}, alpha=alpha, history=past, items={"m": items} if items else {})
        m = band.judge({"m": candidate}, rule=rule).metrics["m"]
    except SeedbandError:
        return
    assert m.status in ORDER
    assert m.p_value is None or 0 <= m.p_value <= 1


@given(
    st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=6),
    st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=4),
    evidences,
    rules,
)
def test_any_finite_scores_are_judged(baseline, candidate, evidence, rule):
    assert judge(baseline, candidate, evidence, rule=rule).status in ORDER


def test_zero_spread_is_no_proof_of_zero_noise():
    same = [0.9] * 4
    assert judge(same, 0.9).status == "pass"
    one = judge(same, 0.8)
    assert (one.status, one.p_value, one.detectable_drop, one.candidates_at_most) == ("suspect", None, None, 2)
    assert judge(same, [0.8] * 2).status == "suspect"
    assert judge(same, [0.8] * 3).status == "fail"


@pytest.mark.parametrize(
    ("given_scores", "status", "asked", "screened"),
    [
        ([0.899, 0.898], "suspect", (1, 1), 0.2),
        ([0.88, 0.88], "suspect", (1, 1), 0.2),
        ([0.1, 0.88], "suspect", (1, 1), 0.2),
        ([0.899, 0.898, 0.897], "fail", (0, 0), 0.0),
        ([0.88, 0.88, 0.88], "fail", (0, 0), 0.0),
        ([0.5, 0.88, 0.89, 0.7], "fail", (0, 0), 0.0),
        ([0.5, 0.9, 0.9], "pass", (0, 0), 0.0),
        ([0.5, 0.9], "pass", (0, 0), 0.2),
        ([0.95, 0.1, 0.1, 0.1], "pass", (0, 0), 0.0),
    ],
)
@pytest.mark.parametrize("rule", ["retest", "t"])
def test_a_band_without_scale_judges_by_ranks_whatever_the_candidates_spread(
    given_scores, status, asked, screened, rule
):
    m = judge([0.9] * 4, given_scores, rule=rule)
    assert (m.status, m.p_value, m.limit) == (status, None, 0.9)
    assert (m.candidates_needed, m.candidates_at_most) == asked
    assert m.screen_rate == (screened if rule == "retest" else 0.0)
    # The rate of the end: four of four candidates below the band are 1 in C(8, 4).
    assert m.false_alarm_rate == pytest.approx(1 / math.comb(4 + max(3, len(given_scores)), 4))


@given(st.integers(2, 8), st.lists(st.integers(-5, 5), min_size=1, max_size=6), st.integers(0, 5), levels_of_a_rule)
def test_a_lower_candidate_is_never_better_off_at_zero_spread(n, steps, drop, alpha):
    moved = [[0.5 + (step - lower) / 64 for step in steps] for lower in (0, drop)]
    before, after = (judge([0.5] * n, candidate, alpha=alpha) for candidate in moved)
    assert ORDER[after.status] >= ORDER[before.status]
    below = max(steps) < 0
    settled = 1 / math.comb(n + len(steps), n) <= alpha
    assert before.status == ("pass" if not below else "fail" if settled else "suspect")


@pytest.mark.parametrize("rule", ["retest", "t", "range"])
def test_rate_under_a_floor_is_a_bound(rule):
    items = {"m": [[1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0]]}
    bare, floored = (fit_band({"m": [0.75, 0.8, 0.7]}, items=table).metrics["m"] for table in ({}, items))
    assert (bare.floor, floored.floor > 0) == (0, True)
    assert [band.prospect(rule).rate_is_bound for band in (bare, floored)] == [False, rule != "range"]


def test_up_front_rate_beyond_the_table_is_a_bound():
    for rule in ("retest", "t"):
        ten, eleven = (judge(WORKED["accuracy"], [0.88] * k, rule=rule) for k in (10, 11))
        assert (ten.rate_is_bound, eleven.rate_is_bound) == (False, True)


@pytest.mark.parametrize("rule", ["retest", "t", "range"])
def test_prospect_is_what_a_candidate_at_the_mean_is_told(rule):
    own = [0.5, 0.51, 0.54, 0.52]
    band = fit_band({"loss": own}, lower_is_better="loss")
    for alpha in (0.05, 0.1):
        m = band.judge({"loss": band.metrics["loss"].mean}, rule=rule, alpha=alpha).metrics["loss"]
        told = band.metrics["loss"].prospect(rule, alpha)
        assert told.status == m.status == "pass"
        shared = ("false_alarm_rate", "screen_rate", "detectable_drop", "p_value", "rate_is_bound")
        assert [getattr(told, name) for name in shared] == [getattr(m, name) for name in shared]
        assert rule == "range" or told.false_alarm_rate == pytest.approx(alpha, rel=0.03)
    assert band.metrics["loss"].prospect(rule) == band.metrics["loss"].prospect(rule, 0.05)


def test_items_put_a_floor_under_the_sd():
    items = [[1, 0, 1, 1], [0, 1, 1, 1]]
    band = fit_band({"m": [0.75, 0.75]}, items={"m": items}).metrics["m"]
    assert band.sd == 0
    assert band.noise_sd == band.floor == pytest.approx(math.sqrt(0.25 / 4))
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
        (UsageError, lambda: fit_band(WORKED, rule="paired")),
        (UsageError, lambda: fit_band(WORKED, gates=["f1"])),
        (Refused, lambda: fit_band({"m": [0.5, 0.6]}, items={"m": [[1, 0], [0, 1], [1, 1]]})),
        (Refused, lambda: fit_band(WORKED).judge({"f1": 0.9})),
        (Refused, lambda: fit_band(WORKED).judge({"accuracy": []})),
        (Refused, lambda: fit_band(WORKED).judge({"accuracy": float("nan")})),
        (UsageError, lambda: fit_band(WORKED).judge({"accuracy": 0.9}, alpha=0.0001)),
        (UsageError, lambda: fit_band(WORKED).judge({"accuracy": 0.9}, rule="sigma")),
        (UsageError, lambda: fit_band(WORKED).judge({"accuracy": 0.9}, tolerance=0.01)),
        (UsageError, lambda: by_pairs(WORKED["accuracy"], [0.9, 0.9], tolerance=-0.01)),
        (UsageError, lambda: by_pairs(WORKED["accuracy"], [0.9, 0.9], tolerance=float("nan"))),
        (UsageError, lambda: by_pairs(WORKED["accuracy"], [0.9, 0.9], tolerance=True)),
    ],
)
def test_refuses_what_allows_no_verdict(kind, make):
    with pytest.raises(kind):
        make()


@pytest.mark.parametrize(
    ("table", "options", "told"),
    [
        ({"m": 0.9}, {}, "m: 0.9 is no list of scores"),
        ({"m": "0.9"}, {}, "m: '0.9' is no list of scores"),
        ({"m": None}, {}, "m: None is no list of scores"),
        ({"m": [0.9, 0.8], "o": 0.9}, {"primary": "m"}, "o: 0.9 is no list of scores"),
        (WORKED, {"seeds": [0.5, 1, 2, 3]}, "root seeds are whole numbers of 0 or more"),
        (WORKED, {"seeds": [-1, 1, 2, 3]}, "root seeds are whole numbers of 0 or more"),
        (WORKED, {"seeds": [True, 0, 2, 3]}, "root seeds are whole numbers of 0 or more"),
        (WORKED, {"seeds": ["0", "1", "2", "3"]}, "root seeds are whole numbers of 0 or more"),
        (WORKED, {"failed_seeds": [7, 9, 7]}, "failed seed 7 is named twice"),
        (WORKED, {"seeds": [4, 5, 6, 7], "failed_seeds": [8, 7]}, "failed seed 7 .* is one of the healthy seeds"),
        (WORKED, {"failed_seeds": [3]}, "failed seed 3 .* is one of the healthy seeds"),
    ],
)
def test_what_is_no_table_of_scores_by_seed_is_a_mistake(table, options, told):
    with pytest.raises(UsageError, match=told):
        fit_band(table, **options)


def test_numpy_seeds_are_seeds_and_one_metric_may_be_named_by_itself():
    band = fit_band({"loss": np.array([0.5, 0.6])}, seeds=np.array([7, 9]), failed_seeds=[8], lower_is_better="loss")
    assert (band.seeds, band.failed_seeds, band.metrics["loss"].higher_is_better) == ((7, 9), (8,), False)
    with pytest.raises(UsageError, match="'os'"):
        fit_band({"loss": [0.5, 0.6]}, lower_is_better="os")


THREE = {"a": [0.871, 0.884, 0.879, 0.892], "b": [0.80, 0.81, 0.82, 0.83], "loss": [0.5, 0.51, 0.53, 0.52]}


def three_metrics(gates=("a", "b"), **options):
    return fit_band(THREE, primary="a", gates=gates, lower_is_better=["loss"], **options)


@pytest.mark.parametrize("rule", ["retest", "t", "range"])
@pytest.mark.parametrize("gates", [["a"], ["a", "b"], ["loss", "b", "a"]])
def test_gating_metrics_share_the_level_and_advising_ones_keep_it(gates, rule):
    candidate = {"a": [0.87, 0.865], "b": [0.815, 0.79], "loss": [0.6, 0.5]}
    verdict = three_metrics(gates).judge(candidate, rule=rule)
    for name, scores in THREE.items():
        level = 0.05 / len(gates) if name in gates else 0.05
        alone = fit_band({name: scores}, alpha=level, lower_is_better=[name] if name == "loss" else [])
        m = verdict.metrics[name]
        assert m == replace(alone.judge({name: candidate[name]}, rule=rule).metrics[name], gates=name in gates)
        assert m.alpha == level
        assert three_metrics(gates).metrics[name].collapse_limit == alone.metrics[name].collapse_limit
    assert verdict.gating.keys() == set(gates)
    rates = [verdict.metrics[name].false_alarm_rate for name in gates]
    assert verdict.false_alarm_rate == pytest.approx(sum(rates))
    if rule == "retest":
        assert verdict.false_alarm_rate == pytest.approx(0.05)


def test_false_alarm_rate_of_many_gates_is_at_most_one():
    table = {f"m{i}": [0.8, 0.9] for i in range(5)}
    verdict = fit_band(table, primary="m0", gates=list(table), rule="range").judge(dict.fromkeys(table, 0.85))
    assert verdict.metrics["m0"].false_alarm_rate == pytest.approx(1 / 3)
    assert verdict.false_alarm_rate == 1.0


@pytest.mark.parametrize(
    ("candidate", "status", "named", "asked"),
    [
        ({"a": 0.88, "b": 0.81, "loss": 0.9}, "pass", "", 0),
        ({"a": 0.88, "b": 0.799, "loss": 0.5}, "suspect", "b: ", 1),
        ({"a": 0.869, "b": 0.799, "loss": 0.5}, "suspect", "", 1),
        ({"a": 0.869, "b": 0.5, "loss": 0.5}, "fail", "b: ", 0),
        ({"a": 0.5, "b": 0.799, "loss": 0.5}, "fail", "", 0),
        ({"a": 0.5, "b": 0.5, "loss": 0.5}, "fail", "", 0),
    ],
)
def test_worst_of_the_gates_decides_and_is_named(candidate, status, named, asked):
    verdict = three_metrics().judge(candidate)
    reasons = {"": verdict.metrics["a"].reason, "b: ": verdict.metrics["b"].reason}
    assert (verdict.status, verdict.reason) == (status, named + reasons[named])
    assert (verdict.candidates_needed, verdict.candidates_at_most) == (asked, 2 * asked)


def test_settled_verdict_asks_for_no_more_seeds_whatever_its_metrics_ask():
    verdict = fit_band(WORKED).judge({"accuracy": 0.869}, failure="loss is not finite")
    assert verdict.metrics["accuracy"].status == "suspect"
    assert (verdict.status, verdict.candidates_needed, verdict.candidates_at_most) == ("fail", 0, 0)


def test_level_of_a_gate_stays_in_the_range_of_the_rules():
    table = {f"m{i}": [0.8, 0.81, 0.83] for i in range(51)}
    assert fit_band(table, primary="m0", gates=list(table)[:50]).metrics["m0"].alpha == pytest.approx(0.001)
    with pytest.raises(UsageError, match="51 gating metrics"):
        fit_band(table, primary="m0", gates=list(table))
    with pytest.raises(UsageError, match="2 gating metrics"):
        three_metrics().judge(dict.fromkeys(THREE, 0.8), alpha=0.0015)


def test_primary_is_among_the_gates():
    with pytest.raises(UsageError, match="'a' is not among those that gate: b, loss"):
        three_metrics(["b", "loss"])
    assert three_metrics(()).gates == ("a",)
    assert three_metrics(["a", "b", "a"]).gates == ("a", "b")


def test_saved_gates_are_the_gates(tmp_path):
    band = three_metrics(["b", "a"], alpha=0.1)
    band.save(tmp_path / "band.json")
    loaded = load_band(tmp_path / "band.json")
    assert loaded == band
    assert (loaded.gates, loaded.metrics["b"].alpha, loaded.metrics["loss"].alpha) == (("b", "a"), 0.05, 0.1)


def by_pairs(baseline, candidate, seeds=None, evidence=BARE, move=float, **options):
    """The verdict of rule paired; the candidates take the first seeds of the band unless told."""
    band = fitted(baseline, evidence, move)
    seeds = band.seeds[: len(candidate)] if seeds is None else seeds
    known = {"rule": "paired", "seeds": seeds, "same_evaluators": True}
    return band.judge({"m": [move(y) for y in candidate]}, **known, **options).metrics["m"]


def test_pairs_are_compared_seed_by_seed():
    baseline = [0.871, 0.884, 0.879, 0.892]
    m = by_pairs(baseline, [0.861, 0.873, 0.887], seeds=[2, 0, 3], tolerance=0.002)
    assert m.differences == pytest.approx((-0.018, 0.002, -0.005))
    expected = ttest_1samp([d + 0.002 for d in m.differences], 0, alternative="less").pvalue
    assert (m.rule, m.tolerance, m.p_value) == ("paired", 0.002, pytest.approx(expected))
    assert (m.status, m.candidates_needed, m.candidates_at_most) == ("suspect", 1, 1)
    assert m.detectable_drop == pytest.approx(0.002 + 2.143 * tstd(m.differences), rel=2e-3)


def test_looks_that_are_not_on_record_count_from_two_pairs():
    baseline, candidate = WORKED["accuracy"], [0.861, 0.88, 0.87]  # p = .027
    how = {"tolerance": 0.0}
    assert [
        by_pairs(baseline, candidate, **how, **looks).status
        for looks in ({}, {"first_pairs": 2}, {"first_pairs": 3}, {"final": True})
    ] == ["suspect", "suspect", "fail", "fail"]
    for mistake in ({"first_pairs": 1}, {"first_pairs": 4}):
        with pytest.raises(UsageError, match="expected 2 to the 3 that there are now"):
            by_pairs(baseline, candidate, **how, **mistake)
    for mistake in ({"final": True}, {"first_pairs": 2}):
        with pytest.raises(UsageError, match="this is"):
            fit_band(WORKED).judge({"accuracy": 0.88}, **mistake)


def test_a_look_that_is_the_only_one_asks_for_no_further_pair():
    m = by_pairs(WORKED["accuracy"], [0.861, 0.89], tolerance=0.0, final=True)
    assert (m.status, m.candidates_needed, m.candidates_at_most) == ("suspect", 0, 0)


def test_drop_hidden_by_the_seed_is_seen_by_pairs():
    baseline = [0.80, 0.85, 0.90, 0.95]
    candidate = [0.789, 0.840, 0.891, 0.939]
    assert judge(baseline, candidate).status == "pass"
    assert by_pairs(baseline, candidate, tolerance=0.0).status == "fail"
    assert by_pairs(baseline, candidate).status == "pass"


def test_tolerance_is_one_sd_of_the_band_and_what_is_said_is_for_the_primary_metric():
    candidate = {name: [score + 0.001 * seed for seed, score in enumerate(THREE[name])] for name in THREE}
    band, paired = three_metrics(), {"rule": "paired", "seeds": (0, 1, 2, 3)}
    default = band.judge(candidate, **paired).metrics
    assert {name: m.tolerance for name, m in default.items()} == {name: band.metrics[name].noise_sd for name in THREE}
    said = band.judge(candidate, **paired, tolerance=0.25).metrics
    assert said["a"].tolerance == 0.25
    assert (said["b"], said["loss"]) == (default["b"], default["loss"])


def test_differences_are_in_the_metrics_own_direction():
    band = fit_band({"loss": [0.5, 0.51, 0.53]}, lower_is_better=["loss"])
    worse = band.judge({"loss": [0.6, 0.62, 0.63]}, rule="paired", seeds=[0, 1, 2], tolerance=0.0).metrics["loss"]
    assert worse.differences == pytest.approx((0.1, 0.11, 0.1))
    assert worse.status == "fail"
    assert band.judge({"loss": [0.4, 0.42, 0.43]}, rule="paired", seeds=[0, 1, 2]).status == "pass"


def test_same_scores_at_the_same_seeds_pass_unless_items_say_how_little_that_is():
    same = WORKED["accuracy"][:2]
    assert by_pairs(WORKED["accuracy"], same, tolerance=0.0).status == "pass"
    coarse = by_pairs(WORKED["accuracy"], same, tolerance=0.0, pair_floors={"m": 0.1})
    assert coarse.status == "suspect"
    assert coarse.reason.startswith("all 2 differences are exactly 0; 2 pairs show neither")
    assert by_pairs(WORKED["accuracy"], same, tolerance=2.0, pair_floors={"m": 0.1}).status == "pass"


def test_differences_that_differ_by_rounding_alone_have_no_spread():
    baseline, candidate = [0.603, 0.469, 0.753], [0.598, 0.464, 0.748]
    assert len({y - x for x, y in zip(baseline, candidate, strict=True)}) > 1
    m = by_pairs(baseline, candidate, tolerance=0.0)
    assert (m.status, m.p_value, m.differences) == ("suspect", None, (pytest.approx(-0.005),) * 3)


def test_smallest_step_of_the_score_is_a_floor_unless_the_items_know_better():
    items = [[1, 1, 1, 0, 1, 1, 0, 1], [1, 1, 0, 1, 0, 1, 1, 1]]
    band = fit_band({"m": [0.75, 0.75]}, items={"m": items})
    paired = {"rule": "paired", "seeds": [0, 1], "tolerance": 0.0}
    step = band.judge({"m": [0.625, 0.625]}, **paired).metrics["m"]
    assert step.p_value == pytest.approx(t.cdf(-1 * math.sqrt(2), 1))
    known = band.judge({"m": [0.625, 0.625]}, **paired, pair_floors={"m": 0.5}).metrics["m"]
    assert known.p_value == pytest.approx(t.cdf(-0.25 * math.sqrt(2), 1))


@pytest.mark.parametrize(
    ("seeds", "k", "told"),
    [
        ([0, 9], 2, "seed 9 is no seed of the band; the band has 0, 1, 2, 3"),
        ([0, 7], 2, "seed 7 failed to train in the band"),
        ([0, 0], 2, "2 candidates under 1 different seed;"),
        ([0, 1], 3, "3 candidates under 2 different seeds"),
        ([], 2, "2 candidates under 0 different seeds"),
        ([3], 1, "1 pair has no spread"),
    ],
)
def test_refuses_candidates_without_a_pair(seeds, k, told):
    band = fit_band(WORKED, failed_seeds=[7])
    with pytest.raises(Refused, match=told):
        band.judge({"accuracy": [0.88] * k}, rule="paired", seeds=seeds)


def test_recipe_at_the_tolerance_is_stopped_at_the_rate_that_is_told():
    draw, baseline = np.random.default_rng(7), [0.871, 0.884, 0.879, 0.892]
    band = fit_band({"m": baseline})
    for tolerance in (0.0, 0.02):
        candidates = np.array(baseline[:3]) - tolerance + draw.normal(0, 0.003, (20_000, 3))
        options = {"rule": "paired", "seeds": (0, 1, 2), "tolerance": tolerance, "final": True}
        verdicts = [band.judge({"m": candidate}, **options).metrics["m"] for candidate in candidates.tolist()]
        shares = [np.mean([m.status == status for m in verdicts]) for status in ("fail", "pass")]
        assert verdicts[0].false_alarm_rate == 0.05
        assert shares == pytest.approx([0.05, 0.05], abs=0.006)


#: Scores that floats hold exactly: their differences carry no rounding.
exact = st.integers(0, 1024).map(lambda x: x / 1024)
steps = st.integers(0, 64).map(lambda x: x / 1024)
pairs = st.lists(st.tuples(exact, steps | steps.map(lambda x: -x)), min_size=2, max_size=8).map(
    lambda pairs: ([x for x, _ in pairs], [x + d for x, d in pairs])
)
floors = steps.map(lambda floor: {"m": floor})


@settings(max_examples=300)
@given(pairs, evidences, st.none() | steps, floors, steps, levels_of_a_rule)
def test_lowering_all_pairs_never_helps_them(pair, evidence, tolerance, floor, drop, alpha):
    baseline, candidate = pair
    options = {"evidence": evidence, "tolerance": tolerance, "pair_floors": floor, "alpha": alpha}
    before = by_pairs(baseline, candidate, **options)
    after = by_pairs(baseline, [y - drop for y in candidate], **options)
    assert ORDER[after.status] >= ORDER[before.status]


@given(pairs, evidences, st.none() | steps, floors, st.randoms(use_true_random=False))
def test_order_of_pairs_is_irrelevant(pair, evidence, tolerance, floor, draw):
    baseline, candidate = pair
    order = draw.sample(range(len(candidate)), len(candidate))
    options = {"evidence": evidence, "tolerance": tolerance, "pair_floors": floor}
    plain = by_pairs(baseline, candidate, **options)
    shuffled = by_pairs(baseline, [candidate[seed] for seed in order], seeds=order, **options)
    assert shuffled == replace(plain, scores=shuffled.scores, differences=shuffled.differences)
    assert shuffled.differences == tuple(plain.differences[seed] for seed in order)


@given(pairs, evidences, st.none() | steps, floors)
def test_paired_direction_flip_is_symmetric(pair, evidence, tolerance, floor):
    baseline, candidate = pair
    up = by_pairs(baseline, candidate, evidence=evidence, tolerance=tolerance, pair_floors=floor)
    flipped = fitted(baseline, evidence, lambda x: -x, lower_is_better=["m"])
    options = {"tolerance": tolerance, "pair_floors": floor, "same_evaluators": True}
    down = flipped.judge({"m": [-y for y in candidate]}, rule="paired", seeds=flipped.seeds, **options).metrics["m"]
    told = replace(up, scores=down.scores, differences=tuple(-d for d in up.differences))
    assert down == told


@given(
    pairs,
    evidences,
    st.none() | steps,
    floors,
    st.sampled_from([-8.0, -1.0, 0.5, 4.0]),
    st.sampled_from([0.125, 2.0, 1024.0]),
)
def test_paired_shift_and_scale_change_nothing_but_units(pair, evidence, tolerance, floor, shift, scale):
    baseline, candidate = pair
    plain = by_pairs(baseline, candidate, evidence=evidence, tolerance=tolerance, pair_floors=floor)
    assume(plain.p_value is None or all(abs(plain.p_value - level) > 1e-6 for level in (0.05, 0.95)))
    moved = by_pairs(
        baseline,
        candidate,
        evidence=evidence,
        move=lambda x: x * scale + shift,
        tolerance=None if tolerance is None else tolerance * scale,
        pair_floors={"m": floor["m"] * scale},
    )
    assert (moved.status, moved.p_value) == (plain.status, plain.p_value and pytest.approx(plain.p_value, rel=1e-6))
    assert moved.tolerance == pytest.approx(plain.tolerance * scale)
    assert (moved.detectable_drop is None) == (plain.detectable_drop is None)
    assert (moved.detectable_drop or 0) == pytest.approx((plain.detectable_drop or 0) * scale)


@given(
    st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=6),
    st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=2),
    evidences,
    st.none() | st.floats(0, 1e100),
    levels_of_a_rule,
)
def test_any_finite_pairs_are_judged(baseline, candidate, evidence, tolerance, alpha):
    m = by_pairs(baseline, candidate, evidence=evidence, tolerance=tolerance, alpha=alpha)
    assert m.status in ORDER
    assert m.p_value is None or 0 <= m.p_value <= 1


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
