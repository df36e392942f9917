"""Looks at pairs: the published levels, a fresh simulation, and that more looks are never laxer."""

import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedband.bands.stats import looks, pair_looks, power
from seedband.bands.stats.paired import decide_paired

ROOT = Path(__file__).parents[3]
#: Nominal levels at alpha .05 (400,000 draws), by first look and seeds of the band: published with the rule.
PUBLISHED = {
    (2, 3): 0.0292,
    (2, 4): 0.0217,
    (2, 5): 0.0180,
    (2, 6): 0.0156,
    (2, 8): 0.0126,
    (2, 10): 0.0110,
    (2, 12): 0.0100,
    (2, 16): 0.0086,
    (3, 4): 0.0324,
    (3, 5): 0.0248,
    (3, 6): 0.0207,
    (3, 8): 0.0161,
    (3, 10): 0.0135,
    (3, 12): 0.0120,
    (3, 16): 0.0101,
}
alphas = st.floats(looks.MIN_ALPHA, looks.MAX_ALPHA)
#: Seeds of the band, more than two, and a first look at fewer pairs.
designs = st.integers(3, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(2, n - 1)))


@pytest.mark.parametrize(("case", "level"), PUBLISHED.items())
def test_levels_are_the_published_ones_within_their_error(case, level):
    first, n = case
    assert pair_looks.design(n, first, 0.05).level == pytest.approx(level, rel=0.025)


@given(designs, alphas)
def test_a_level_lies_between_alpha_over_the_looks_and_alpha(design, alpha):
    n, first = design
    level = pair_looks.design(n, first, alpha).level
    assert alpha / (n - first + 1) * 0.9 <= level or n > 64 or first > 12
    assert level <= alpha * 1.001


@given(designs, alphas)
def test_an_earlier_first_look_and_a_larger_band_never_raise_the_level(design, alpha):
    n, first = design
    level = pair_looks.design(n, first, alpha).level
    assert pair_looks.design(n, 2, alpha).level <= level * 1.001
    assert pair_looks.design(n + 1, first, alpha).level <= level * 1.001


def test_the_table_agrees_with_a_fresh_simulation(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    sys.modules.pop("make_pairs_table", None)
    import make_pairs_table

    monkeypatch.setattr(make_pairs_table, "ROOT_SEED", 7)
    monkeypatch.setattr(make_pairs_table, "N_SEEDS", range(3, 17))
    draws = 50_000
    centre, error = make_pairs_table.moments(draws, 0)
    p = make_pairs_table.p_values(centre, error)
    for n, first, alpha in [(4, 2, 0.05), (4, 3, 0.05), (8, 3, 0.01), (16, 2, 0.1), (16, 13, 0.2)]:
        design = pair_looks.design(n, first, alpha)
        rate = float((p[first - 2 : n - 1].min(axis=0) <= design.level).mean())
        assert rate <= alpha + 4 * math.sqrt(alpha / draws)
        assert rate >= (alpha - 4 * math.sqrt(alpha / draws)) * (0.95 if first > 12 else 1)
        assert make_pairs_table.detectable(centre, error, n, first, design.level) == pytest.approx(
            design.drop, rel=0.03
        )


differences = st.lists(st.integers(-64, 64).map(lambda step: step / 1024), min_size=2, max_size=8)
tolerances = floors = st.sampled_from([0.0, 0.01, 0.03125])


@given(differences, tolerances, floors, alphas, st.integers(0, 8), st.data())
def test_several_looks_are_never_laxer_than_one_on_either_side(d, tolerance, floor, alpha, left, data):
    first = data.draw(st.integers(2, len(d)))
    one = decide_paired(d, tolerance, alpha, floor)
    several = decide_paired(d, tolerance, alpha, floor, left, first)
    assert several.status in (one.status, "suspect")
    assert several.p_value == one.p_value
    assert several.false_alarm_rate == alpha
    assert several.detectable_drop is None or several.detectable_drop > tolerance


@given(differences, tolerances, alphas, st.integers(1, 64), st.integers(0, 8), st.data())
def test_lowering_all_pairs_never_helps_them_at_any_look(d, tolerance, alpha, step, left, data):
    first = data.draw(st.integers(2, len(d)))
    order = ["fail", "suspect", "pass"]
    before, after = (
        decide_paired([x - drop for x in d], tolerance, alpha, 0.0, left, first).status for drop in (0.0, step / 1024)
    )
    assert order.index(after) <= order.index(before)


@given(designs.filter(lambda design: design[0] <= 40), alphas)
def test_signs_alone_need_as_many_pairs_as_the_level_says(design, alpha):
    n, first = design
    level = pair_looks.design(n, first, alpha).level
    for k in range(first, n + 1):
        status = decide_paired([-0.01] * k, 0.0, alpha, 0.0, n - k, first).status
        assert status == ("fail" if 0.5**k <= level else "suspect")


def test_a_first_look_at_all_seeds_is_the_only_one():
    d = [-0.020, -0.036, -0.014]
    assert decide_paired(d, 0.0, 0.05, first=3) == decide_paired(d, 0.0, 0.05)
    assert decide_paired(d, 0.0, 0.05, first=3).status == "fail"
    looked = decide_paired(d, 0.0, 0.05, first=2)
    assert looked.status == "suspect"
    assert "level 0.0289 at every look from 2 to 3 pairs, 0.05 in all" in looked.reason


@given(st.integers(3, 64), alphas)
def test_many_looks_see_no_less_than_the_first_alone_at_their_level(n, alpha):
    design = pair_looks.design(n, 2, alpha)
    assert design.drop <= power.paired_detectable_drop(2, design.level) * 1.02
