"""The report as JSON, for programs: the object that `check --json` prints."""

import json

from seedband.reports import Report


def render(report: Report) -> str:
    """One JSON object."""
    return json.dumps(report.as_dict(), indent=2, allow_nan=False) + "\n"
