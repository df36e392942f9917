"""A kind of report: one line of CSV."""

import re

from seedband.reports import Kind

KIND = Kind(
    lambda report: f"status,exit_code\n{report.status},{report.exit_code}\n", re.compile(rb"status,exit_code\n")
)
