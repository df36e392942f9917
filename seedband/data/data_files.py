"""Data files: found on this machine or fetched from a hub, and read row by row, whatever their format."""

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from seedband.counts import counted
from seedband.data.rows import DataRow
from seedband.errors import Problem, Refused, UsageError, WorkFailed
from seedband.models.hub import HUB_NAME, data_file
from seedband.models.model_folders import COMMIT
from seedband.recipe.locations import on_hub
from seedband.storage import file_hashes, json_files
from seedband.storage.validation import brief

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
#: A larger file is not read into memory, nor is a longer line taken for a row.
MAX_BYTES = 2 * 1024**3
MAX_LINE = 16 * 1024**2
#: What helps where a CSV has no header.
NO_HEADER = "name its columns in [data]; a file without a line of names needs one, such as text,label"
#: A name of a column has fewer words.
WORDS_OF_A_TEXT = 5
#: Bytes that are enough to know a JSON array by.
PEEKED = 4096
#: Rows of Parquet that are unpacked at a time.
BATCH = 64
#: A file of a hub's data set, of a format that holds no code.
HUB_FILE = re.compile(
    rf"hf://datasets/(?P<name>{HUB_NAME.pattern})@(?P<commit>{COMMIT.pattern})"
    r"/(?P<file>(?:[\w=+-][\w.=+-]*/)*[\w=+-][\w.=+-]*\.(?:jsonl|csv|tsv|parquet))"
)


def locate(reference: str, folder: Path, *, offline: bool) -> Path:
    """The path of a data file on this machine, fetched first if it is one of a hub.

    Args:
        reference: A path, or hf://datasets/org/name@commit/path/file.parquet.
        folder: Where relative paths start from.
        offline: Whether the hub must not be asked.

    Raises:
        UsageError: No reference to a file of a hub, or no such file there.
        Refused: It is too large.
        WorkFailed: The hub cannot be reached.
    """
    if not on_hub(reference):
        # Links are followed as `provenance` does it: `..` of a linked folder is what lies beside its target.
        absolute = (folder / reference).absolute()
        return absolute.parent.resolve() / absolute.name
    named = HUB_FILE.fullmatch("hf://" + reference.removeprefix("hf:").lstrip("/"))
    if named is None:
        raise UsageError(
            f"{reference[:200]}: expected hf://datasets/org/name@commit/path/file of .jsonl, .csv, .tsv or .parquet",
            hint="the commit as 40 hexadecimal digits: a branch or a tag can change under the band",
        )
    return data_file(named["name"], named["commit"], named["file"], MAX_BYTES, offline=offline)


def content_sha256(path: Path) -> tuple[str, tuple[str, ...]]:
    """SHA-256 of a data file, and the others that its rows are known by.

    Rows are the same whether their lines end as on Linux or as on Windows, where git rewrites files on checkout: the
    hash is that of lines that end in LF. The others are those of the file as it is and of lines that end in CRLF: the
    first releases took the hash of the bytes.
    """
    sha256 = file_hashes.file_sha256(path)
    if path.suffix.lower() == ".parquet":
        return sha256, ()
    check = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        for line in file:
            text = line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line
            for known, end in zip(check, (b"\n", b"\r\n"), strict=True):
                known.update(text + end if line.endswith(b"\n") else text)
    plain, windows = (known.hexdigest() for known in check)
    return plain, tuple(dict.fromkeys(other for other in (sha256, windows) if other != plain))


def read_values(path: Path, columns: Sequence[str] | None) -> Iterator[tuple[int, DataRow | Problem]]:
    """The rows of a data file by their numbers, or what is wrong with one.

    Args:
        path: JSONL, a JSON array, CSV, TSV or Parquet, or a folder with a folder of images for each label.
        columns: Names that are asked for, to tell a separator that was not meant; None where nobody knows them yet.

    Raises:
        UsageError: No such file, or no file of its kind.
        Refused: It is too large.
    """
    if path.is_dir():
        yield from enumerate(_labelled_images(path), 1)
    elif (suffix := path.suffix.lower()) in (".csv", ".tsv"):
        yield from _csv_rows(path, "\t" if suffix == ".tsv" else ",", columns)
    elif suffix == ".parquet":
        yield from enumerate(_parquet_rows(path), 1)
    elif is_json_array(path):
        yield from _array_rows(path)
    else:
        yield from _json_rows(path)


def is_json_array(path: Path) -> bool:
    """Check whether a file begins as a JSON array does."""
    json_files.check_size(path, MAX_BYTES)
    try:
        with path.open("rb") as file:
            return file.read(PEEKED).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    except OSError as error:
        raise WorkFailed.from_os(error, f"read {path}") from error


def _labelled_images(folder: Path) -> Iterator[DataRow]:
    """A folder of images: the name of the folder that an image lies in is its label."""
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            name = path.relative_to(folder).as_posix()
            yield {"id": name, "image": name, "label": path.parent.name}


def _csv_rows(path: Path, separator: str, columns: Sequence[str] | None) -> Iterator[tuple[int, DataRow | Problem]]:
    csv.field_size_limit(MAX_LINE)
    text = io.StringIO(json_files.read_text(path, MAX_BYTES, "utf-8-sig"), newline="")
    reader = csv.DictReader(text, delimiter=separator, strict=True)
    try:
        _check_header(path, list(reader.fieldnames or []), separator, columns)
        for row in reader:
            where = f"{path.name}, row {reader.line_num}"
            if None in row:
                found = f"{counted(len(row[None]), 'more cell')} than the header has"
                yield reader.line_num, Problem(where, found, "a cell a column", "quote a cell that holds the separator")
            else:
                yield reader.line_num, {key: value for key, value in row.items() if value}
    except csv.Error as error:
        raise UsageError(f"{path}: row {reader.line_num}: {error}") from error


def _check_header(path: Path, header: Sequence[str], separator: str, columns: Sequence[str] | None) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UsageError(f"{path}: column {brief(twice[0])} is twice in the header")
    others = [other for other in (";", "\t", "|", ",") if other != separator and other in "".join(header)]
    asked_for = set(header) & set(columns) if columns is not None else len(header) > 1 or not others
    if header and not asked_for:
        hint = f"it looks separated by {others[0]!r}, which is not read" if others else NO_HEADER
        raise UsageError(f"{path}: columns {brief(list(header))}, of which none is asked for", hint=hint)


def headless(header: Sequence[str], rows: Sequence[DataRow]) -> str:
    """The cell of a CSV's first line that shows it to be a row of data; empty where it can be names of columns."""
    # Columns may be called 0, 1, 2; beside a text of several words a number is a label.
    named = any(" " not in name.strip() and not name.strip().isdigit() for name in header)
    numbered = named or all(name.strip().isdigit() for name in header)
    for name in header:
        values = [str(row[name]).strip() for row in rows if name in row]
        recurs = values.count(name.strip()) > 1 and not (numbered and name.strip().isdigit())
        if len(name.split()) >= WORDS_OF_A_TEXT or recurs:
            return name
    return ""


def _parquet_rows(path: Path) -> Iterator[DataRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    json_files.check_size(path, MAX_BYTES)
    try:
        with pq.ParquetFile(path) as file:
            names, facts, size = file.schema_arrow.names, file.metadata, 0
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise UsageError(f"{path}: column {brief(twice[0])} is there twice")
            if sum(facts.row_group(n).total_byte_size for n in range(file.num_row_groups)) > MAX_BYTES:
                _too_much(path)
            for batch in file.iter_batches(batch_size=BATCH):
                size += batch.nbytes
                if size > MAX_BYTES:
                    _too_much(path)
                yield from map(_as_json, batch.to_pylist())
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"{path}: not valid Parquet: {error}") from error


def _too_much(path: Path) -> NoReturn:
    raise Refused(f"{path}: unpacks to more than {MAX_BYTES} bytes")


def _as_json(row: DataRow) -> DataRow:
    """A row as JSON would hold it: a column that is null or NaN is absent, as are keys of a message without a value."""
    plain = {key: _plain(value) for key, value in row.items()}
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return _as_json(value)
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _array_rows(path: Path) -> Iterator[tuple[int, DataRow | Problem]]:
    try:
        values = json_files.loads(json_files.read_text(path, MAX_BYTES, "utf-8-sig"))
    except ValueError as error:
        raise UsageError(f"{path}: begins as a JSON array and is none: {error}") from error
    for number, value in enumerate(values, 1):
        problem = Problem(f"{path.name}, row {number}", f"a {type(value).__name__}", "a JSON object")
        yield number, _as_json(value) if isinstance(value, dict) else problem


def _json_rows(path: Path) -> Iterator[tuple[int, DataRow | Problem]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path.name}, row {number}"
        try:
            value = json_files.loads(line)
        except ValueError as error:
            yield number, Problem(where, "no JSON", f"one JSON object a line ({error})")
            continue
        yield number, value if isinstance(value, dict) else Problem(where, f"a {type(value).__name__}", "a JSON object")


def _lines(path: Path) -> list[str]:
    lines = json_files.read_text(path, MAX_BYTES, "utf-8-sig").split("\n")
    longest = max(map(len, lines))
    if longest > MAX_LINE:
        row = 1 + next(number for number, line in enumerate(lines) if len(line) == longest)
        raise UsageError(f"{path}: row {row} has {longest} characters, expected at most {MAX_LINE} on a line")
    return lines
