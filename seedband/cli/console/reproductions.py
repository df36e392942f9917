"""A reproduction for people: witness by witness, the noise by source, and the answer."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from seedband.cli.console.bands import print_whole
from seedband.cli.console.output import plain, print_json, print_lines, rich_console

if TYPE_CHECKING:
    from seedband.commands.reproduce import Comparison, Reproduction

STYLES = {"equal": "green", "different": "red", "not comparable": "yellow"}


def print_reproduction(result: "Reproduction", *, as_json: bool = False, quiet: bool = False) -> None:
    """Print each witness, the first step at which the runs part, and the answer; quiet leaves the answer."""
    if as_json:
        comparisons = [{**asdict(entry), "equal": entry.equal} for entry in result.comparisons]
        print_json({**asdict(result), "folder": str(result.folder), "comparisons": comparisons})
        return
    if not quiet:
        _print_witnesses(result)
    from rich.text import Text

    answer = Text(result.status.upper(), style=f"bold {STYLES[result.status]}")
    tail = f": {plain(result.cause)}" if result.cause else f": seed {result.seed} came out the same, witness by witness"
    rich_console().print(Text.assemble(answer, tail), soft_wrap=True)


def _print_witnesses(result: "Reproduction") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("witness", "on record", "again", "")
    for entry in result.comparisons:
        word = "equal" if entry.equal else "different"
        cells = (entry.what, _brief(entry, again=False), _brief(entry, again=True))
        table.add_row(*(Text(plain(cell)) for cell in cells), Text(word, style=STYLES[word]))
    print_whole(table)
    for noise in result.noise:
        told = [
            f"{name} {'unknown' if value is None else format(value, '.6g')}"
            for name, value in (("same seed", noise.same_seed), ("scoring", noise.scoring), ("seeds sd", noise.seeds))
        ]
        print_lines([f"noise of {noise.metric}: {', '.join(told)}"])
    if result.first_step is not None:
        print_lines([f"the runs part at step {result.first_step}"])


def _brief(entry: "Comparison", *, again: bool) -> str:
    value = entry.again if again else entry.recorded
    if value is None:
        return "–"
    return value if " " in entry.what else f"{value[:12]}…"  # a score, or a hash
