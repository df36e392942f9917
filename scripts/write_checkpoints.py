"""Write docs/reference/checkpoints.md from the tables of layouts that tests try: what is scored, what is refused.

    python scripts/write_checkpoints.py [--check]

--check writes nothing, and exits 1 where the page is not what the tables say.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "checkpoints.md"
sys.path.insert(0, str(ROOT / "tests" / "support"))

from adapter_layouts import ADAPTERS  # noqa: E402  tables of tests
from layouts import Layout  # noqa: E402
from whole_layouts import WHOLE  # noqa: E402

#: Headings of the page, each with its table.
TABLES: dict[str, Sequence[Layout]] = {"Adapters": ADAPTERS, "Whole models and folders": WHOLE}
HEAD = """# Checkpoints from elsewhere

What `seedband check` makes of checkpoints that other tools left. Each layout is made by plain transformers and PEFT in
the tests, on tiny random bases; its score through the command line is the one that plain transformers and PEFT give
one row at a time, without padding: logits and log-likelihoods to 1e-4, answers to the letter. What is refused exits
with 3, or with 2 where a folder holds no checkpoint at all, and the message says the way out.

This page is written by `scripts/write_checkpoints.py` from the tables in `tests/`.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is stale")
    check = parser.parse_args().check
    stale = not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page()
    if stale:
        print(f"{PAGE.name} {'is stale: python scripts/write_checkpoints.py' if check else 'written'}")
    if stale and not check:
        PAGE.write_text(page(), encoding="utf-8")
    return int(check and stale)


def page() -> str:
    """The whole page."""
    return HEAD + "".join(f"\n## {heading}\n\n{_table(layouts)}" for heading, layouts in TABLES.items())


def _table(layouts: Sequence[Layout]) -> str:
    rows = "".join(f"| {layout.name} | {layout.base} | {_outcome(layout)} |\n" for layout in layouts)
    return f"| Layout | Tried on | Outcome |\n|---|---|---|\n{rows}"


def _outcome(layout: Layout) -> str:
    return f"refused ({layout.code}): “… {layout.refused} …”" if layout.refused else "scored"


if __name__ == "__main__":
    sys.exit(main())
