"""`seedband reproduce`."""

from pathlib import Path
from typing import Annotated

import typer

EXIT_CODES = {"equal": 0, "different": 1, "not comparable": 3}


def reproduce(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    seed: Annotated[int | None, typer.Option(help="Which seed. [default: the median run's]")] = None,
    config: Annotated[Path | None, typer.Option(help="A recipe that differs in [determinism] alone.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a model hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="One line: the answer.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More progress, and where the logs are.")] = False,
) -> int:
    """Train a seed again and compare: exit 0 equal, 1 not equal, 3 not comparable."""
    from seedband.cli import console
    from seedband.commands.reproduce import reproduce as run_reproduce

    with console.Reporter(quiet=quiet, verbose=verbose) as report:
        result = run_reproduce(folder, seed, config=config, offline=offline, on_event=report)
    console.print_reproduction(result, as_json=as_json, quiet=quiet)
    return EXIT_CODES[result.status]
