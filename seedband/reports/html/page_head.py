"""The head of the page: the status, why, and what to do next."""

import re
from dataclasses import dataclass

#: What follows from what was found, where a command is part of it.
COMMAND = re.compile(
    r"(?P<before>.*?)(?P<command>\bseedband (?:check|show|sweep|diff-data|reproduce) .*?)(?P<after>, or .*)?"
)


@dataclass(frozen=True)
class Step:
    """What to do next, with the command to copy, if there is one."""

    label: str
    before: str = ""
    command: str = ""
    after: str = ""


@dataclass(frozen=True)
class Head:
    """What the page says first.

    Attributes:
        status: Which decides its colour: that of a verdict, "refused", "error" or "band".
        title: In a word.
        sentence: Why.
        steps: What to do next.
    """

    status: str
    title: str
    sentence: str
    steps: tuple[Step, ...] = ()


def next_step(text: str, sentence: str) -> Step:
    """The next step, taken apart into words that are new on the page and the command in it."""
    taken = COMMAND.fullmatch(text)
    if taken is None:
        return Step("Next", before=text)
    before = taken["before"].rstrip(": ")
    after = (taken["after"] or "").removeprefix(", ")
    return Step("Next", "" if before in sentence else before, taken["command"], after)
