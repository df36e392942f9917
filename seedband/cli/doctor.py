"""`seedband doctor`."""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    config: Annotated[
        Path | None, typer.Option(help="A recipe, for its [determinism] and device. [default: seedband.toml, if any]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Say what is pinned on this machine, what cannot be, and what its numerics are."""
    from seedband.cli import console
    from seedband.commands.doctor import diagnose
    from seedband.determinism.settings import DeterminismSection
    from seedband.recipe.parse import CONFIG_NAME, load_recipe

    if config is None and not Path(CONFIG_NAME).is_file():
        console.print_diagnosis(diagnose(DeterminismSection()), as_json=as_json)
        return 0
    recipe = load_recipe(config or Path(CONFIG_NAME)).recipe
    console.print_diagnosis(diagnose(recipe.determinism, recipe.train.device), as_json=as_json)
    return 0
