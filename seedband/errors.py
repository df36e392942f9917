"""The error tree, and with it the exit codes. `cli` is the only place that turns one into the other.

    SeedbandError
    ├── UsageError     2    what was typed or configured is wrong
    ├── Refused        3    the evidence allows no verdict
    └── WorkFailed     5    the work itself failed: a run crashed, disk full, out of memory

Exit 1 is no error: it is the answer "no" of `check`. An unexpected exception exits 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Attributes:
        where: Key path, file and row, flag or checkpoint that is wrong.
        found: What is there; what is wrong with it where nothing is `expected` in its place.
        expected: What should be there; may be empty.
        hint: What to do about it; may be empty.
    """

    where: str
    found: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        line = f"{self.where}: found {self.found}, expected {self.expected}"
        if not self.expected:
            line = f"{self.where}: {self.found}"
        return f"{line} ({self.hint})" if self.hint else line


class SeedbandError(Exception):
    """Base of every error that seedband raises on purpose.

    Args:
        message: One line, no full stop, that says what is wrong and where.
        problems: Every single mistake, when there are several.
        hint: What to do next; may be empty.
    """

    exit_code = 5

    def __init__(self, message: str, problems: Sequence[Problem] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.problems = tuple(problems)
        self.hint = hint

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {problem}" for problem in self.problems)])


class UsageError(SeedbandError):
    """What was typed or configured is wrong."""

    exit_code = 2


class Refused(SeedbandError):
    """The evidence allows no verdict."""

    exit_code = 3


class WorkFailed(SeedbandError):
    """The work itself failed; what was finished is kept."""

    exit_code = 5

    @classmethod
    def from_os(cls, error: OSError, doing: str = "") -> "WorkFailed":
        """An error from one of the operating system: no room, no permission, no such file.

        Args:
            error: What it said.
            doing: What was tried, such as "write band.json"; the file alone unless said.
        """
        what = f"cannot {doing}" if doing else str(error.filename or "the operating system")
        return cls(f"{what}: {error.strerror or error}", hint="check the disk and the permissions")
