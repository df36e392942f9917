"""Seeding: streams and orders that depend on what they are for, and on nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedband.determinism.seeds import (
    MAX_ROOT_SEED,
    MAX_SEEDS,
    SEEDING_VERSION,
    STREAMS,
    derive,
    epoch_order,
    item_keys,
    parse_seeds,
    root_seeds,
    streams,
)
from seedband.errors import UsageError

KEYS = item_keys([f"text {n}" for n in range(40)])
contents = st.lists(st.text("abc", max_size=2), max_size=30)
seeds = st.integers(0, MAX_ROOT_SEED)


def in_order(order_seed, epoch, keys):
    return [keys[index] for index in epoch_order(order_seed, epoch, keys)]


def test_golden_values_are_pinned():
    # Whoever changes one of these numbers changes SEEDING_VERSION: old runs can no longer be paired with new ones.
    assert SEEDING_VERSION == 5
    assert derive(0, "init") == 8784609293862724968
    assert streams(3, STREAMS) == {
        "init": 7409539996647958953,
        "order": 8237699678541478187,
        "dropout": 3851651917730132142,
    }
    assert derive(7, "tensor", "classifier.weight") == 6208734170259659840
    assert item_keys(["a", "b", "a"])[2] == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb#1"
    assert epoch_order(7, 2, item_keys("abcdefgh")) == [0, 6, 2, 4, 5, 7, 1, 3]


def test_streams_are_all_different():
    drawn = [seed for root in range(500) for seed in streams(root, STREAMS).values()]
    assert len(set(drawn)) == 500 * len(STREAMS)
    assert all(0 <= seed <= MAX_ROOT_SEED for seed in drawn)


@pytest.mark.parametrize("vary", [("init",), ("order", "dropout"), STREAMS, ()])
def test_only_named_streams_vary(vary):
    first, second, zero = streams(1, vary), streams(2, vary), streams(0, vary)
    assert zero == streams(0, STREAMS)
    assert {name for name in STREAMS if first[name] != second[name]} == set(vary)
    assert all(first[name] == zero[name] for name in STREAMS if name not in vary)


def test_varying_a_stream_moves_no_other():
    assert streams(5, ["order"])["order"] == streams(5, STREAMS)["order"]


def test_seed_and_epoch_never_add_up():
    orders = {tuple(epoch_order(derive(seed, "order"), epoch, KEYS)) for seed in range(20) for epoch in range(20)}
    assert len(orders) == 400
    plain = {tuple(epoch_order(seed, epoch, KEYS)) for seed in range(20) for epoch in range(20)}
    assert len(plain) == 400


def test_every_place_is_about_as_likely_for_every_item():
    firsts = [epoch_order(seed, 0, KEYS)[0] for seed in range(2000)]
    assert max(firsts.count(item) for item in range(40)) < 90
    assert min(firsts.count(item) for item in range(40)) > 20


@given(contents, seeds, st.integers(0, 100))
def test_order_is_a_permutation(texts, seed, epoch):
    assert sorted(epoch_order(seed, epoch, item_keys(texts))) == list(range(len(texts)))


@given(contents, contents, seeds, st.randoms(use_true_random=False))
def test_added_and_moved_items_leave_the_order_of_the_others(texts, added, seed, draw):
    more = texts + added
    draw.shuffle(more)
    fewer = item_keys(texts)
    assert [key for key in in_order(seed, 0, item_keys(more)) if key in set(fewer)] == in_order(seed, 0, fewer)


@given(contents)
@settings(deadline=None)
def test_equal_items_are_told_apart(texts):
    keys = item_keys(texts)
    assert len(set(keys)) == len(texts)
    assert [key.partition("#")[0] for key in keys] == [item_keys([text])[0] for text in texts]


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        (1, (0,)),
        (3, (0, 1, 2)),
        ([7], (7,)),
        ([3, 0, 1], (3, 0, 1)),
        ([0, 2**63 - 1], (0, 2**63 - 1)),
        (iter([4, 5]), (4, 5)),
    ],
)
def test_root_seeds_are_a_count_or_a_list_in_its_order(given, seeds):
    assert root_seeds(given) == seeds


def test_as_many_seeds_as_anybody_means_and_no_more():
    assert MAX_SEEDS == 100_000
    assert root_seeds(100_000) == tuple(range(100_000))
    assert root_seeds(range(100_001))[-1] == 100_000  # a list says which
    with pytest.raises(UsageError, match=r"^100001 seeds are more than 100000") as caught:
        root_seeds(100_001)
    assert caught.value.hint == "a single seed is a list: 7,"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (0, "no seed: give a count of at least 1"),
        (-1, "no seed"),
        ([], "no seed"),
        ([5, 3, 7, 3], "seed 3 twice"),
        ([-1], f"seeds are between 0 and {2**63 - 1}"),
        ([0, 2**63], "seeds are between"),
        ([2**63, 0], "seeds are between"),
    ],
)
def test_seeds_that_cannot_be_are_refused(given, told):
    with pytest.raises(UsageError, match=f"^{told}"):
        root_seeds(given)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("2", (0, 1)), (" 2 ", (0, 1)), ("2,", (2,)), (",2", (2,)), ("9, 2 ,,4", (9, 2, 4)), ("0,", (0,))],
)
def test_seeds_are_read_from_a_count_or_a_list(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", ",", "four", "-1", "1.5", "1,x", "x,1", "1 2", "\u00b2", "\u0663"])
def test_what_is_neither_a_count_nor_a_list_is_refused(text):
    with pytest.raises(UsageError, match="is neither a count nor a list"):
        parse_seeds(text)
