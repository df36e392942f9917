"""The axis of a drawing: values as pixels, and marks that do not cover each other."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")
#: Pixels across: for a screen, and for a phone.
WIDE, NARROW = 880.0, 344.0
#: Levels of dots over one score; what is more lies on the topmost.
MAX_LEVELS = 10
#: Width of a digit of the labels, in pixels.
DIGIT = 7.8


class Axis(NamedTuple):
    """A linear map from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Round values on the axis, with just the decimals that tell them apart."""
        from matplotlib.ticker import MaxNLocator

        found = [
            float(v)
            for v in MaxNLocator(count, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
            if self.low <= v <= self.high
        ]
        step = found[1] - found[0] if len(found) > 1 else abs(self.high - self.low)
        decimals = min(12, max(0, math.ceil(-math.log10(step) - 1e-9)))
        return [(value, f"{value + 0.0:.{decimals}f}") for value in found]


def axis_around(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis that holds the values; around a single one there is some room."""
    low, high = min(values), max(values)
    room = (high - low) * 0.04 or max(abs(high) * 0.01, 1e-3)
    return Axis(low - room, high + room, start, end)


def near(core: Sequence[float], values: Sequence[float], reach: float) -> list[float]:
    """The values that lie within so many spans of the core."""
    room = (max(core) - min(core)) * reach
    return [value for value in values if min(core) - room <= value <= max(core) + room]


def levels_of(places: Sequence[float], widths: Sequence[float]) -> list[int]:
    """On which level each mark lies, so that none covers another unless there are too many."""
    ends = [-math.inf] * MAX_LEVELS
    levels = [0] * len(places)
    for index in sorted(range(len(places)), key=lambda i: places[i]):
        left, right = places[index] - widths[index] / 2, places[index] + widths[index] / 2
        level = next((n for n, end in enumerate(ends) if end <= left), MAX_LEVELS - 1)
        levels[index], ends[level] = level, right
    return levels


def sampled(values: Sequence[T], most: int) -> list[T]:
    """The first, the last and evenly many between."""
    if len(values) <= most:
        return list(values)
    return [values[round(index * (len(values) - 1) / (most - 1))] for index in range(most)]
