"""`seedband band`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from seedband.storage.registry import DEFAULT_RULE


def band(
    scores: Annotated[
        list[Path],
        typer.Argument(help="Score files, or a folder of them: tables, JSON, results of trainers and harnesses."),
    ],
    band: Annotated[Path, typer.Option(help="Where the band goes.")] = Path("band.json"),
    lower_is_better: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC|all", help="A metric of your own whose lower scores are better."),
    ] = None,
    higher_is_better: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC|all", help="A metric of your own whose higher scores are better."),
    ] = None,
    primary: Annotated[
        str | None, typer.Option(metavar="METRIC", help="The metric that gates. [default: the first that is no loss]")
    ] = None,
    gate: Annotated[
        list[str] | None, typer.Option(metavar="METRIC", help="Several metrics that gate, each at alpha / K.")
    ] = None,
    failed: Annotated[
        list[int] | None, typer.Option(metavar="SEED", help="A seed that failed to train: counted, not in the band.")
    ] = None,
    history: Annotated[
        list[Path] | None,
        typer.Option(metavar="BAND", help="An earlier band of the same metrics on the same eval set."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="METRIC", help="Read this metric alone; several by further flags.")
    ] = None,
    seed_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of the seeds.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Read the rows of one group: model=small.")
    ] = None,
    percent: Annotated[bool, typer.Option("--percent", help="Read 87.1% as .871.")] = False,
    rule: Annotated[str, typer.Option(help="retest, t or range.")] = DEFAULT_RULE,
    alpha: Annotated[float, typer.Option(help="False-alarm rate, .001 to .2.")] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="One line: the band.")] = False,
) -> int:
    """Fit a noise band to scores that any other trainer made."""
    from seedband.bands.band import load_band
    from seedband.cli import console
    from seedband.commands.scores.from_file import band_from_scores, check_target
    from seedband.scorefiles import said

    wanted = said(metric, seed_column, where, percent=percent)
    fitted, notes = band_from_scores(
        scores,
        band_path=band,
        lower_is_better=lower_is_better or (),
        higher_is_better=higher_is_better or (),
        primary=primary,
        gates=gate or (),
        failed_seeds=failed or (),
        rule=rule,
        alpha=alpha,
        history=[load_band(path) for path in history or ()],
        wanted=wanted,
        on_read=(lambda _: None) if quiet else console.print_note,
    )
    check_target(band, scores, wanted)
    fitted.save(band)
    for note in notes:
        console.print_note(note)
    console.print_band(fitted, as_json=as_json, quiet=quiet)
    if not (as_json or quiet):
        console.print_hint(f"judge further scores with: seedband check --scores FILE --band {shlex.quote(str(band))}")
    return 0
