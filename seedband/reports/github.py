"""The report where GitHub shows it: the body of one sticky comment, the job summary, and an annotation.

The comment starts with a line that nobody sees, by which a workflow finds the one to replace. Limits and escaping are
those of docs.github.com: a comment has 65,536 letters, a step's summary 1 MiB, and a value of a workflow command no
line breaks.
"""

import os
import re
from pathlib import Path

from seedband.reports import Kind, Report
from seedband.reports.markdown import blocks, fitted
from seedband.reports.wording import clean

MARKER = "<!-- seedband -->"
COMMENT_BYTES = 65_536
SUMMARY_BYTES = 1024 * 1024
MAX_MESSAGE = 4000
#: What is wrong is an error, what is open a warning.
LEVELS = {"pass": "notice", "suspect": "warning"}


def render(report: Report) -> str:
    """The body of the comment."""
    return f"{MARKER}\n{fitted(blocks(report), COMMENT_BYTES - len(MARKER) - 1)}"


def tell(report: Report) -> list[str]:
    """Append to the summary of the step where there is one; the annotation, and a note where that did not work."""
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    notes = []
    if place:
        try:
            _append(report, Path(place))
        except OSError as error:
            notes = [clean(f"no job summary: cannot write {place}: {error.strerror}")]
    return [*notes, annotation(report)]


def annotation(report: Report) -> str:
    """The workflow command that puts the verdict on the run's page."""
    lines = [
        report.message,
        *map(str, report.problems),
        *([f"next: {report.next_command}"] if report.next_command else []),
    ]
    message = "\n".join(map(clean, lines))
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}…"
    title = _property(f"seedband: {report.status.upper()}")
    return f"::{LEVELS.get(report.status, 'error')} title={title}::{_data(message)}"


def _append(report: Report, path: Path) -> None:
    """Add the report to a summary, as much of it as GitHub takes beside what is there."""
    room = SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0) - 1
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{fitted(blocks(report), room)}" if room > 0 else "")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


KIND = Kind(render, re.compile(rb"<!-- seedband -->\n### seedband: "), tell=tell)
