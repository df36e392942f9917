"""Steps: which rows, and in which passes."""

from hypothesis import given
from hypothesis import strategies as st

from seedband.recipe.sections import TrainSection
from seedband.trainers.loop.steps import plan_steps


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 3))
def test_an_epoch_shows_every_row_once_in_its_order(n, batch_size, accumulated):
    section = TrainSection(method="lora", batch_size=batch_size, gradient_accumulation=accumulated, epochs=2)
    orders = [list(range(n)), list(range(n))[::-1]]
    total = section.planned_steps(n)
    steps = list(plan_steps(orders, section, total))
    assert [step.number for step in steps] == list(range(total))
    for epoch, order in enumerate(orders):
        own = [step for step in steps if step.epoch == epoch]
        assert [row for step in own for row in step.rows] == order
        assert all(len(step.passes) <= accumulated for step in own)
        assert all(len(rows) <= batch_size for step in own for rows in step.passes)
