"""`seedband diff-data`."""

from pathlib import Path
from typing import Annotated

import typer


def diff_data(
    old: Annotated[str, typer.Argument(help="A data file, or band.json, a run or a sweep for their eval data.")],
    new: Annotated[str, typer.Argument(help="Likewise.")],
    config: Annotated[
        Path | None, typer.Option(help="The recipe that names the columns. [default: the band's or run's, else yours]")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a data hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Name the rows in which two data sets differ."""
    from seedband.cli import console
    from seedband.commands.diff_data import diff_data as run_diff_data

    found = run_diff_data(old, new, config=config, offline=offline)
    console.print_row_changes(found, as_json=as_json)
    return 0
