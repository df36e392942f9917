"""The paired rule: scipy's t test as an oracle, the published factors, and where there is no spread to judge by."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from seedband.bands.stats.paired import decide_paired

#: 80 % power at alpha .05, in standard deviations of the paired difference, by pairs: published with the rule.
FACTORS = {2: 5.79, 3: 2.30, 4: 1.65, 5: 1.36, 8: 0.98}
#: Differences that floats hold exactly, as those of an eval set of 1024 items.
differences = st.lists(st.integers(-64, 64).map(lambda step: step / 1024), min_size=2, max_size=8)
tolerances = st.integers(0, 64).map(lambda step: step / 1024)
alphas = st.sampled_from([0.001, 0.01, 0.05, 0.2])


@given(differences, tolerances, alphas)
def test_both_levels_are_those_of_scipys_one_sample_t(d, tolerance, alpha):
    assume(min(d) < max(d))
    beyond = [difference + tolerance for difference in d]
    worse, no_worse = (stats.ttest_1samp(beyond, 0, alternative=side).pvalue for side in ("less", "greater"))
    assume(all(abs(p - alpha) > 1e-9 for p in (worse, no_worse)))
    decision = decide_paired(d, tolerance, alpha)
    assert decision.p_value == pytest.approx(worse, rel=1e-9, abs=1e-300)
    expected = "fail" if worse <= alpha else "pass" if no_worse <= alpha else "suspect"
    assert decision.status == expected
    assert decision.false_alarm_rate == alpha


@given(differences, tolerances, st.integers(1, 64).map(lambda step: step / 1024))
def test_floor_of_the_items_replaces_a_smaller_spread(d, tolerance, floor):
    assume(min(d) < max(d))
    k, mean = len(d), math.fsum(d) / len(d)
    sd = max(math.sqrt(math.fsum((x - mean) ** 2 for x in d) / (k - 1)), floor)
    worse = stats.t.cdf((mean + tolerance) / (sd / math.sqrt(k)), k - 1)
    assert decide_paired(d, tolerance, 0.05, floor).p_value == pytest.approx(worse, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    ("d", "tolerance", "status"),
    [
        ([-0.020, -0.023, -0.019], 0.0, "fail"),
        ([-0.020, -0.023, -0.019], 0.01, "fail"),
        ([-0.020, -0.023, -0.019], 0.02, "suspect"),
        ([-0.020, -0.023, -0.019], 0.03, "pass"),
        ([-0.002, 0.001, -0.001, 0.0], 0.0, "suspect"),
        ([0.004, 0.006, 0.005], 0.0, "pass"),
    ],
)
def test_a_drop_is_shown_or_its_absence_is_or_neither(d, tolerance, status):
    decision = decide_paired(d, tolerance, 0.05, pairs_left=5)
    assert decision.status == status
    assert (decision.candidates_needed, decision.candidates_at_most) == ((1, 5) if status == "suspect" else (0, 0))
    assert (decision.screen_rate, decision.limit) == (0.0, None)


def test_without_further_seeds_of_the_band_a_suspect_asks_for_none():
    decision = decide_paired([-0.02, 0.01], 0.0, 0.05)
    assert (decision.status, decision.candidates_needed, decision.candidates_at_most) == ("suspect", 0, 0)


@pytest.mark.parametrize(("k", "factor"), FACTORS.items())
@pytest.mark.parametrize("floor", [0.0, 0.5])
def test_detectable_drop_is_the_tolerance_and_the_published_share_of_the_spread(k, factor, floor):
    pattern = [(-1.0) ** i * 0.01 for i in range(k)]
    sd = max(stats.tstd(pattern), floor)
    drop = decide_paired(pattern, 0.02, 0.05, floor).detectable_drop
    assert drop == pytest.approx(0.02 + factor * sd, abs=0.006 * sd)


@pytest.mark.parametrize(("difference", "said"), [(0.0, "0"), (-0.0, "0"), (0.25, "0.25")])
@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_scores_that_are_equal_seed_by_seed_pass_and_it_is_said(difference, said, tolerance):
    decision = decide_paired([difference] * 3, tolerance, 0.001)
    assert (decision.status, decision.reason) == ("pass", f"all 3 differences are exactly {said}")
    assert decision.p_value is None


@pytest.mark.parametrize(
    ("tolerance", "alpha", "status", "reason"),
    [
        (0.0, 0.2, "suspect", "3 pairs show neither a drop beyond the tolerance 0 nor its absence"),
        (0.01, 0.05, "suspect", "3 pairs show neither a drop beyond the tolerance 0.01 nor its absence"),
        (0.01, 0.2, "pass", "a drop beyond the tolerance 0.01 is ruled out: 0.113 <= 0.2"),
        (0.04, 0.05, "pass", "a drop beyond the tolerance 0.04 is ruled out: 0.0101 <= 0.05"),
    ],
)
def test_scores_that_are_equal_seed_by_seed_go_through_the_test_where_items_are_few(tolerance, alpha, status, reason):
    decision = decide_paired([0.0] * 3, tolerance, alpha, floor=0.01, pairs_left=2)
    assert (decision.status, decision.reason) == (status, f"all 3 differences are exactly 0; {reason}")
    assert decision.p_value == pytest.approx(stats.t.cdf(tolerance / 0.01 * math.sqrt(3), 2))
    assert decision.candidates_needed == (status == "suspect")


@pytest.mark.parametrize(
    ("k", "alpha", "status"),
    [
        (2, 0.05, "suspect"),
        (4, 0.05, "suspect"),
        (5, 0.05, "fail"),
        (2, 0.2, "suspect"),
        (3, 0.2, "fail"),
        (9, 0.001, "suspect"),
        (10, 0.001, "fail"),
    ],
)
def test_one_and_the_same_drop_without_a_scale_is_judged_by_its_sign(k, alpha, status):
    decision = decide_paired([-0.01] * k, 0.0, alpha, pairs_left=1)
    assert (decision.status, decision.p_value, decision.detectable_drop) == (status, None, None)
    assert decision.candidates_needed == (status == "suspect")
    within = decide_paired([-0.01] * k, 0.02, alpha)
    assert within.status == ("pass" if status == "fail" else "suspect")
    assert decide_paired([-0.01] * k, 0.01, alpha).status == "suspect"


def test_one_and_the_same_drop_is_judged_by_the_floor_where_there_is_one():
    decision = decide_paired([-0.01] * 2, 0.0, 0.05, floor=0.01)
    assert decision.p_value == pytest.approx(stats.t.cdf(-math.sqrt(2), 1))
    assert (decision.status, decide_paired([-0.1] * 2, 0.0, 0.05, floor=0.01).status) == ("suspect", "fail")


def test_a_reason_says_that_differences_are_equal_only_where_they_are():
    assert decide_paired([-0.020, -0.023, -0.019], 0.01, 0.05).reason.startswith("worse by more than the tolerance")
    assert decide_paired([-0.02, -0.02], 0.0, 0.05, 0.01).reason.startswith("all 2 differences are exactly -0.02; ")
