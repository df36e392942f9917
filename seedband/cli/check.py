"""`seedband check`."""

from pathlib import Path
from typing import Annotated

import typer

EXIT_CODES = {"pass": 0, "fail": 1, "suspect": 4}


def check(
    candidates: Annotated[
        list[Path], typer.Argument(help="Checkpoint folders of one candidate recipe, in the order trained.")
    ],
    band: Annotated[Path, typer.Option(help="The band to judge by.")] = Path("band.json"),
    rule: Annotated[str | None, typer.Option(help="retest, t or range. [default: the band's]")] = None,
    alpha: Annotated[float | None, typer.Option(help="False-alarm rate, .001 to .2. [default: the band's]")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the band's eval data lies now.")] = None,
    labels: Annotated[Path | None, typer.Option(help="The candidates' own label order, one label a line.")] = None,
    base: Annotated[str | None, typer.Option(help="The base that the candidates were trained on.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse another environment or method, too.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a model hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More progress, and where the logs are.")] = False,
) -> int:
    """Pass new checkpoints or stop them: exit 0 pass, 1 fail, 4 suspect, 3 refused."""
    from seedband import console
    from seedband.band import load_band
    from seedband.check import check as run_check
    from seedband.check import read_labels

    fitted = load_band(band)
    with console.Reporter(quiet=quiet, verbose=verbose) as report:
        verdict = run_check(
            candidates,
            fitted,
            rule=rule,  # type: ignore[arg-type]
            alpha=alpha,
            data=data,
            labels=None if labels is None else read_labels(labels),
            base=base,
            strict=strict,
            offline=offline,
            on_event=report,
        )
    console.print_verdict(verdict, fitted, as_json=as_json)
    return EXIT_CODES[verdict.status]
