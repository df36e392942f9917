"""The test vectors of the statistics page, limma as an oracle where it is installed, and what must always hold."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special

from seedband.bands.stats.variance import NO_PRIOR, Prior, fit_prior, moderated

ALIKE = [0.004, 0.006, 0.009, 0.012, 0.005, 0.02, 0.0088]
UNLIKE = [0.001, 0.004, 0.012, 0.03, 0.002, 0.06]
bands = st.lists(st.tuples(st.floats(1e-4, 10), st.integers(1, 30)), min_size=2, max_size=12)
equal_bands = st.lists(st.floats(1e-4, 10) | st.just(0.0), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("sds", "dfs", "d0", "variance"),
    [
        (ALIKE, [3] * 7, 8.31085065718824, 8.36581980698e-05),
        (UNLIKE, [3] * 6, 0.70169566206674, 1.185900571405e-05),
        # By fit_f_dist of pylimma 0.2.0:
        (ALIKE, [3, 7, 2, 4, 9, 3, 1], 14.751984189965391, 9.55248293590835e-05),
        ([*ALIKE[1:], 0.0], [3] * 7, 0.47363041959891633, 1.1127668665143322e-06),
    ],
)
def test_prior_is_the_published_one(sds, dfs, d0, variance):
    prior = fit_prior(sds, dfs)
    assert prior.estimated_df == pytest.approx(d0, rel=1e-9)
    assert prior.variance == pytest.approx(variance, rel=1e-9)


@given(equal_bands, st.integers(1, 30))
def test_prior_and_posterior_are_limmas(sds, df):
    assume(len(sds) > 2 and np.median(np.square(sds)) > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pylimma.squeeze_var import squeeze_var

        theirs = squeeze_var(np.square(sds), float(df))
    prior = fit_prior(sds, [df] * len(sds))
    # Beyond 1e6 degrees of freedom limma's inverse of trigamma is an approximation.
    assume(prior.estimated_df < 1e6 or math.isinf(prior.estimated_df))
    assert prior.estimated_df == pytest.approx(theirs["df_prior"], rel=1e-6)
    assert prior.variance == pytest.approx(theirs["var_prior"], rel=1e-6)
    if prior.df == prior.estimated_df:
        ours = [moderated(sd, df, prior).sd ** 2 for sd in sds]
        assert ours == pytest.approx(list(theirs["var_post"]), rel=1e-6)


@given(bands)
def test_prior_solves_the_moment_equations(pairs):
    sds, dfs = map(np.array, zip(*pairs, strict=True))
    prior = fit_prior(sds, dfs)
    assume(prior.estimated_df < 1e5)
    variances = np.maximum(sds**2, 1e-5 * np.median(sds**2))
    e = np.log(variances) - special.psi(dfs / 2) + np.log(dfs / 2)
    expected = special.zeta(2, prior.estimated_df / 2) + special.zeta(2, dfs / 2).mean()
    assert np.var(e, ddof=1) == pytest.approx(expected, rel=1e-9)
    centre = math.log(prior.variance) - special.psi(prior.estimated_df / 2) + math.log(prior.estimated_df / 2)
    assert np.mean(e) == pytest.approx(centre, abs=1e-9)


def test_prior_recovers_what_the_variances_were_drawn_from():
    draw = np.random.default_rng(5)
    true = 10 * 0.04 / draw.chisquare(10, 40_000)
    sds = np.sqrt(true * draw.chisquare(3, 40_000) / 3)
    prior = fit_prior(sds, np.full(40_000, 3))
    assert prior.estimated_df == pytest.approx(10, rel=0.1)
    assert prior.variance == pytest.approx(0.04, rel=0.02)


def test_moderated_variances_are_nearer_to_the_true_ones():
    draw = np.random.default_rng(6)
    true = 10 * 0.04 / draw.chisquare(10, 2000)
    sds = np.sqrt(true * draw.chisquare(3, 2000) / 3)
    prior = fit_prior(sds, [3] * 2000)
    posterior = np.array([moderated(sd, 3, prior).sd for sd in sds])
    assert np.mean((posterior**2 - true) ** 2) < 0.5 * np.mean((sds**2 - true) ** 2)


def test_prior_is_never_worth_more_than_what_it_was_made_from():
    prior = fit_prior([1.0, 2.4, 1.0, 2.4], [3] * 4)
    assert prior.df == 12 < prior.estimated_df < math.inf
    assert fit_prior(ALIKE, [3] * 7).df == pytest.approx(8.31085065718824)


@given(st.lists(st.tuples(st.floats(1, 1.2), st.integers(1, 30)), min_size=2, max_size=8), st.floats(0, 10))
def test_band_moderated_by_variances_that_differ_by_chance_gets_the_pooled_one(pairs, own_sd):
    prior = fit_prior(*zip(*pairs, strict=True))
    assume(math.isinf(prior.estimated_df))
    bands = [*pairs, (own_sd, 4)]
    pooled_df = sum(df for _, df in bands)
    pooled = sum(df * sd**2 for sd, df in bands) / pooled_df
    assert moderated(own_sd, 4, prior) == pytest.approx((math.sqrt(pooled), pooled_df))


@given(bands, st.sampled_from([1e-3, 7.0, 100.0]))
def test_prior_follows_the_unit(pairs, unit):
    sds, dfs = zip(*pairs, strict=True)
    prior, scaled = fit_prior(sds, dfs), fit_prior([unit * sd for sd in sds], dfs)
    assume(prior.estimated_df < 1e4)
    assert scaled.df == pytest.approx(prior.df, rel=1e-6)
    assert scaled.variance == pytest.approx(unit**2 * prior.variance, rel=1e-6)


def test_prior_of_nothing_changes_nothing():
    assert moderated(0.02, 3, Prior(0.0, 0.0, 0.0)) == (pytest.approx(0.02), 3)


@pytest.mark.parametrize(
    ("sds", "dfs"),
    [
        ([0.1], [3]),
        ([], []),
        ([0.1, 0.2], [3]),
        ([[0.1, 0.2]], [[3, 3]]),
        ([0.1, -0.2], [3, 3]),
        ([0.1, math.nan], [3, 3]),
        ([0.1, math.inf], [3, 3]),
        ([0.1, 0.2], [3, 0]),
        ([0.0, 0.0, 0.1], [3, 3, 3]),
    ],
)
def test_refuses_what_makes_no_prior(sds, dfs):
    with pytest.raises(ValueError, match=r"expected|most sds are zero"):
        fit_prior(sds, dfs)


def test_sds_in_half_precision_lose_nothing_more():
    half = np.array([0.004, 0.006, 0.009, 0.012], dtype=np.float16)
    assert fit_prior(half, [3] * 4) == fit_prior(half.astype(float), [3] * 4)


def test_without_history_an_sd_stays_what_it_is():
    assert moderated(0.25, 3.0, NO_PRIOR) == (0.25, 3.0)
