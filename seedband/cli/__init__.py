"""The command line: one short file per command, each values in → one call → console → exit code."""

import typer

from seedband.cli.accept import accept
from seedband.cli.band import band
from seedband.cli.check import check
from seedband.cli.diff_data import diff_data
from seedband.cli.doctor import doctor
from seedband.cli.errors import guarded
from seedband.cli.evaluators import evaluators
from seedband.cli.init import init
from seedband.cli.plan import plan
from seedband.cli.report import report
from seedband.cli.reproduce import reproduce
from seedband.cli.ship import ship
from seedband.cli.show import show
from seedband.cli.sweep import sweep

app = typer.Typer(
    name="seedband",
    help="Noise bands from training seeds, and a gate that judges new checkpoints against them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show_version: bool) -> None:
    if show_version:
        import seedband

        typer.echo(f"seedband {seedband.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_version,
        is_eager=True,
        help="Show the version and exit.",
    ),
) -> None:
    """Noise bands from training seeds, and a gate that judges new checkpoints against them."""


for command in (
    init, sweep, check, band, accept, show, report, plan, ship, reproduce, diff_data, doctor, evaluators,
):  # fmt: skip
    app.command()(guarded(command))
