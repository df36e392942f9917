"""`seedband evaluators`."""

from typing import Annotated

import typer


def evaluators(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """List the evaluators that are installed, one line each."""
    from seedband.cli import console
    from seedband.evaluators.catalogue import listing

    console.print_evaluators(listing(), as_json=as_json)
    return 0
