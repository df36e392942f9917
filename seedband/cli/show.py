"""`seedband show`."""

from pathlib import Path
from typing import Annotated

import typer


def show(
    path: Annotated[Path, typer.Argument(help="band.json, or the folder of a sweep.")],
    by: Annotated[
        str | None, typer.Option(metavar="seed|COLUMN", help="Split by seed, or by a slice column, with its test.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Show a band: its seeds, its limits, and what it can and cannot tell."""
    from seedband.cli import console

    if by is not None:
        from seedband.runs.cohorts import split

        console.print_splits(split(path, by), as_json=as_json)
        return 0
    from seedband.commands.sweep.sweep import band_of

    console.print_band(band_of(path), as_json=as_json)
    return 0
