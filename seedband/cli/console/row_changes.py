"""Changes of rows: a line a row, as diff has it, and their counts."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from seedband.cli.console.output import print_json, print_lines
from seedband.counts import counted

if TYPE_CHECKING:
    from seedband.data.row_diff import RowChanges

SIGNS = {"removed": "-", "added": "+", "changed": "~", "moved": ">"}


def print_row_changes(found: "RowChanges", *, as_json: bool = False) -> None:
    """Every row that is not where and what it was."""
    if as_json:
        print_json({"same": not found, **asdict(found)})
        return
    for kind, sign in SIGNS.items():
        print_lines([f"{sign} {name}  {kind}" for name in getattr(found, kind)])
    counts = [f"{len(names)} {kind}" for kind in SIGNS if (names := getattr(found, kind))]
    told = ", ".join(counts) or "the same rows in the same order"
    print_lines([f"{told}; {counted(found.n_old, 'row')} before, {found.n_new} now"])
