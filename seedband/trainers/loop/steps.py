"""Optimizer steps: which rows each is made of, and in which forward passes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seedband.recipe.sections import TrainSection


@dataclass(frozen=True)
class Step:
    """One optimizer step: the rows of each of its forward passes."""

    number: int
    epoch: int
    passes: Sequence[Sequence[int]]

    @property
    def rows(self) -> list[int]:
        """All its rows."""
        return [row for rows in self.passes for row in rows]


def plan_steps(orders: Sequence[Sequence[int]], section: TrainSection, total: int) -> Iterator[Step]:
    """The steps of a run.

    Args:
        orders: Rows in the order of each epoch.
        section: How many rows make a pass, and how many passes a step.
        total: Steps after which it ends.
    """
    number = 0
    for epoch, order in enumerate(orders):
        batches = [order[start : start + section.batch_size] for start in range(0, len(order), section.batch_size)]
        for start in range(0, len(batches), section.gradient_accumulation):
            if number == total:
                return
            yield Step(number, epoch, batches[start : start + section.gradient_accumulation])
            number += 1
