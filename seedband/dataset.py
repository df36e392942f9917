"""Datasets: read, validate, fingerprint. One JSON object a line."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import store
from seedband.errors import Problem, UsageError

if TYPE_CHECKING:
    import torch

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
        texts: Text of each row.
        labels: Label of each row.
        slices: Columns by which scores can be split, each with one value a row.
        sha256: Of the file, so of the order of rows, too.
    """

    path: Path
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    slices: Mapping[str, tuple[str, ...]]
    sha256: str

    def __len__(self) -> int:
        return len(self.ids)


def load_items(path: Path, columns: Mapping[str, Any]) -> Items:
    """Read and validate a data file.

    Args:
        path: JSONL; blank lines are skipped, rows are counted from 1 as lines.
        columns: Names of the columns `text`, `label`, `id`, and a list of `slices`.

    Raises:
        UsageError: No such file, or rows with mistakes: the first ten in `problems`.
    """
    problems: list[Problem] = []
    rows: list[dict[str, str]] = []
    lines_of_id: dict[str, int] = {}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        row, mistakes = _row(line, f"{path.name}, row {number}", columns, number)
        if row and (first := lines_of_id.setdefault(row["id"], number)) != number:
            mistakes.append(
                Problem(f"{path.name}, row {number}", f"id {row['id']!r} of row {first} again", "another id")
            )
        problems += mistakes
        rows.append(row)
    if problems:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        more = f", the first {MAX_LISTED} of them here" if len(problems) > MAX_LISTED else ""
        raise UsageError(f"{path}: {count}{more}", problems=problems[:MAX_LISTED])
    if not rows:
        raise UsageError(f"{path}: holds no row")
    return Items(
        path=path,
        ids=tuple(row["id"] for row in rows),
        texts=tuple(row["text"] for row in rows),
        labels=tuple(row["label"] for row in rows),
        slices={name: tuple(row[f"slice {name}"] for row in rows) for name in columns["slices"]},
        sha256=store.file_sha256(path),
    )


def label_set(items: Items) -> tuple[str, ...]:
    """The labels that occur, sorted: their order is that of the model's outputs."""
    return tuple(sorted(set(items.labels)))


def overlap(train: Items, evaluated: Items) -> list[str]:
    """Ids of eval items whose text also stands in train, after normalisation of case, space and form."""
    known = {_normalised(text) for text in train.texts}
    return [name for name, text in zip(evaluated.ids, evaluated.texts, strict=True) if _normalised(text) in known]


def encode(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[dict[str, list[int]]]:
    """Token ids of every text, truncated and not yet padded."""
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)
    return [{name: encoded[name][row] for name in encoded} for row in range(len(texts))]


def collate(
    tokenizer: Any, rows: Sequence[Mapping[str, list[int]]], device: "torch.device"
) -> "dict[str, torch.Tensor]":
    """One batch, padded on the right to its longest row."""
    import torch

    length = max(len(row["input_ids"]) for row in rows)
    padding = {"input_ids": tokenizer.pad_token_id or 0}
    return {
        name: torch.tensor(
            [row[name] + [padding.get(name, 0)] * (length - len(row[name])) for row in rows], device=device
        )
        for name in rows[0]
    }


def _lines(path: Path) -> list[str]:
    lines = store.read_text(path, MAX_BYTES, "utf-8-sig").split("\n")
    longest = max(map(len, lines))
    if longest > MAX_LINE:
        row = 1 + next(number for number, line in enumerate(lines) if len(line) == longest)
        raise UsageError(f"{path}: row {row} has {longest} characters, expected at most {MAX_LINE} on a line")
    return lines


def _row(line: str, where: str, columns: Mapping[str, Any], number: int) -> tuple[dict[str, str], list[Problem]]:
    """The columns of one line that are used, and what is wrong with them."""
    try:
        value = store.loads(line)
    except ValueError as error:
        return {}, [Problem(where, "no JSON", f"one JSON object a line ({error})")]
    if not isinstance(value, dict):
        return {}, [Problem(where, f"a {type(value).__name__}", "a JSON object")]
    name = value.get(columns["id"])
    row = {"id": f"row-{number}" if name is None else str(name)}
    problems = []
    for role in ("text", "label"):
        content = value.get(columns[role])
        if isinstance(content, int) and not isinstance(content, bool) and role == "label":
            content = str(content)
        if not isinstance(content, str) or not content.strip():
            found = "nothing" if content is None else repr(content)
            problems.append(Problem(where, f"{found} in {columns[role]!r}", f"a {role} that is not empty"))
            continue
        row[role] = content
    for name in columns["slices"]:
        if value.get(name) is None:
            problems.append(Problem(where, f"nothing in {name!r}", "a value of this slice column"))
        row[f"slice {name}"] = str(value.get(name))
    broken = [role for role, content in row.items() if not _encodable(content)]
    problems += [Problem(where, f"half a surrogate pair in {role!r}", "text that UTF-8 can hold") for role in broken]
    return row, problems


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
