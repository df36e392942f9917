"""Published tables, other routes to the same number, and what must hold for every table."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from seedband.bands.stats.items import checked_table, churn, components, item_floor, standard_error

#: Shrout and Fleiss, Psychological Bulletin 86 (1979), table 2: four judges (here seeds) of six targets (items).
JUDGES = np.transpose([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
shapes = st.tuples(st.integers(2, 6), st.integers(2, 9))
graded = arrays.arrays(float, shapes, elements=st.integers(0, 4).map(lambda grade: grade / 4))
binary = arrays.arrays(float, shapes, elements=st.sampled_from([0.0, 1.0]))


def test_components_give_the_published_mean_squares():
    split = components(JUDGES)
    assert split.residual_variance == pytest.approx(1.02, abs=0.005)
    assert 6 * split.seed_variance + split.residual_variance == pytest.approx(32.49, abs=0.005)
    assert 4 * split.item_variance + split.residual_variance == pytest.approx(11.24, abs=0.005)
    assert (split.n_seeds, split.n_items) == (4, 6)


def test_components_give_the_published_intraclass_correlation():
    split = components(JUDGES)
    assert split.item_variance / sum(split[:3]) == pytest.approx(0.29, abs=0.005)


def test_components_are_unbiased():
    draw = np.random.default_rng(1)
    estimates = []
    for _ in range(2000):
        seeds, items = 0.5 * draw.standard_normal((8, 1)), 2 * draw.standard_normal((1, 30))
        estimates.append(components(seeds + items + draw.standard_normal((8, 30)))[:3])
    assert np.mean(estimates, axis=0) == pytest.approx([0.25, 4.0, 1.0], rel=0.03)


@given(graded)
def test_components_solve_the_moment_equations(table):
    n, m = table.shape
    within, between = table.var(axis=0, ddof=1).mean(), table.mean(axis=1).var(ddof=1)
    residual = (within - between) * m / (m - 1)
    split = components(table)
    assert split.residual_variance == pytest.approx(residual, abs=1e-12)
    assert split.seed_variance == pytest.approx(max(0, between - residual / m), abs=1e-12)
    assert split.item_variance == pytest.approx(max(0, table.mean(axis=0).var(ddof=1) - residual / n), abs=1e-12)


@given(graded)
def test_sd_on_the_same_items_is_that_of_the_scores_unless_truncated(table):
    split, observed = components(table), table.mean(axis=1).std(ddof=1)
    if split.seed_variance > 1e-12:
        assert split.same_items_sd == pytest.approx(observed)
    assert observed - 1e-9 <= split.same_items_sd <= split.new_items_sd


@given(graded, st.floats(-10, 10), st.sampled_from([0.5, 2.0, 100.0]), st.randoms())
def test_components_know_neither_origin_nor_order_and_follow_the_unit(table, shift, unit, shuffle):
    seeds, items = (shuffle.sample(range(size), size) for size in table.shape)
    moved = components(unit * (table[seeds][:, items] + shift))
    assert moved[:3] == pytest.approx([unit**2 * x for x in components(table)[:3]], abs=1e-9)


def test_negative_seed_variance_is_reported_as_zero():
    split = components([[1, 0], [0, 1]])
    assert split.seed_variance == split.item_variance == 0
    assert split.residual_variance == 1


def test_equal_rows_leave_only_items():
    split = components([[1, 0, 0, 1]] * 3)
    assert split[:3] == (0, pytest.approx(1 / 3), 0)
    assert split.same_items_sd == 0
    assert split.new_items_sd == pytest.approx((1 / 12) ** 0.5)


@given(graded)
def test_churn_is_the_mean_over_pairs_of_seeds(table):
    pairs = [np.mean(a != b) for a, b in itertools.combinations(table, 2)]
    assert churn(table) == pytest.approx(np.mean(pairs))


@given(binary)
def test_churn_of_right_and_wrong_is_twice_the_variance_over_seeds(table):
    assert churn(table) == pytest.approx(2 * table.var(axis=0, ddof=1).mean())
    assert item_floor(table) == pytest.approx(max((churn(table) / (2 * table.shape[1])) ** 0.5, 1 / table.shape[1]))


def test_floor_of_graded_items_may_be_zero():
    assert item_floor([[0.5, 0.25], [0.5, 0.25]]) == 0


@given(arrays.arrays(float, st.integers(2, 12), elements=st.floats(-5, 5)))
def test_standard_error_is_scipys(scores):
    assert standard_error(scores) == pytest.approx(stats.sem(scores), abs=1e-12)


def test_standard_error_of_one_seed_is_the_unbiased_binomial_one():
    assert standard_error([1] * 30 + [0] * 10) == pytest.approx((0.75 * 0.25 / 39) ** 0.5)


@given(arrays.arrays(float, 8, elements=st.floats(-5, 5)), st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_clustered_standard_error_is_the_double_sum_over_clusters(scores, labels):
    labels[:2] = [0, 1]
    d, m, g = scores - scores.mean(), len(scores), len(set(labels))
    crossed = sum(d[i] * d[j] for i in range(m) for j in range(m) if labels[i] == labels[j])
    assert standard_error(scores, labels) == pytest.approx(max(0, crossed * g / (g - 1)) ** 0.5 / m, abs=1e-7)


@given(arrays.arrays(float, st.integers(2, 12), elements=st.floats(-5, 5)), st.integers(1, 4))
def test_items_that_are_repeated_say_nothing_new(scores, copies):
    labels = [f"text {i}" for i in range(len(scores))]
    assert standard_error(np.tile(scores, copies), labels * copies) == pytest.approx(standard_error(scores), abs=1e-12)


def test_clustered_standard_error_is_what_redrawn_clusters_do():
    draw = np.random.default_rng(2)
    labels = np.repeat(np.arange(40), 5)
    drawn = [draw.standard_normal(40)[labels] + draw.standard_normal(200) for _ in range(2000)]
    actual = np.std([scores.mean() for scores in drawn])
    assert np.mean([standard_error(scores, labels) ** 2 for scores in drawn]) ** 0.5 == pytest.approx(actual, rel=0.05)
    assert np.mean([standard_error(scores) for scores in drawn]) < 0.65 * actual


@pytest.mark.parametrize(
    "items", [[[1, 0]], [[], []], [1, 0], [[[1]]], [[1, np.nan], [0, 1]], [[1, np.inf], [0, 1]], [[1, 0], [1]]]
)
@pytest.mark.parametrize("function", [components, churn, item_floor])
def test_refuses_what_is_no_table_of_seeds_by_items(function, items):
    with pytest.raises(ValueError, match=r"expected finite|inhomogeneous"):
        function(items)


def test_one_item_has_no_components_but_a_floor_and_churn():
    with pytest.raises(ValueError, match="2 or more items"):
        components([[1], [0]])
    assert item_floor([[1], [0]]) == churn([[1], [0]]) == 1


@pytest.mark.parametrize("scores", [[1], [[1, 0], [0, 1]], [1, np.nan], []])
def test_standard_error_refuses_what_is_no_row_of_items(scores):
    with pytest.raises(ValueError, match="2 or more finite"):
        standard_error(scores)


@pytest.mark.parametrize("clusters", ["aab", "aaaa", ""])
def test_standard_error_refuses_other_counts_of_labels_and_a_single_cluster(clusters):
    with pytest.raises(ValueError, match="label per item"):
        standard_error([1, 0, 1, 1], clusters)


def test_table_of_truth_values_is_a_table_of_scores():
    assert checked_table([[True, False], [True, True]]).tolist() == [[1, 0], [1, 1]]


def test_items_on_which_all_seeds_agree_set_no_floor():
    assert item_floor([[1 / 3, 0.1, 0.7]] * 4) == 0.0


@pytest.mark.parametrize("row", [[0.1, 0.7, 0.3], [0.1] * 4, [0.1, 0.2]])
@pytest.mark.parametrize("seeds", [2, 3, 7])
def test_seeds_that_agree_on_every_item_have_no_floor_of_rounding(row, seeds):
    assert item_floor([row] * seeds) == 0.0


def test_scores_in_half_precision_lose_nothing_more():
    half = np.array([0.1, 0.2, 0.7, 0.9], dtype=np.float16)
    assert standard_error(half) == standard_error(half.astype(float))


def test_an_item_on_which_all_seeds_agree_lowers_the_floor_of_the_others():
    assert item_floor([[0.25, 0.5], [0.75, 0.5]]) == pytest.approx((0.125 / 2 / 2) ** 0.5)
