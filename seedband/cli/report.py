"""`seedband report`."""

from pathlib import Path
from typing import Annotated

import typer

from seedband.storage import atomic_files


def report(
    path: Annotated[Path | None, typer.Argument(help="band.json, or the folder of a sweep.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The page to write.")] = Path("report.html"),
    history: Annotated[
        Path | None, typer.Option(help="Instead: every band, sweep and JSON report below this folder, over time.")
    ] = None,
) -> int:
    """Write a band as a page, or many bands and verdicts as a trend: one HTML file that asks for nothing."""
    from seedband import reports
    from seedband.cli import console
    from seedband.errors import UsageError

    if (path is None) == (history is None):
        raise UsageError("report takes a band or a sweep, or --history FOLDER", hint="seedband report runs/NAME")
    reports.check_target("html", out, [path] if path is not None and path.is_file() else [])
    reports.check_installed("html")

    if history is not None:
        from seedband.reports.html import trend_page
        from seedband.reports.trend import timeline

        page = trend_page.render_timeline(timeline(history))
    else:
        from seedband.reports import html
        from seedband.reports.page_data import overview

        assert path is not None
        page = html.render_overview(overview(path))
    atomic_files.write_text(out, page)
    console.print_note(f"the page is in {out}")
    return 0
