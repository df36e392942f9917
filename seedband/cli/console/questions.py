"""What a person is asked, on standard error: standard output is for data."""

import sys
from typing import TYPE_CHECKING

from seedband.cli.console.output import plain, rich_console
from seedband.errors import UsageError

if TYPE_CHECKING:
    from seedband.commands.init.questions import Question


def default(question: "Question") -> str:
    """`--yes`: what it probably is."""
    return question.default


def ask(question: "Question") -> str:
    """Ask a person, who may press enter for the default.

    Raises:
        UsageError: Nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question.flag} is not said, and there is no terminal to ask in",
            hint="--yes takes what is found and defaults; or say --data, --eval, --text and --label (--prompt and "
            "--completion, --messages, --image), --model and --metric",
        )
    shown = f" [{plain(question.default)}]" if question.default else ""
    rich_console(stderr=True).print(f"{question.text}{shown}: ", end="", markup=False, highlight=False, soft_wrap=True)
    return sys.stdin.readline().strip() or question.default
