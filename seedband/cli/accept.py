"""`seedband accept`."""

from pathlib import Path
from typing import Annotated

import typer


def accept(
    folder: Annotated[Path, typer.Argument(help="Folder of a finished sweep of the new recipe.")],
    reason: Annotated[str, typer.Option(help="Why the change is meant; the band keeps it.")],
    band: Annotated[Path, typer.Option(help="The band to replace; it is kept beside the new one.")] = Path("band.json"),
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT", help="What may be measured otherwise: eval_data, evaluators, scoring, labels, task."
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a model hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Accept a deliberate change: the band of a new sweep replaces the one that gates."""
    from seedband.cli import console
    from seedband.commands.accept import accept as run_accept

    accepted = run_accept(folder, band, reason=reason, allow=allow or (), offline=offline)
    console.print_accepted(accepted, as_json=as_json)
    return 0
