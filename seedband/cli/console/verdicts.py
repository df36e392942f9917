"""A verdict for people: the candidates on the axis of seeds, a line per metric, and what it means in words."""

from typing import TYPE_CHECKING

from seedband.cli.console.bands import strip
from seedband.cli.console.output import plain, print_lines, rich_console
from seedband.reports.wording import conclusion, slice_lines, verdict_line, verdict_sentences

if TYPE_CHECKING:
    from seedband.bands.band import Band
    from seedband.bands.verdict import Verdict

STYLES = {"pass": "green", "fail": "red", "suspect": "yellow"}


def print_verdict(verdict: "Verdict", band: "Band", *, quiet: bool = False) -> None:
    """The strip with the candidates, a line per metric, and what it means in words; quiet leaves the last line."""
    console = rich_console()
    if verdict.metrics and not quiet:
        for line in strip(band.metrics[band.primary], verdict.metrics[band.primary].scores):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        ordered = sorted(verdict.metrics.items(), key=lambda pair: (pair[0] != band.primary, not pair[1].gates))
        print_lines([verdict_line(name, m, band.metrics[name]) for name, m in ordered])
        print_lines([*slice_lines(verdict, band), *verdict_sentences(verdict, band)])
    from rich.text import Text

    word = Text(verdict.status.upper(), style=f"bold {STYLES[verdict.status]}")
    console.print(Text.assemble(word, f": {plain(conclusion(verdict))}"), soft_wrap=True)
