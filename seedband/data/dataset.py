"""Datasets: read, validate, fingerprint."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seedband.counts import counted
from seedband.data.data_files import content_sha256, read_values
from seedband.data.rows import Row, read_row, reading_of, slices_of
from seedband.errors import Problem, UsageError
from seedband.recipe.scoring import Columns
from seedband.storage import file_hashes, json_files
from seedband.storage.validation import a_path, brief

#: Mistakes listed of one file; the rest is counted.
MAX_LISTED = 10
#: Hexadecimal digits of a row's fingerprint.
DIGITS = 16


@dataclass(frozen=True)
class Items:
    """The rows of one data file.

    Attributes:
        path: Where they come from.
        ids: Name of each row, unique.
        inputs: What a model is given of each row: a text, a prompt, a chat as JSON, or the path of an image.
        targets: What it shall answer: a label, or a completion.
        contexts: What the answer has to rest on; None where the data have no such column.
        slices: Columns by which scores can be split, each with one value a row.
        sha256: Of the file, its lines ended by LF, and so of the order of rows; for images of
            what the rows give, wherever the images lie.
        contents: What tells each input from others: a text is its own, an image is its hash.
        chat: Whether the inputs are chats.
        pairs: The second text of every row; None where the recipe names no column of it.
        unread: Columns of text that the recipe does not name.
        also: Other hashes that the same rows are known by: those of other ends of lines.
    """

    path: Path
    ids: tuple[str, ...]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    slices: Mapping[str, tuple[str, ...]]
    sha256: str
    contexts: tuple[str, ...] | None = None
    contents: tuple[str, ...] = ()
    chat: bool = False
    pairs: tuple[str, ...] | None = None
    unread: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of every row, a short SHA-256 of what scores depend on: input, target and context, neither id nor slices."""
        contexts = self.contexts or (None,) * len(self)
        rows = zip(self.contents, self.targets, contexts, strict=True)
        return tuple(json_files.digest(row)[:DIGITS] for row in rows)


def load_items(path: Path, columns: Columns) -> Items:
    """Read and validate a data file.

    Args:
        path: JSONL, a JSON array, CSV, TSV or Parquet; for images also a folder with a folder for each label. Blank
            lines of JSONL are skipped, rows are counted from 1 as lines.
        columns: The task, and the names of its columns: `text`, `text_pair`, `image`, `prompt`, `input`, `completion`,
            `messages`, `context`, `label`, `id`, and a list of `slices`.

    Raises:
        UsageError: No such file, or rows with mistakes: the first ten in `problems`.
    """
    problems: list[Problem] = []
    found: list[Row] = []
    lines_of_id: dict[str, int] = {}
    names, texts = _names(columns), dict[str, None]()
    for number, value in read_values(path, names):
        where = f"{path.name}, row {number}"
        row, mistakes = (None, [value]) if isinstance(value, Problem) else read_row(value, where, columns, number)
        if row and (first := lines_of_id.setdefault(row.id, number)) != number:
            mistakes.append(Problem(where, f"id {row.id!r} of row {first} again", "another id"))
        problems += mistakes
        found += [row] if row else []
        if not isinstance(value, Problem):
            texts |= dict.fromkeys(
                name for name, cell in value.items() if isinstance(cell, str) and " " in cell.strip()
            )
    if problems:
        count = counted(len(problems), "mistake")
        more = f", the first {MAX_LISTED} of them here" if len(problems) > MAX_LISTED else ""
        raise UsageError(f"{path}: {count}{more}", problems=problems[:MAX_LISTED])
    if not found:
        raise UsageError(f"{path}: holds no row")
    return replace(_items(path, found, columns), unread=tuple(name for name in texts if name not in names))


def label_set(items: Items) -> tuple[str, ...]:
    """The labels that occur, sorted: their order is that of the model's outputs."""
    return tuple(sorted(set(items.targets)))


def overlap(train: Items, evaluated: Items) -> list[str]:
    """Ids of eval items whose input also stands in train, after normalisation of case, space and form."""
    known = {normalised(content) for content in train.contents}
    pairs = zip(evaluated.ids, evaluated.contents, strict=True)
    return [name for name, content in pairs if normalised(content) in known]


@dataclass(frozen=True)
class Duplicates:
    """Rows of a data set whose input, after normalisation of case, space and form, is that of an earlier one.

    Attributes:
        repeated: Ids of those with the same target.
        conflicting: Ids of the earlier row and of the one with another target.
    """

    repeated: tuple[str, ...]
    conflicting: tuple[tuple[str, str], ...]


def duplicates(items: Items) -> Duplicates:
    """Rows that say again what an earlier row says, or contradict it."""
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    repeated, conflicting = [], []
    for name, content, target in zip(items.ids, items.contents, items.targets, strict=True):
        earlier = seen[normalised(content)]
        if target in earlier:
            repeated.append(name)
        elif earlier:
            conflicting.append((next(iter(earlier.values())), name))
        earlier.setdefault(target, name)
    return Duplicates(tuple(repeated), tuple(conflicting))


def data_sha256(path: Path, columns: Columns) -> tuple[str, tuple[str, ...]]:
    """Content of a data file, and of the images that it names: `Items.sha256` and `Items.also`, no row more read."""
    if not reading_of(columns).files:
        return content_sha256(path)
    items = load_items(path, columns)
    return items.sha256, items.also


def _items(path: Path, rows: Sequence[Row], columns: Columns) -> Items:
    chats = {row.chat for row in rows}
    contexts = [row.context for row in rows]
    if len(chats) > 1:
        raise UsageError(f"{path}: some rows are chats and some are not", hint="give one kind in one file")
    if any(context is None for context in contexts) and any(context is not None for context in contexts):
        row = next(row for row in rows if row.context is None)
        raise UsageError(f"{path}: item {row.id} has no context, and others have one")
    inputs, (sha256, also) = [row.given for row in rows], content_sha256(path) if path.is_file() else ("", ())
    pairs = None if rows[0].pair is None else tuple(str(row.pair) for row in rows)
    contents = inputs if pairs is None else [json_files.canonical(both) for both in zip(inputs, pairs, strict=True)]
    if reading_of(columns).files:
        folder = path if path.is_dir() else path.parent
        inputs = [str(_image(folder, row, path)) for row in rows]
        contents = [file_hashes.file_sha256(Path(image)) for image in inputs]
        kept = [[row.id, content, row.target, row.slices] for row, content in zip(rows, contents, strict=True)]
        sha256, also = json_files.digest(kept), ()
    return Items(
        path=path,
        ids=tuple(row.id for row in rows),
        inputs=tuple(inputs),
        targets=tuple(row.target for row in rows),
        slices={name: tuple(row.slices[n] for row in rows) for n, name in enumerate(slices_of(columns))},
        sha256=sha256,
        contexts=None if contexts[0] is None else tuple(map(str, contexts)),
        contents=tuple(contents),
        chat=chats == {True},
        pairs=pairs,
        also=also,
    )


def _image(folder: Path, row: Row, path: Path) -> Path:
    """The path of a row's image: in the data's folder, and a link in it leads nowhere else."""
    image = folder / row.given
    if not a_path(row.given) or not image.is_file():
        raise UsageError(f"{path}: item {row.id}: no image {brief(row.given)}", hint=f"paths start at {folder}")
    if not image.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{path}: item {row.id}: image {brief(row.given)} lies outside {folder}",
            hint="copy it into the folder, or put the data file where the images are",
        )
    return image


def _names(columns: Columns) -> list[str]:
    """The columns that a task reads."""
    single = [str(name) for key, name in columns.items() if key not in ("task", "slices") and name is not None]
    return [*single, *slices_of(columns)]


def normalised(text: str) -> str:
    """A text without what does not tell it from another: case, space and form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
