"""A diagnosis for people: a row per source of differing numbers."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from seedband.cli.console.bands import print_whole
from seedband.cli.console.output import plain, print_json, print_lines

if TYPE_CHECKING:
    from seedband.commands.doctor import Diagnosis

STATES = {"pinned": "green", "open": "yellow", "absent": "dim"}


def print_diagnosis(diagnosis: "Diagnosis", *, as_json: bool = False) -> None:
    """Print what is pinned, what cannot be, which variables of the shell are overridden, and the fingerprint."""
    if as_json:
        entries = [entry._asdict() for entry in diagnosis.overridden]
        print_json({**asdict(diagnosis), "overridden": entries})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("source", "here", "", "to know")
    for finding in diagnosis.findings:
        state = Text(finding.state, style=STATES[finding.state])
        table.add_row(Text(finding.what), Text(plain(finding.found)), state, Text(plain(finding.advice)))
    print_whole(table)
    for entry in diagnosis.overridden:
        print_lines([f"shell: {entry.name}={entry.found} gives way to {entry.pinned} in every job"])
    versions = ", ".join(f"{name} {version}" for name, version in diagnosis.versions.items())
    print_lines([f"versions: {versions}", f"numerics fingerprint: {diagnosis.fingerprint}"])
