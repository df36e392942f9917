"""The only place that prints: tables, the strip of seeds, verdict lines, hints, progress.

Data goes to standard output, everything else to standard error. Verdict lines are plain text of one line each, for
grep; NO_COLOR, narrow terminals and pipes are rich's business.
"""

from seedband.cli.console.acceptances import print_accepted
from seedband.cli.console.bands import print_band
from seedband.cli.console.beginnings import print_begun
from seedband.cli.console.cohorts import print_splits
from seedband.cli.console.doctor import print_diagnosis
from seedband.cli.console.evaluators import print_evaluators
from seedband.cli.console.output import print_error, print_hint, print_json, print_lines, print_note, print_report_notes
from seedband.cli.console.plans import print_plan
from seedband.cli.console.progress import Reporter
from seedband.cli.console.questions import ask, default
from seedband.cli.console.reproductions import print_reproduction
from seedband.cli.console.row_changes import print_row_changes
from seedband.cli.console.sweeps import print_runs, print_sweep, print_sweep_plan
from seedband.cli.console.verdicts import print_verdict

__all__ = [
    "Reporter",
    "ask",
    "default",
    "print_accepted",
    "print_band",
    "print_begun",
    "print_diagnosis",
    "print_error",
    "print_evaluators",
    "print_hint",
    "print_json",
    "print_lines",
    "print_note",
    "print_plan",
    "print_report_notes",
    "print_reproduction",
    "print_row_changes",
    "print_runs",
    "print_splits",
    "print_sweep",
    "print_sweep_plan",
    "print_verdict",
]
