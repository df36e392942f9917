"""The test vectors of the statistics page, and what must hold for every input."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats

from seedband.bands.stats import limits
from seedband.bands.stats.limits import Baseline
from seedband.bands.stats.variance import Prior

N = (3, 4, 5, 8, 10)
WORKED = [0.871, 0.884, 0.879, 0.892]
samples = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 6)), min_size=2, max_size=12)


K95 = (3.372, 2.631, 2.335, 2.010, 1.923)
K99 = (8.042, 5.077, 4.105, 3.180, 2.959)


@pytest.mark.parametrize(("n", "k95", "k99"), list(zip(N, K95, K99, strict=True)))
def test_prediction_factor_is_the_published_one(n, k95, k99):
    assert limits.prediction_factor(n, 1, 0.05) == pytest.approx(k95, abs=6e-4)
    assert limits.prediction_factor(n, 1, 0.01) == pytest.approx(k99, abs=6e-4)


@pytest.mark.parametrize(
    ("n", "one", "two"),
    list(zip(N, (0.250, 0.200, 0.167, 0.111, 0.091), (0.100, 0.0667, 0.0476, 0.0222, 0.0152), strict=True)),
)
def test_all_below_rate_is_the_rank_probability(n, one, two):
    assert limits.all_below_rate(n, 1) == pytest.approx(one, abs=6e-4)
    assert limits.all_below_rate(n, 2) == pytest.approx(two, abs=6e-5)


def test_worked_example_has_the_published_numbers():
    assert limits.mean(WORKED) == limits.plain_median(WORKED) == 0.8815
    assert limits.lower_median(WORKED) == 0.879
    assert limits.sample_sd(WORKED) == pytest.approx(0.008813, abs=5e-7)
    baseline = Baseline(tuple(WORKED))
    assert baseline.p_value([0.869]) == pytest.approx(0.147, abs=5e-4)
    assert baseline.limit(0.05) == pytest.approx(0.8583, abs=5e-5)
    assert baseline.limit(0.005) == pytest.approx(0.8239, abs=5e-5)


@given(samples, samples)
def test_t_is_scipys_pooled_t_test_and_p_is_its_smallest_over_all_thresholds(baseline, candidates):
    own = Baseline(tuple(baseline))
    assume(own.t(candidates) is not None and limits.sample_sd(baseline) > 1e-3 and limits.sample_sd(candidates) > 1e-3)
    theirs = stats.ttest_ind(candidates, baseline, alternative="less")
    assert own.t(candidates) == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-9)
    assert own.p_value(candidates) <= theirs.pvalue * (1 + 1e-6) + 1e-9
    assert own.p_value(candidates[:1]) == pytest.approx(stats.t.cdf(own.t(candidates[:1]), own.n - 1))


spreads = st.floats(0, 30).map(lambda x: round(x, 3))


@given(
    st.lists(spreads, min_size=2, max_size=6),
    st.lists(st.floats(-60, 30).map(lambda x: round(x, 3)), min_size=1, max_size=7),
    st.just(0.0) | st.floats(0.1, 40),
    st.just(Prior(0.0, 0.0, 0.0)) | st.builds(Prior, st.floats(0.5, 20), st.floats(0.1, 100), st.just(0.0)),
)
def test_p_is_the_smallest_on_a_dense_grid_of_thresholds(baseline, candidates, floor, prior):
    own = Baseline(tuple(baseline), floor, prior)
    assume(own.sd > 0.05)
    grid = [*np.linspace(min(candidates), max(candidates), 2_001), *candidates]
    on_grid = min(own.t([max(y, c) for y in candidates]) for c in grid)
    smallest = stats.t.ppf(own.p_value(candidates), own.n + len(candidates) - 2 + prior.df)
    assume(abs(smallest) < 30)  # beyond, the way back from p loses digits
    assert smallest <= on_grid + 1e-6 * abs(on_grid) + 1e-9
    # Between two points of the grid t falls by no more than this.
    assert smallest >= on_grid - 0.02 * (1 + abs(on_grid))


@given(
    st.lists(spreads, min_size=2, max_size=6),
    st.lists(st.floats(-60, 30).map(lambda x: round(x, 3)), min_size=2, max_size=7),
    st.floats(0.1, 40),
)
@example([0.0, 0.1], [-30.0, -10.0], 5.0)
def test_a_floor_counts_in_every_unit(baseline, candidates, floor):
    unit = 1 / 256
    percent = Baseline(tuple(baseline), floor)
    fraction = Baseline(tuple(x * unit for x in baseline), floor * unit)
    assert fraction.p_value([y * unit for y in candidates]) == pytest.approx(percent.p_value(candidates), rel=1e-6)


def test_a_score_that_got_worse_widens_the_spread_and_buys_no_room():
    own = Baseline(tuple(WORKED))
    even, uneven = [0.861, 0.861, 0.861], [0.861, 0.861, 0.70]
    assert own.t(uneven) > own.t(even)
    assert own.p_value(uneven) < own.p_value(even)
    assert own.p_value([0.861, 0.861, 0.60]) == own.p_value(uneven)


@given(samples)
def test_order_of_seeds_is_irrelevant(scores):
    assert limits.sample_sd(scores) == limits.sample_sd(scores[::-1])
    assert limits.mean(scores) == limits.mean(sorted(scores))


def test_floor_stands_in_for_a_spread_that_is_smaller():
    assert Baseline((0.9, 0.9)).t([0.8]) is None
    assert Baseline((0.9, 0.9), floor=0.05).t([0.8]) == pytest.approx(-0.1 / (0.05 * math.sqrt(1.5)))


def test_history_moderates_the_scale_and_lengthens_the_degrees_of_freedom():
    baseline = Baseline((0.0, 2.0), prior=Prior(3.0, 4.0, 3.0))
    assert baseline.sd == pytest.approx(math.sqrt((2.0 + 3 * 4.0) / 4))
    assert baseline.t([-4.0]) == pytest.approx(-5 / (baseline.sd * math.sqrt(1.5)))
    assert baseline.p_value([-4.0]) == pytest.approx(stats.t.cdf(baseline.t([-4.0]), 4))
    assert baseline.limit(0.05) == pytest.approx(1 - stats.t.ppf(0.95, 4) * baseline.sd * math.sqrt(1.5))


@given(samples, samples)
def test_a_prior_without_worth_changes_nothing(baseline, candidates):
    plain, moderated = Baseline(tuple(baseline)), Baseline(tuple(baseline), prior=Prior(0.0, 7.0, 0.0))
    assert plain.p_value(candidates) == moderated.p_value(candidates)


@given(samples)
def test_medians_are_those_of_pythons_own(scores):
    assert limits.lower_median(scores) == statistics.median_low(scores)
    assert limits.plain_median(scores) == statistics.median(scores)
