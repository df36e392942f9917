"""Write docs/reference/models.md from the matrix of architectures that the tests sweep and score.

    python scripts/write_models_page.py [--check]

--check writes nothing, and exits 1 where the page is not what the matrix says.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "fixtures")]

from architectures import EQUAL, MATRIX, Row  # noqa: E402  found by the path above

PAGE = ROOT / "docs" / "reference" / "models.md"
HEAD = """\
# Models
Any model of transformers can be a base that transformers itself builds for the task: no code of its own is run. What a
score is worth on each kind was tried: a tiny model of random weights is swept and scored by `seedband sweep`, and every
logit, loss and answer is held against plain transformers and PEFT, one row at a time, without padding: equal to
1e-4, answers to the letter, and batches of 1 say what batches of 16 say (`tests/test_matrix.py`).

The table is written from those tests by `scripts/write_models_page.py`. What does not stand in it is not refused for
that: a base is tried when it is loaded. *Rows of equal length*: padding leaks there, so rows of one length
are computed together; that takes longer, and a warning says so.

| type of model | task | method | outcome |
|---|---|---|---|
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is stale")
    check, text = parser.parse_args().check, page()
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"models.md {'is stale: python scripts/write_models_page.py' if check else 'written'}")
    if not check:
        PAGE.write_text(text, encoding="utf-8")
    return int(check)


def page() -> str:
    """The page."""
    return HEAD + "".join(f"{line}\n" for line in sorted(_lines()))


def _lines() -> Iterator[str]:
    for row in MATRIX:
        yield f"| {row.name} | {row.task} | {row.method} | {_outcome(row)} |"


def _outcome(row: Row) -> str:
    if row.refused:
        return f"refused: “… {row.refused} …”"
    return f"works, in {EQUAL}" if row.told == EQUAL else "works"


if __name__ == "__main__":
    sys.exit(main())
