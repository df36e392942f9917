"""What every message goes through: standard output for data, standard error for everything else."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seedband.errors import SeedbandError
from seedband.reports.wording import clean

if TYPE_CHECKING:
    from rich.console import Console as RichConsole


#: What GitHub's runner takes a line of output for a command by: at its beginning, and in the older form anywhere.
_COMMAND = re.compile(r"^(\s*):(?=:)")
_OLD_COMMAND = "##["


def plain(text: object) -> str:
    r"""Text that drives neither a terminal nor the runner that reads our output: what would is broken up.

    Examples:
        >>> print(plain("::stop-commands::x"), plain("a ##[error]b"), plain("a::b"))
        \x3a:stop-commands::x a ##\x5berror]b a::b
    """
    return _COMMAND.sub(r"\1\\x3a", clean(text)).replace(_OLD_COMMAND, r"##\x5b")


def rich_console(*, stderr: bool = False) -> "RichConsole":
    """A rich console on standard output or standard error."""
    from rich.console import Console

    return Console(stderr=stderr)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def print_json(value: Mapping[str, object]) -> None:
    """One JSON object on standard output."""
    _write(json.dumps(value, indent=2, allow_nan=False).replace(_OLD_COMMAND, r"##\u005b") + "\n")


def print_error(error: SeedbandError) -> None:
    """Print an error with every mistake and its hint."""
    from rich.text import Text

    console = rich_console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), plain(error.message)), soft_wrap=True)
    for problem in error.problems:
        console.print(Text(f"  {plain(problem)}"), soft_wrap=True)
    if error.hint:
        print_hint(error.hint)


def print_hint(text: str) -> None:
    """A hint on a line of its own."""
    from rich.text import Text

    rich_console(stderr=True).print(Text.assemble(("hint: ", "bold cyan"), plain(text)), soft_wrap=True)


def print_note(text: str) -> None:
    """A line on standard error."""
    from rich.text import Text

    rich_console(stderr=True).print(Text(plain(text)), soft_wrap=True)


def print_report_notes(lines: Sequence[str]) -> None:
    """What reports say beside their files, on standard error: commands to the runner among them, which are ours."""
    for line in lines:
        sys.stderr.write(clean(line) + "\n")


def print_lines(lines: Sequence[str]) -> None:
    """Plain lines on standard output."""
    for line in lines:
        _write(plain(line) + "\n")
