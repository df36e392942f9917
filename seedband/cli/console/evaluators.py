"""Evaluators for people: a row each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seedband.cli.console.bands import print_whole
from seedband.cli.console.output import plain, print_json

if TYPE_CHECKING:
    from seedband.evaluators.catalogue import Listed


def print_evaluators(listed: Sequence["Listed"], *, as_json: bool = False) -> None:
    """Name, what it reads, which direction is better, and what it scores or lacks."""
    if as_json:
        print_json({"evaluators": [entry._asdict() for entry in listed]})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("evaluator", "reads", "better", "what it scores")
    for entry in listed:
        origin = "" if entry.origin == "seedband" else f" [{entry.origin}]"
        told = Text(plain(f"{entry.summary}{origin}"))
        if entry.missing:
            told = Text.assemble(told, "\n", (entry.missing, "yellow"))
        table.add_row(Text(plain(entry.name)), Text(entry.reads), Text(entry.better), told)
    print_whole(table)
