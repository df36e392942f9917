"""Readers of score files, in the order in which they are asked."""

from collections.abc import Iterator
from typing import Any

from seedband.scorefiles.reading import Document, Reader
from seedband.storage.registry import SCORE_FILES


def readers() -> Iterator[tuple[str, Reader]]:
    """Name and reader of every format: those of other packages first, for they are the narrower ones."""
    for name in [*sorted(SCORE_FILES.installed()), *SCORE_FILES.built_in]:
        factory: Any = SCORE_FILES.find(name)
        yield name, factory()


def reader_of(document: Document) -> Reader | None:
    """The first reader that recognises a file."""
    return next((reader for _, reader in readers() if reader.recognises(document)), None)
