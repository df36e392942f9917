"""Which seeds have probably failed to train, told from their scores alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seedband.bands.stats.failed import failure_rate, probable_failed

HEALTHY = [0.921, 0.924, 0.918, 0.926, 0.922, 0.92, 0.925]
scores = st.lists(st.integers(-1000, 1000).map(lambda x: x / 8), min_size=8, max_size=20)


def test_a_seed_at_chance_is_found_among_healthy_ones():
    assert probable_failed([*HEALTHY, 0.509]) == (7,)
    assert probable_failed([0.509, *HEALTHY, 0.491]) == (0, 8)


def test_seven_seeds_are_too_few():
    assert probable_failed([*HEALTHY[1:], 0.509]) == ()


def test_a_seed_that_is_far_better_has_not_failed():
    assert probable_failed([*HEALTHY, 1.0]) == ()


def test_without_a_scale_nothing_is_flagged():
    assert probable_failed([0.9] * 7 + [0.89]) == ()


def test_a_score_at_the_limit_is_not_beyond_it():
    centred = [-2.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0]
    assert probable_failed([-6 * 1.4826, *centred]) == ()
    assert probable_failed([-6 * 1.4827, *centred]) == (0,)


@given(scores)
def test_flagged_is_what_scipys_normalised_mad_puts_6_below_the_median(values):
    mad, median = 1.4826 * stats.median_abs_deviation(values), np.median(values)
    assert probable_failed(values) == tuple(i for i, x in enumerate(values) if mad and x < median - 6 * mad)


@given(scores, st.sampled_from([0.25, 4.0]), st.integers(-8, 8))
def test_neither_unit_nor_origin_matters(values, unit, shift):
    assert probable_failed([unit * (x + shift) for x in values]) == probable_failed(values)


@pytest.mark.parametrize(("n", "rate"), [(8, 0.014), (16, 0.003)])
def test_healthy_sweeps_are_rarely_flagged(n, rate):
    draws = np.random.default_rng(n).standard_normal((20_000, n)).tolist()
    assert np.mean([bool(probable_failed(draw)) for draw in draws]) == pytest.approx(rate, abs=0.0025)


@given(st.integers(1, 40).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))), st.floats(0.5, 0.99))
def test_the_interval_of_a_failure_rate_is_scipys(case, level):
    failed, total = case
    theirs = stats.binomtest(failed, total).proportion_ci(level, method="exact")
    assert failure_rate(failed, total, level) == pytest.approx((failed / total, theirs.low, theirs.high))
