"""`seedband sweep`."""

from pathlib import Path
from typing import Annotated

import typer


def sweep(
    seeds: Annotated[str, typer.Option(help="How many root seeds (0, 1, …), or a list of them: 3,7,11.")] = "4",
    config: Annotated[Path | None, typer.Option(help="The recipe. [default: seedband.toml or pyproject.toml]")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the sweep. [default: runs/NAME-METHOD]")] = None,
    band: Annotated[Path, typer.Option(help="Where the band goes.")] = Path("band.json"),
    no_band: Annotated[bool, typer.Option("--no-band", help="Train and score only, as for a candidate.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Jobs at a time.")] = 1,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Write the band without runs that crash.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a model hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="One line: the band.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More progress, and where the logs are.")] = False,
) -> int:
    """Train a recipe under several seeds and write its noise band."""
    from seedband.bands.band import load_band
    from seedband.cli import console
    from seedband.commands.sweep.sweep import make_plan
    from seedband.commands.sweep.sweep import sweep as run_sweep
    from seedband.determinism.seeds import parse_seeds
    from seedband.recipe.parse import find_config, load_recipe

    loaded = load_recipe(config or find_config(Path()))
    listed = parse_seeds(seeds)
    target = None if no_band else band
    if dry_run:
        plan = make_plan(loaded, listed, out=out, band=target, jobs=jobs, offline=offline)
        console.print_sweep_plan(plan.as_dict(), as_json=as_json)
        return 0
    with console.Reporter(quiet=quiet, verbose=verbose) as report:
        done = run_sweep(
            loaded,
            listed,
            out=out,
            band=target,
            jobs=jobs,
            offline=offline,
            keep_going=keep_going,
            on_event=report,
        )
    if done.band_path is None:
        console.print_runs(done, as_json=as_json)
        return 0
    console.print_sweep(done, load_band(done.band_path), as_json=as_json, quiet=quiet)
    return 0
