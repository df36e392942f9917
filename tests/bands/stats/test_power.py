"""Detectable drops: published vectors, and simulation as an oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seedband.bands.stats.failed import failure_rate
from seedband.bands.stats.power import paired_detectable_drop, range_detectable_drop, sd_interval, t_detectable_drop

VECTORS = {
    3: (4.59, 3.01, 2.48, 2.06),
    4: (3.69, 2.63, 2.22, 1.86),
    5: (3.33, 2.43, 2.06, 1.72),
    8: (2.93, 2.16, 1.83, 1.51),
    10: (2.83, 2.07, 1.75, 1.44),
}


@pytest.mark.parametrize(("n", "drops"), VECTORS.items())
def test_t_detectable_drop_is_the_published_one(n, drops):
    assert [t_detectable_drop(n, k, 0.05) for k in (1, 2, 3, 5)] == pytest.approx(drops, abs=6e-3)


def test_more_candidates_beat_more_baselines():
    assert t_detectable_drop(4, 3, 0.05) == pytest.approx(2.22, abs=6e-3)
    assert t_detectable_drop(20, 1, 0.05) == pytest.approx(2.64, abs=6e-3)


@pytest.mark.parametrize("power", [0.5, 0.8, 0.99])
@pytest.mark.parametrize(("n", "k", "prior_df"), [(2, 1, 0.0), (2, 1, 0.7), (4, 3, 8.31), (64, 64, 0.0)])
def test_t_rule_has_scipys_power_at_its_detectable_drop(n, k, prior_df, power):
    df, drop = n + k - 2 + prior_df, t_detectable_drop(n, k, 0.05, power, prior_df)
    shift = drop / math.sqrt(1 / n + 1 / k)
    assert stats.nct.sf(stats.t.isf(0.05, df), df, shift) == pytest.approx(power, abs=1e-5)


def test_moderated_t_rule_catches_its_detectable_drop_in_80_percent():
    draw, n, k, d0 = np.random.default_rng(4), 4, 2, 6.0
    x, y = (
        draw.standard_normal((200_000, n)),
        draw.standard_normal((200_000, k)) - t_detectable_drop(4, 2, 0.05, 0.8, d0),
    )
    squares = n * x.var(axis=1) + k * y.var(axis=1) + draw.chisquare(d0, 200_000)
    t = (y.mean(axis=1) - x.mean(axis=1)) / np.sqrt(squares / (n + k - 2 + d0) * (1 / n + 1 / k))
    assert np.mean(t <= stats.t.ppf(0.05, n + k - 2 + d0)) == pytest.approx(0.8, abs=0.004)


@given(
    st.integers(2, 60),
    st.integers(1, 60),
    st.floats(0.001, 0.2),
    st.floats(0.5, 0.98),
    st.floats(0, 50),
    st.sampled_from([(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0.01, 0), (0, 0, 0, 1)]),
)
def test_more_seeds_or_history_never_see_less_and_more_power_never_more(n, k, alpha, power, prior_df, more):
    before = t_detectable_drop(n, k, alpha, power, prior_df)
    after = t_detectable_drop(n + more[0], k + more[1], alpha, power + more[2], prior_df + more[3])
    assert (after > before) if more[2] else (after <= before * (1 + 1e-6))


def test_paired_detectable_drop_is_the_published_one():
    published = (5.79, 2.30, 1.65, 1.36, 0.98)
    assert [paired_detectable_drop(k, 0.05) for k in (2, 3, 4, 5, 8)] == pytest.approx(published, abs=6e-3)


@pytest.mark.parametrize(("k", "alpha", "power"), [(2, 0.05, 0.8), (5, 0.01, 0.9), (20, 0.2, 0.5)])
def test_paired_rule_has_scipys_power_at_its_detectable_drop(k, alpha, power):
    shift = paired_detectable_drop(k, alpha, power) * math.sqrt(k)
    assert stats.nct.sf(stats.t.isf(alpha, k - 1), k - 1, shift) == pytest.approx(power, abs=1e-5)


def test_four_seeds_know_their_sd_to_a_factor_of_three():
    assert sd_interval(4) == pytest.approx((0.62, 2.92), abs=6e-3)


@pytest.mark.parametrize(("n", "level", "prior_df"), [(2, 0.9, 0.0), (4, 0.95, 0.0), (4, 0.9, 8.31), (64, 0.5, 0.0)])
def test_sd_interval_is_scipys_chi_square(n, level, prior_df):
    df = n - 1 + prior_df
    low, high = stats.chi2.interval(level, df)
    assert sd_interval(n, level, prior_df) == pytest.approx((math.sqrt(df / high), math.sqrt(df / low)))


@pytest.mark.parametrize(("n", "k"), [(4, 1), (4, 3), (10, 2)])
def test_range_rule_catches_its_detectable_drop_in_80_percent(n, k):
    draw = np.random.default_rng(n * 10 + k)
    lowest = draw.standard_normal((200_000, n)).min(axis=1)
    highest = (draw.standard_normal((200_000, k)) - range_detectable_drop(n, k)).max(axis=1)
    assert np.mean(highest < lowest) == pytest.approx(0.8, abs=0.004)


@pytest.mark.parametrize(("failed", "total"), [(0, 4), (1, 8), (5, 75), (3, 3)])
def test_failure_rate_is_scipys_clopper_pearson(failed, total):
    exact = stats.binomtest(failed, total).proportion_ci(0.9, method="exact")
    assert failure_rate(failed, total)[1:] == pytest.approx((exact.low, exact.high))
