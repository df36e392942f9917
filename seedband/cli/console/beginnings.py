"""What `init` found and wrote, for people."""

import shlex
from typing import TYPE_CHECKING

from seedband.cli.console.output import print_hint, print_json, print_lines, print_note
from seedband.recipe.parse import CONFIG_NAME

if TYPE_CHECKING:
    from seedband.commands.init.init import Begun


def print_begun(begun: "Begun", *, as_json: bool) -> None:
    """Print the findings, the files written, and the next command."""
    if as_json:
        content = {"config": str(begun.config), "files": [str(path) for path in begun.files]}
        print_json({**content, "notes": list(begun.notes), "warnings": list(begun.warnings)})
        return
    print_lines(begun.notes)
    for text in begun.warnings:
        print_note(f"warning: {text}")
    print_lines([f"wrote: {', '.join(str(path) for path in begun.files)}"])
    named = "" if str(begun.config) == CONFIG_NAME else f" --config {shlex.quote(str(begun.config))}"
    print_hint(f"look at {begun.config}, then: seedband sweep --seeds 4{named}")
