"""`seedband ship`."""

from pathlib import Path
from typing import Annotated

import typer


def ship(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    to: Annotated[Path, typer.Option(help="Where the checkpoint goes: a new or empty folder.")],
) -> int:
    """Copy the median run's checkpoint, with a model card that carries the band."""
    from seedband.cli import console
    from seedband.commands.ship import ship as run_ship

    run = run_ship(folder, to)
    console.print_note(f"seed {run.seed}, the median run, is in {to}")
    return 0
