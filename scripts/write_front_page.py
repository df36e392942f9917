"""Write docs/index.md, the front page of the site: the README, with links as they are from there.

python scripts/write_front_page.py
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
INDEX = ROOT / "docs" / "index.md"
#: The page needs no list of its own parts: commands have the room.
HEAD = "---\nhide: [toc]\n---\n"
#: Pages of the repository that the site does not have.
ELSEWHERE = re.compile(r"\[CONTRIBUTING\]\([^)]*\) · \[CHANGELOG\]\([^)]*\) · ")


def front_page() -> str:
    """The README as the site shows it."""
    text = ELSEWHERE.sub("", (ROOT / "README.md").read_text(encoding="utf-8"))
    return HEAD + text.replace("](docs/decisions)", "](decisions/index.md)").replace("](docs/", "](")


if __name__ == "__main__":
    INDEX.write_text(front_page(), encoding="utf-8")
