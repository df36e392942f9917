"""Published worked examples, scipy as an oracle, and what must hold for every table."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from seedband.bands.stats.cohorts import cochran_q, friedman, holm, seeds_differ

#: Agresti, Categorical Data Analysis (1990): favourable (1) responses of 46 patients to three drugs, as counts. The
#: SAS/STAT User's Guide, FREQ procedure, example "Cochran's Q Test", gives Q = 8.4706, p = 0.0145.
DRUGS = {
    (1, 1, 1): 6,
    (1, 1, 0): 16,
    (1, 0, 1): 2,
    (1, 0, 0): 4,
    (0, 1, 1): 2,
    (0, 1, 0): 4,
    (0, 0, 1): 6,
    (0, 0, 0): 6,
}
#: Conover, Practical Nonparametric Statistics, section 5.8: 12 homeowners rank four grasses, with ties; T1 = 8.097.
GRASSES = [
    [4, 3, 2, 1],
    [4, 2, 3, 1],
    [3, 1.5, 1.5, 4],
    [3, 1, 2, 4],
    [4, 2, 1, 3],
    [2, 2, 2, 4],
    [1, 3, 2, 4],
    [2, 4, 1, 3],
    [3.5, 1, 2, 3.5],
    [4, 1, 3, 2],
    [4, 2, 3, 1],
    [3.5, 1, 2, 3.5],
]
shapes = st.tuples(st.integers(3, 6), st.integers(1, 12))
graded = arrays.arrays(float, shapes, elements=st.integers(0, 4).map(lambda grade: grade / 4))
binary = arrays.arrays(float, shapes, elements=st.sampled_from([0.0, 1.0]))
p_values = st.lists(st.floats(0, 1), max_size=8)


def test_cochran_q_is_the_published_one():
    patients = [response for response, count in DRUGS.items() for _ in range(count)]
    test = cochran_q(np.transpose(patients))
    assert (test.name, test.df) == ("Cochran's Q", 2)
    assert test.statistic == pytest.approx(8.4706, abs=5e-5)
    assert test.p_value == pytest.approx(0.0145, abs=5e-5)


def test_friedman_with_ties_is_the_published_one():
    test = friedman(np.transpose(GRASSES))
    assert (test.name, test.df) == ("Friedman", 3)
    assert test.statistic == pytest.approx(8.097, abs=5e-4)


@given(graded)
def test_friedman_is_scipys(table):
    assume((table != table[0]).any())
    theirs = stats.friedmanchisquare(*table)
    ours = friedman(table)
    assert (ours.statistic, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-9)


@given(binary)
def test_friedman_on_right_and_wrong_is_cochran_q(table):
    assert friedman(table)[1:] == pytest.approx(cochran_q(table)[1:], abs=1e-9)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 5))
def test_cochran_q_of_two_seeds_is_mcnemars_test(only_first, only_second, both):
    assume(only_first + only_second)
    items = [(1, 0)] * only_first + [(0, 1)] * only_second + [(1, 1)] * both
    expected = (only_first - only_second) ** 2 / (only_first + only_second)
    assert cochran_q(np.transpose(items)).statistic == pytest.approx(expected, abs=1e-9)


@given(graded, st.randoms())
def test_order_is_irrelevant_and_friedman_sees_ranks_only(table, shuffle):
    seeds, items = (shuffle.sample(range(size), size) for size in table.shape)
    assert friedman(np.exp(3 * table[seeds][:, items]))[1:] == pytest.approx(friedman(table)[1:], abs=1e-9)


@given(binary, st.integers(1, 5))
def test_items_on_which_all_seeds_agree_change_nothing(table, count):
    agreed = np.hstack([table, np.ones((len(table), count)), np.zeros((len(table), 1))])
    assert seeds_differ(agreed)[1:] == pytest.approx(seeds_differ(table)[1:], abs=1e-9)


@pytest.mark.parametrize("row", [[1, 0, 1], [0.1, 0.2, 0.7]])
def test_seeds_that_agree_on_every_item_do_not_differ(row):
    assert seeds_differ([row] * 7)[1:] == (0, 6, 1)


@pytest.mark.parametrize(("grades", "name"), [(2, "Cochran's Q"), (4, "Friedman")])
def test_unchanged_seeds_are_told_apart_as_often_as_the_level_says(grades, name):
    draw = np.random.default_rng(grades)
    tests = [seeds_differ(draw.integers(grades, size=(5, 100))) for _ in range(4000)]
    assert {test.name for test in tests} == {name}
    assert np.mean([test.p_value <= 0.05 for test in tests]) == pytest.approx(0.05, abs=0.01)


def test_a_seed_that_is_worse_everywhere_is_found():
    draw = np.random.default_rng(3)
    items = (draw.random((5, 300)) < np.array([[0.8, 0.8, 0.6, 0.8, 0.8]]).T).astype(int)
    assert seeds_differ(items).p_value < 1e-6


def test_cochran_q_refuses_grades():
    with pytest.raises(ValueError, match="0 and 1"):
        cochran_q([[0.5, 1], [0, 1]])


@pytest.mark.parametrize("items", [[[1, 0]], [1, 0], [[1, np.nan], [0, 1]]])
@pytest.mark.parametrize("function", [cochran_q, friedman, seeds_differ])
def test_refuses_what_is_no_table_of_seeds_by_items(function, items):
    with pytest.raises(ValueError, match="expected finite"):
        function(items)


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_the_sequential_procedure_rejects(values, alpha):
    levels = [alpha / (len(values) - step) for step in range(len(values))]
    ordered = sorted(values)
    assume(all(abs(p - level) > 1e-12 for p, level in zip(ordered, levels, strict=True)))
    rejected = next((step for step, p in enumerate(ordered) if p > levels[step]), len(values))
    assert (
        sorted(p for p, adjusted in zip(values, holm(values), strict=True) if adjusted <= alpha) == ordered[:rejected]
    )


@given(p_values)
def test_holm_keeps_the_order_and_lies_between_nothing_and_bonferroni(values):
    adjusted = holm(values)
    assert len(adjusted) == len(values)
    assert all(p <= a <= min(1, len(values) * p) for p, a in zip(values, adjusted, strict=True))
    assert sorted(adjusted) == [adjusted[i] for i in sorted(range(len(values)), key=values.__getitem__)]


@pytest.mark.parametrize("values", [[0.5, 1.1], [-0.1], [float("nan")]])
def test_holm_refuses_what_is_no_p_value(values):
    with pytest.raises(ValueError, match="outside"):
        holm(values)


def test_holm_of_half_precision_loses_nothing_more():
    half = np.array([0.01, 0.04, 0.03], dtype=np.float16)
    assert holm(half) == holm(half.astype(float).tolist())
