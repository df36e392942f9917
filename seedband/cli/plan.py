"""`seedband plan`."""

from pathlib import Path
from typing import Annotated

import typer


def plan(
    drop: Annotated[float, typer.Option(help="Drop that is to be seen, in the metric's own unit.")],
    band: Annotated[Path | None, typer.Option(help="The band whose noise counts.")] = None,
    sd: Annotated[float | None, typer.Option(help="A standard deviation over seeds, instead of a band.")] = None,
    power: Annotated[float, typer.Option(help="Probability of stopping a candidate that dropped, .5 to .99.")] = 0.8,
    alpha: Annotated[
        float | None, typer.Option(help="False-alarm rate, .001 to .2. [default: the band's, else .05]")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Metric of the band. [default: its primary one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Say how many baseline and candidate seeds it takes to see a drop."""
    from seedband.bands.band import load_band
    from seedband.cli import console
    from seedband.commands.plan import plan as make_plan

    fitted = None if band is None else load_band(band)
    console.print_plan(make_plan(drop, band=fitted, sd=sd, power=power, alpha=alpha, metric=metric), as_json=as_json)
    return 0
