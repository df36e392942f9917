"""The guides, block by block."""

import re

from tiny import ROOT

BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Language, file and content of every block of a page."""
    return BLOCK.findall((ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8"))
