"""Datasets: read, validate, fingerprint."""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedband import store
from seedband.errors import Problem, Refused, UsageError
from seedband.rows import Row, read_row
from seedband.schema import a_path, brief

IMAGES = "image-classification"
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
#: Mistakes listed of one file; the rest is counted.
MAX_LISTED = 10
#: A larger file is not read into memory, nor is a longer line taken for a row.
MAX_BYTES = 2 * 1024**3
MAX_LINE = 16 * 1024**2


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
        sha256: Of the file, so of the order of rows, too; for images of what the rows give, wherever the images lie.
        contents: What tells each input from others: a text is its own, an image is its hash.
        chat: Whether the inputs are chats.
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

    def __len__(self) -> int:
        return len(self.ids)


def load_items(path: Path, columns: Mapping[str, Any]) -> Items:
    """Read and validate a data file.

    Args:
        path: JSONL, CSV or Parquet; for images also a folder with a folder for each label. Blank lines of JSONL are
            skipped, rows are counted from 1 as lines.
        columns: The task, and the names of its columns: `text`, `image`, `prompt`, `completion`, `messages`,
            `context`, `label`, `id`, and a list of `slices`.

    Raises:
        UsageError: No such file, or rows with mistakes: the first ten in `problems`.
    """
    problems: list[Problem] = []
    found: list[Row] = []
    lines_of_id: dict[str, int] = {}
    for number, value in _values(path):
        where = f"{path.name}, row {number}"
        row, mistakes = (None, [value]) if isinstance(value, Problem) else read_row(value, where, columns, number)
        if row and (first := lines_of_id.setdefault(row.id, number)) != number:
            mistakes.append(Problem(where, f"id {row.id!r} of row {first} again", "another id"))
        problems += mistakes
        found += [row] if row else []
    if problems:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        more = f", the first {MAX_LISTED} of them here" if len(problems) > MAX_LISTED else ""
        raise UsageError(f"{path}: {count}{more}", problems=problems[:MAX_LISTED])
    if not found:
        raise UsageError(f"{path}: holds no row")
    return _items(path, found, columns)


def label_set(items: Items) -> tuple[str, ...]:
    """The labels that occur, sorted: their order is that of the model's outputs."""
    return tuple(sorted(set(items.targets)))


def overlap(train: Items, evaluated: Items) -> list[str]:
    """Ids of eval items whose input also stands in train, after normalisation of case, space and form."""
    known = {_normalised(content) for content in train.contents}
    pairs = zip(evaluated.ids, evaluated.contents, strict=True)
    return [name for name, content in pairs if _normalised(content) in known]


def data_sha256(path: Path, columns: Mapping[str, Any]) -> str:
    """Content of a data file, and of the images that it names: what `Items.sha256` is, without reading a row more."""
    return load_items(path, columns).sha256 if columns.get("task") == IMAGES else store.file_sha256(path)


def _items(path: Path, rows: Sequence[Row], columns: Mapping[str, Any]) -> Items:
    chats = {row.chat for row in rows}
    contexts = [row.context for row in rows]
    if len(chats) > 1:
        raise UsageError(f"{path}: some rows are chats and some are not", hint="give one kind in one file")
    if any(context is None for context in contexts) and any(context is not None for context in contexts):
        row = next(row for row in rows if row.context is None)
        raise UsageError(f"{path}: item {row.id} has no context, and others have one")
    inputs, sha256 = [row.given for row in rows], store.file_sha256(path) if path.is_file() else ""
    contents = inputs
    if columns.get("task") == IMAGES:
        folder = path if path.is_dir() else path.parent
        inputs = [str(_image(folder, row, path)) for row in rows]
        contents = [store.file_sha256(Path(image)) for image in inputs]
        kept = [[row.id, content, row.target, row.slices] for row, content in zip(rows, contents, strict=True)]
        sha256 = store.digest(kept)
    return Items(
        path=path,
        ids=tuple(row.id for row in rows),
        inputs=tuple(inputs),
        targets=tuple(row.target for row in rows),
        slices={name: tuple(row.slices[n] for row in rows) for n, name in enumerate(columns["slices"])},
        sha256=sha256,
        contexts=None if contexts[0] is None else tuple(map(str, contexts)),
        contents=tuple(contents),
        chat=chats == {True},
    )


def _image(folder: Path, row: Row, path: Path) -> Path:
    """Where the image of a row lies: in the data's folder, and a link in it leads nowhere else."""
    image = folder / row.given
    if not a_path(row.given) or not image.is_file():
        raise UsageError(f"{path}: item {row.id}: no image {brief(row.given)}", hint=f"paths start at {folder}")
    if not image.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{path}: item {row.id}: image {brief(row.given)} lies outside {folder}",
            hint="copy it into the folder, or put the data file where the images are",
        )
    return image


def _values(path: Path) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    """The rows of a file by their numbers, or what is wrong with one."""
    if path.is_dir():
        yield from enumerate(_labelled_images(path), 1)
    elif path.suffix.lower() == ".csv":
        yield from _csv_rows(path)
    elif path.suffix.lower() == ".parquet":
        yield from enumerate(_parquet_rows(path), 1)
    else:
        yield from _json_rows(path)


def _labelled_images(folder: Path) -> Iterator[dict[str, Any]]:
    """A folder of images: the name of the folder that an image lies in is its label."""
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            name = path.relative_to(folder).as_posix()
            yield {"id": name, "image": name, "label": path.parent.name}


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(store.read_text(path, MAX_BYTES, "utf-8-sig"), newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, {key: value for key, value in row.items() if key is not None and value}
    except csv.Error as error:
        raise UsageError(f"{path}: row {reader.line_num}: {error}") from error


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    store.check_size(path, MAX_BYTES)
    try:
        with pq.ParquetFile(path) as file:
            if sum(file.metadata.row_group(n).total_byte_size for n in range(file.num_row_groups)) > MAX_BYTES:
                raise Refused(f"{path}: unpacks to more than {MAX_BYTES} bytes")
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: not valid Parquet: {error}") from error


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path.name}, row {number}"
        try:
            value = store.loads(line)
        except ValueError as error:
            yield number, Problem(where, "no JSON", f"one JSON object a line ({error})")
            continue
        yield number, value if isinstance(value, dict) else Problem(where, f"a {type(value).__name__}", "a JSON object")


def _lines(path: Path) -> list[str]:
    lines = store.read_text(path, MAX_BYTES, "utf-8-sig").split("\n")
    longest = max(map(len, lines))
    if longest > MAX_LINE:
        row = 1 + next(number for number, line in enumerate(lines) if len(line) == longest)
        raise UsageError(f"{path}: row {row} has {longest} characters, expected at most {MAX_LINE} on a line")
    return lines


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
