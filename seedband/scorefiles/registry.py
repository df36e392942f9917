"""The table of readers: formats of score files by name, imported when a file is read."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points

from seedband.scorefiles.reading import Document, Reader

ENTRY_POINTS = "seedband.scorefiles"
#: Name → where its class lives; the first that recognises a file reads it.
READERS: Mapping[str, str] = {
    "lm_eval": "seedband.scorefiles.lm_eval:LmEval",
    "hf_trainer": "seedband.scorefiles.hf_trainer:HfTrainer",
    "csv": "seedband.scorefiles.csv_tables:CsvTables",
    "json": "seedband.scorefiles.json_shapes:JsonShapes",
}


def readers() -> Iterator[tuple[str, Reader]]:
    """Name and reader of every format: those of other packages first, for they are the narrower ones."""
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        yield point.name, point.load()()
    for name, place in READERS.items():
        yield name, load(place)


def load(place: str) -> Reader:
    """The reader that lives at `module:Class`."""
    module, _, attribute = place.partition(":")
    reader: Reader = getattr(import_module(module), attribute)()
    return reader


def reader_of(document: Document) -> Reader | None:
    """The first reader that recognises a file."""
    return next((reader for _, reader in readers() if reader.recognises(document)), None)
