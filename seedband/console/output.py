"""What every message goes through: standard output for data, standard error for everything else."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seedband.errors import SeedbandError
from seedband.words import clean

if TYPE_CHECKING:
    from rich.console import Console as RichConsole


def rich_console(*, stderr: bool = False) -> "RichConsole":
    """A rich console on standard output or standard error."""
    from rich.console import Console

    class Unbroken(Console):
        """When the reader goes away, what is left is not printed, and the exit code stays what it was."""

        def on_broken_pipe(self) -> None:
            _let_go()

    return Unbroken(stderr=stderr)


def _let_go() -> None:
    """Print into nothing from here on: the reader of our output went away, and the answer is the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go()


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    _write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def print_error(error: SeedbandError) -> None:
    """What is wrong, every mistake, and what to do about it."""
    from rich.text import Text

    console = rich_console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), clean(error.message)), soft_wrap=True)
    for problem in error.problems:
        console.print(Text(f"  {clean(problem)}"), soft_wrap=True)
    if error.hint:
        print_hint(error.hint)


def print_hint(text: str) -> None:
    """A hint on a line of its own."""
    from rich.text import Text

    rich_console(stderr=True).print(Text.assemble(("hint: ", "bold cyan"), clean(text)), soft_wrap=True)


def print_note(text: str) -> None:
    """A line on standard error."""
    from rich.text import Text

    rich_console(stderr=True).print(Text(clean(text)), soft_wrap=True)


def print_lines(lines: Sequence[str]) -> None:
    """Plain lines on standard output."""
    for line in lines:
        _write(clean(line) + "\n")
