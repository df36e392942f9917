"""The shipped table of the retest rule against the published one, and against the simulation that made it."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import ROOT

from seedband.stats import looks

N = (2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 20, 30)
LEVELS = (0.043, 0.045, 0.057, 0.069, 0.086, 0.100, 0.100, 0.070, 0.078, 0.076, 0.081, 0.085)
DROPS = (3.17, 2.59, 2.35, 2.31, 2.33, 2.37, 2.42, 2.02, 2.04, 1.93, 1.91, 1.86)
SEEDS = (1.51, 1.38, 1.31, 1.26, 1.22, 1.20, 1.18, 1.30, 1.28, 1.30, 1.29, 1.29)


@pytest.mark.parametrize(("n", "level", "drop", "seeds"), list(zip(N, LEVELS, DROPS, SEEDS, strict=True)))
def test_design_is_the_published_one_within_its_error(n, level, drop, seeds):
    design = looks.design(n, 0.05)
    assert design.level == pytest.approx(level, abs=0.005)
    assert design.detectable_drop == pytest.approx(drop, abs=0.03)
    assert design.candidate_seeds == pytest.approx(seeds, abs=0.011)


@pytest.mark.parametrize(("n", "rate"), [(4, 0.05), (7, 0.048), (8, 0.044), (20, 0.05)])
def test_false_alarm_rate_is_alpha_but_for_the_cap(n, rate):
    assert looks.design(n, 0.05).false_alarm_rate == pytest.approx(rate, abs=5e-4)


@pytest.mark.parametrize(("n", "alpha"), [(3, 0.05), (9, 0.01), (20, 0.1), (6, 0.04)])
def test_table_agrees_with_a_fresh_simulation(n, alpha, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    sys.modules.pop("make_looks_table", None)
    import make_looks_table as script

    monkeypatch.setattr(script, "ROOT_SEED", 7)
    draws, design = script.draw(n, 100_000), looks.design(n, alpha)
    error = 4 * (alpha / 100_000) ** 0.5
    assert script.failure_rate(draws, alpha, design.level, 0.0) == pytest.approx(design.false_alarm_rate, abs=error)
    assert script.failure_rate(draws, alpha, design.level, design.detectable_drop) == pytest.approx(0.8, abs=0.008)
    upfront = script.upfront_rates(draws, alpha, design.level)
    assert upfront[1] == pytest.approx(looks.upfront_false_alarm_rate(n, 3, alpha), abs=error * 1.5)


@given(st.integers(2, 200), st.floats(looks.MIN_ALPHA, looks.MAX_ALPHA))
def test_every_n_and_alpha_has_a_design(n, alpha):
    design = looks.design(n, alpha)
    assert 0 < design.level <= 2 * alpha
    assert 0 < design.false_alarm_rate <= alpha * 1.02
    assert 1 < design.candidate_seeds < 2
    assert 0.5 < design.detectable_drop < 400


@given(st.integers(2, 80), st.integers(2, 40))
def test_candidates_trained_up_front_cost_a_known_rate(n, k):
    assert 0.04 < looks.upfront_false_alarm_rate(n, k, 0.05) <= max(0.075, 0.05 + k * 0.005 + 1e-9)


def test_screen_is_the_lowest_fifth_of_ranks():
    assert [looks.screen_rank(n) for n in (2, 8, 9, 13, 14, 19)] == [1, 1, 2, 2, 3, 4]
    assert all(looks.screen_rate(n) <= max(1 / (n + 1), 0.2) for n in range(2, 100))
