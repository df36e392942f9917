"""Scores among what a command prints: a number is read whole or not at all, and never from a line that is outdated."""

import re
from typing import NamedTuple

#: What an expression begins with when a plain text stands before its group, with or without blanks between them.
_PLAIN = re.compile(r"(?P<start>\^?)(?P<text>(?:[^\\.^$*+?{}\[\]|()]|\\\W)+)(?:(?:\\s| )[*+?]*)*\((?:\?P<|(?!\?))")
#: What would go on with a number; a full stop that ends a sentence does not.
_GOES_ON = re.compile(r"[\w+-]|\.(?!\s|$)")
#: What a number would have begun with: a digit, a point, or a sign that joins no words.
_BEGAN = re.compile(r"(?:\d|(?<!\.)\.|(?<!\w)[+-])$")
#: Letters of a line that a message shows.
MAX_SHOWN = 200


class Reading(NamedTuple):
    """What a line says of a metric.

    Attributes:
        score: What the group of its expression found; None where the group took no part.
        problem: Why it cannot be relied on; empty where it can.
    """

    score: str | None
    problem: str = ""


def read(pattern: str, line: str) -> Reading | None:
    """The number that an expression with one group finds in a line; None where the line is not about the metric.

    Examples:
        >>> read("loss=([0-9.]+)", "loss=0.25")
        Reading(score='0.25', problem='')
        >>> read("loss=([0-9.]+)", "loss=1.2e+03").problem
        "'loss=([0-9.]+)' finds 1.2, which is a part of what stands there: loss=1.2e+03"
        >>> read("loss=([0-9.]+)", "loss=nan").problem
        "'loss=([0-9.]+)' finds no number where its text stands last: loss=nan"
    """
    shown = line.strip()[:MAX_SHOWN]
    plain = _PLAIN.match(pattern)
    found = re.search(pattern, line)
    if found is None:
        speaks = plain is not None and _has(line, plain)
        return Reading(None, f"{pattern!r} finds no number where its text stands last: {shown}") if speaks else None
    if found[1] is None:
        return Reading(None)
    before, after = line[: found.start(1)], line[found.end(1) :]
    if _GOES_ON.match(after) or (plain is None and _BEGAN.search(before)):
        return Reading(found[1], f"{pattern!r} finds {found[1]}, which is a part of what stands there: {shown}")
    return Reading(found[1].removesuffix("."))


def _has(line: str, plain: re.Match[str]) -> bool:
    """Check whether the plain text of an expression stands in a line; blanks and marks alone would stand in any."""
    text = re.sub(r"\\(\W)", r"\1", plain["text"])
    if not re.search(r"\w", text):
        return False
    return line.startswith(text) if plain["start"] else text in line
