"""Regular expressions of unknown origin: matched within bounds, so that none takes for ever.

They are matched by `regex`, which transformers brings along and which knows a limit of time; what it takes otherwise
than Python's `re` is refused. Nobody else is given them: what they match is.
"""

import re
import warnings
from collections.abc import Iterable

#: Characters of an expression: what people write has some dozens.
MAX_LENGTH = 500
#: Seconds in which a name is matched, or not: what people write takes microseconds.
MAX_SECONDS = 0.5
#: Signs that `re` and `regex` read in the same way: no recursion, no fuzzy matching, no repeat of a repeat.
PLAIN = re.compile(r"(?:[\w.^$|*+?()\[\]\\,:=!<>/ -]|\{[0-9]{0,3},?[0-9]{0,3}\})*", re.ASCII)
GROUPS = re.compile(r"\(\?(?!:|=|!|<=|<!)")


def a_bounded_expression(value: str) -> bool:
    """Check whether a text is an expression of the kind that is matched here."""
    if len(value) > MAX_LENGTH or not PLAIN.fullmatch(value) or GROUPS.search(value):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what another release will read otherwise
            re.compile(value)
    except (re.error, RecursionError, OverflowError, Warning):
        return False
    return True


def matched(expression: str, names: Iterable[str]) -> list[str]:
    r"""The names that an expression matches, by their end or as a whole, as PEFT does.

    Args:
        expression: A bounded one.
        names: Of modules.

    Raises:
        TimeoutError: It takes too long.

    Examples:
        >>> matched(r"layer\.[01]\.query", ["layer.0.query", "bert.layer.1.query", "layer.2.query"])
        ['layer.0.query', 'bert.layer.1.query']
    """
    import regex

    pattern = regex.compile(rf"(.*\.)?({expression})$", regex.V0)
    return [name for name in names if pattern.match(name, timeout=MAX_SECONDS)]
