"""`seedband show`."""

from pathlib import Path
from typing import Annotated

import typer


def show(
    path: Annotated[Path, typer.Argument(help="band.json, or the folder of a sweep.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Show a band: its seeds, its limits, and what it can and cannot tell."""
    from seedband import console
    from seedband.sweep import band_of

    console.print_band(band_of(path), as_json=as_json)
    return 0
