"""A data file looked at: what it is for, which columns hold what is given, and what shall be answered."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seedband import tasks
from seedband.counts import counted
from seedband.data.data_files import IMAGE_SUFFIXES, headless, is_json_array, read_values
from seedband.data.rows import DataRow, as_chat
from seedband.errors import Problem, UsageError
from seedband.recipe.contradictions import RESERVED
from seedband.storage.registry import TASKS

#: Role → what columns of it are often called, the likeliest first.
NAMES: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "sentence", "utterance", "message", "content", "body", "query", "review", "comment", "document",
             "description", "question", "title", "subject"),
    "label": ("label", "labels", "intent", "category", "class", "target", "sentiment", "topic", "tag"),
    "image": ("image", "image_path", "file_name", "filename", "file", "path", "img"),
    "prompt": ("prompt", "instruction", "question", "input", "source", "article", "query"),
    "completion": ("completion", "response", "answer", "output", "target", "summary", "reply"),
    "messages": ("messages", "conversation", "conversations", "chat", "dialog", "dialogue"),
}  # fmt: skip
#: Names of two columns that hold the texts of a pair.
PAIRS = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("text1", "text2"),
    ("text_1", "text_2"), ("text_a", "text_b"), ("question1", "question2"), ("question", "sentence"),
    ("query", "passage"), ("query", "document"), ("question", "passage"), ("question", "answer"),
    ("anchor", "positive"), ("s1", "s2"), ("claim", "evidence"), ("text", "text_pair"),
)  # fmt: skip
#: Words in the name of a file that holds eval rows, the likeliest first.
EVAL_WORDS = ("eval", "valid", "val", "dev", "test")
#: More classes than this, or fewer rows a class, and a column is no label unless it is called one.
MAX_CLASSES, ROWS_PER_CLASS = 50, 5
#: More values than this, and a column is no slice; no more columns are taken as slices.
MAX_VALUES, MAX_SLICES = 20, 3
MAX_LISTED = 10


@dataclass(frozen=True)
class Survey:
    """A data file, looked at.

    Attributes:
        path: Where it lies.
        rows: Its rows.
    """

    path: Path
    rows: tuple[DataRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column, in the order in which they first occur."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    def values(self, column: str) -> list[Any]:
        """The values of a column, row by row; None where there is none."""
        return [row.get(column) for row in self.rows]

    def counts(self, column: str) -> Counter[str]:
        """Number of rows of each value of a column, as text."""
        return Counter(str(value) for value in self.values(column) if value is not None)

    def column_of(self, role: str) -> str | None:
        """The column that is called as those of a role often are, and holds what they hold."""
        lower = {column.casefold(): column for column in reversed(self.columns)}
        named = [lower[name] for name in NAMES[role] if name in lower]
        return next((column for column in named if self._can_be(role, column)), None)

    def pair(self) -> tuple[str, str] | None:
        """The columns that hold the two texts of a pair, if their names say so."""
        lower = {column.casefold(): column for column in reversed(self.columns)}
        named = [(lower[one], lower[other]) for one, other in PAIRS if {one, other} <= lower.keys()]
        return next((pair for pair in named if all(self._can_be("text", column) for column in pair)), None)

    def lacks(self, column: str) -> bool:
        """Check whether no row has anything in a column."""
        return not any(value not in (None, "") for value in self.values(column))

    def guessed_label(self, taken: Sequence[str] = ()) -> list[str]:
        """Columns of no telling name that hold few values, each of them often."""
        return [
            column
            for column in self.columns
            if column not in taken and column.casefold() != "id" and self._holds_classes(column)
        ]

    def guessed_text(self, taken: Sequence[str] = ()) -> list[str]:
        """The column whose texts are longest, if there is one."""
        lengths = {
            column: sum(len(value) for value in self.values(column) if isinstance(value, str))
            for column in self.columns
            if column not in taken and column.casefold() != "id"
        }
        longest = max(lengths, key=lambda column: lengths[column], default=None)
        return [longest] if longest is not None and lengths[longest] else []

    def slices(self, taken: Sequence[str], other: "Survey") -> list[str]:
        """Columns by which scores can be split: a few values, in every row of either file."""
        usable = [column for column in self.columns if column not in {*taken, *RESERVED, "id", "label"}]
        return [
            column
            for column in usable
            if all(2 <= len(part.counts(column)) <= MAX_VALUES and part._is_full(column) for part in (self, other))  # noqa: PLR2004, SLF001
        ][:MAX_SLICES]

    def _can_be(self, role: str, column: str) -> bool:
        values = [value for value in self.values(column) if value is not None]
        if role == "messages":
            return bool(values) and all(as_chat(value) is not None for value in values)
        if role == "image":
            return bool(values) and all(_is_image(value) for value in values)
        if role == "label":
            counts = self.counts(column)
            return 2 <= len(counts) <= len(self) / 2 and all(_is_plain(value) for value in values)  # noqa: PLR2004
        return bool(values) and all(isinstance(value, str) for value in values)

    def _holds_classes(self, column: str) -> bool:
        found = len(self.counts(column))
        return self._is_full(column) and 2 <= found <= min(MAX_CLASSES, len(self) / ROWS_PER_CLASS)  # noqa: PLR2004

    def _is_full(self, column: str) -> bool:
        return all(_is_plain(value) for value in self.values(column))


def look_at(path: Path) -> Survey:
    """Read a data file, whatever its columns are called.

    Raises:
        UsageError: No such file, no row, or rows with mistakes: the first ten in `problems`.
    """
    problems: list[Problem] = []
    rows: list[DataRow] = []
    for _, value in read_values(path, None):
        if isinstance(value, Problem):
            problems.append(value)
        else:
            rows.append(value)
    if problems:
        raise UsageError(f"{path}: {counted(len(problems), 'row')} cannot be read", problems=problems[:MAX_LISTED])
    if not rows:
        raise UsageError(f"{path}: holds no row")
    if path.suffix.lower() in (".csv", ".tsv") and (cell := headless(list(rows[0]), rows)):
        raise UsageError(
            f"{path}: row 1 looks like data, not like names of columns: {cell[:80]!r}",
            hint="put a line with names of the columns above it, such as text,label",
        )
    return Survey(path, tuple(rows))


def data_files(folder: Path) -> Iterator[Path]:
    """Candidates for data files in a folder, by name: files, and folders of images."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        suffix = path.suffix.lower()
        is_file = path.is_file() and suffix in (".csv", ".tsv", ".jsonl", ".parquet", ".json")
        if is_file and suffix == ".json" and not is_json_array(path):
            continue  # settings and records are JSON, too
        if is_file or (path.is_dir() and any(image.suffix.lower() in IMAGE_SUFFIXES for image in path.glob("*/*"))):
            yield path


def is_eval(path: Path) -> bool:
    """Check whether a file is called as eval rows often are."""
    return eval_rank(path) < len(EVAL_WORDS)


def eval_rank(path: Path) -> int:
    """Rank of a name among those of eval rows: 0 for the likeliest."""
    words = re.split(r"[^a-z]+", path.stem.casefold())
    ranks = [rank for rank, known in enumerate(EVAL_WORDS) if any(word.startswith(known) for word in words)]
    return ranks[0] if ranks else len(EVAL_WORDS)


def task_of(survey: Survey, said: Collection[str], *, generates: bool) -> str:
    """The task and the roles of the columns.

    Args:
        survey: The data.
        said: Roles whose columns are named.
        generates: Whether the model writes texts: it decides where the columns could be for two tasks.

    Raises:
        UsageError: It cannot be told.
    """
    sure = {name: tasks.find(name).recognise(survey, said, generates=generates) for name in TASKS.names()}
    found = min((name for name in sure if sure[name] is not None), key=lambda name: sure[name] or 0, default=None)
    if found is None:
        columns = ", ".join(survey.columns)
        raise UsageError(
            f"{survey.path}: columns {columns}: none looks like a label, nor two like prompt and completion",
            hint="say it with --task and the columns: --text and --label, --prompt and --completion, or --messages",
        )
    return found


def guessed_columns(survey: Survey, roles: Sequence[str], said: Mapping[str, str]) -> dict[str, str]:
    """The column of every role; empty where it cannot be told."""
    found = dict(said)
    for role in sorted(set(roles) - said.keys(), key=lambda role: role != "label"):
        column = survey.column_of(role)
        likely = [column] if column is not None and column not in found.values() else []
        if not likely and role == "label":
            likely = survey.guessed_label([*found.values()])
        if not likely and role == "text":
            likely = survey.guessed_text([*found.values()])
        found[role] = likely[0] if len(likely) == 1 else ""
    return found


def _is_image(value: object) -> bool:
    return isinstance(value, str) and Path(value).suffix.lower() in IMAGE_SUFFIXES


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
