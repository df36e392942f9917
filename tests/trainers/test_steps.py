"""Steps: which rows, and in which passes."""

from hypothesis import given
from hypothesis import strategies as st

from seedband.records import TrainSection
from seedband.trainers.steps import OVERHEAD, plan_steps, split_by_length

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=40)


def cost(groups, lengths):
    return sum(len(group) * max(lengths[row] for row in group) + OVERHEAD for group in groups)


@given(LENGTHS)
def test_splitting_loses_no_row_and_never_costs_more(lengths):
    rows = list(range(len(lengths)))
    groups = split_by_length(rows, lengths)
    assert sorted(row for group in groups for row in group) == rows
    assert cost(groups, lengths) <= cost([rows], lengths)
    assert all(group == sorted(group) for group in groups)


def test_rows_of_one_length_stay_together():
    assert split_by_length([3, 1, 2], [9, 9, 9, 9]) == [[3, 1, 2]]


@given(LENGTHS, st.integers(1, 8), st.integers(1, 3))
def test_passes_are_split_and_steps_keep_their_rows(lengths, batch_size, accumulated):
    section = TrainSection(method="lora", batch_size=batch_size, gradient_accumulation=accumulated, epochs=2)
    orders = [list(range(len(lengths))), list(range(len(lengths)))[::-1]]
    total = section.planned_steps(len(lengths))
    whole = list(plan_steps(orders, section, total))
    split = list(plan_steps(orders, section, total, lengths))
    assert len(whole) == len(split) == total
    for one, other in zip(whole, split, strict=True):
        assert (one.number, one.epoch, sorted(one.rows)) == (other.number, other.epoch, sorted(other.rows))
