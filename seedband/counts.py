"""Counts in words: one row, two rows."""

from collections.abc import Sequence


def plural(count: float, one: str, many: str = "") -> str:
    """Words for one or for several; one in the singular, nought in the plural.

    Args:
        count: How many.
        one: Words for one.
        many: Words for any other number; `one` and an s unless given.

    Examples:
        >>> plural(1, "seed"), plural(0, "seed"), plural(2, "was", "were")
        ('seed', 'seeds', 'were')
    """
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str = "") -> str:
    """A number and the words for it.

    Examples:
        >>> counted(1, "row"), counted(3, "row"), counted(2, "row says", "rows say")
        ('1 row', '3 rows', '2 rows say')
    """
    return f"{count} {plural(count, one, many)}"


def first_of(names: Sequence[str], one: str) -> str:
    """The first of some names, and how many more there are.

    Examples:
        >>> first_of(["a"], "tensor"), first_of(["a", "b"], "tensor")
        ('a', 'a and 1 more tensor')
    """
    more = len(names) - 1
    return f"{names[0]} and {counted(more, f'more {one}')}" if more else names[0]
