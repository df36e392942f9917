"""What readers of score files take and give: a file, what the user said of it, and the scores found in it."""

import json
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from seedband.errors import Problem, UsageError
from seedband.scorefiles import names
from seedband.storage import json_files

#: Seeds, items or names told in one mistake; the rest is counted.
MAX_NAMED = 5
#: Letters of a value that are shown as they are.
MAX_SHOWN = 40
#: Stands for a list without scores.
ABSENT = object()


class Cell(NamedTuple):
    """One score as it was found; `item` is empty for a seed's own score."""

    metric: str
    seed: int
    item: str
    score: Any
    where: str

    @property
    def name(self) -> str:
        """Of the score, for people."""
        return f"{self.metric} of seed {self.seed}" + (f", item {self.item}" if self.item else "")


@dataclass(frozen=True)
class Wanted:
    """What was said of a score file.

    Attributes:
        metrics: Read these alone; all of the file unless said.
        named: Metrics that other flags name: they are metrics, whatever they are called.
        only: Metrics that somebody has a use for; the others are not even looked at, where the file has one of these.
        seed_column: Where the seeds stand.
        where: Column → value of the rows that are read; "*" takes all of them.
        percent: Whether 87.1% is read as .871.
        needs_seeds: Whether scores of unknown seeds are of no use.
        failed: Seeds that failed to train; nothing is expected of their scores.
    """

    metrics: tuple[str, ...] = ()
    named: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    seed_column: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    percent: bool = False
    needs_seeds: bool = True
    failed: frozenset[int] = frozenset()

    def is_asked_for(self, name: str) -> bool:
        """Check whether a metric was named by the user or is one of the band's."""
        return name in self.metrics or name in self.named or name in self.only


@dataclass(frozen=True)
class Document:
    """One file, read once."""

    path: Path
    content: bytes

    @property
    def ending(self) -> str:
        """Of its name, in lower case."""
        return self.path.suffix.lower()

    @cached_property
    def text(self) -> str:
        """UTF-8, or UTF-16 that says so.

        Raises:
            UsageError: It is neither.
        """
        wide = self.content.startswith((b"\xff\xfe", b"\xfe\xff"))
        try:
            return self.content.decode("utf-16" if wide else "utf-8-sig")
        except UnicodeDecodeError as error:
            message = f"{self.path}: not UTF-{16 if wide else 8} at byte {error.start}"
            raise UsageError(message, hint="save it as UTF-8") from error

    @cached_property
    def value(self) -> Any:
        """The value of a JSON text; None where it is none, too deep, or names a key twice."""
        try:
            value = json.loads(self.text, parse_int=_whole_number, object_pairs_hook=_without_twins)
        except (ValueError, RecursionError):
            return None
        return None if json_files.is_deep(value) else value


@dataclass(frozen=True)
class Reading:
    """Everything that a reader found in one file.

    Attributes:
        what: The format, for people.
        entries: Scores and mistakes of form.
        seeds_from: Where in the file the seeds stand; empty where it names none.
        plain: Whether nothing needs to be told of a file that is read whole.
        seed: Of the one run that the file is of, where the file says it.
        one_run: Whether it is of one run: then its path may say the seed.
        unseeded: The mistake of a file whose path does not say it either.
        left: Names that are not read → why.
        others: Metrics that nobody has a use for.
        directions: Metrics → whether higher is better, where the file says it.
    """

    what: str
    entries: Sequence[Cell | Problem]
    seeds_from: str = ""
    plain: bool = False
    seed: int | None = None
    one_run: bool = False
    unseeded: Problem | None = None
    left: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    directions: Mapping[str, bool] = field(default_factory=dict)


class Reader(Protocol):
    """A format of score files.

    Attributes:
        endings: Of its files, in lower case.
        files: What its files are called in a folder, as glob patterns; the first pattern that fits is read.
        summary: What it reads, in one line.
        seeds: Where the seeds come from, in a few words.
    """

    endings: tuple[str, ...]
    files: tuple[str, ...]
    summary: str
    seeds: str

    def recognises(self, document: Document) -> bool:
        """Check whether a file is of this format, by its content."""

    def read(self, document: Document, wanted: Wanted) -> Reading:
        """The scores of a file of this format."""


def chosen(metrics: Sequence[str], wanted: Wanted) -> tuple[list[str], dict[str, str], tuple[str, ...]]:
    """The metrics that are read, those that are left and why, and those that nobody has a use for."""
    left = {name: "no metric" for name in metrics if names.is_never_a_metric(name) and not wanted.is_asked_for(name)}
    kept = [name for name in metrics if name not in left]
    if wanted.metrics:
        left |= {name: "not asked for" for name in kept if name not in wanted.metrics}
        kept = [name for name in kept if name in wanted.metrics]
    others = [name for name in kept if name not in wanted.only] if wanted.only & {*kept} else []
    return [name for name in kept if name not in others], left, tuple(others)


def is_name(text: str) -> bool:
    """Check whether a text can stand for a metric in a line of output."""
    return bool(text) and text.isprintable()


def shown(value: object) -> str:
    """The text found in the place of a score, for people."""
    if isinstance(value, str):
        return reprlib.repr(value) if value else "nothing"
    kinds = {tuple: "an object", dict: "an object", list: "a list", float: "a number", int: "a number"}
    return "true or false" if isinstance(value, bool) else kinds.get(type(value), "null")


def short(value: object) -> str:
    """A value as it stands in the file, cut where it is long and quoted where it cannot be printed."""
    text = str(value).strip()
    return text if text.isprintable() and len(text) <= MAX_SHOWN else reprlib.repr(text)


def few(listed_names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    listed = list(listed_names)
    more = f" and {len(listed) - MAX_NAMED} more" if len(listed) > MAX_NAMED else ""
    return ", ".join(listed[:MAX_NAMED]) + more


def _whole_number(text: str) -> float:
    """Seeds are whole numbers; what is too long for one is a score, and too large for that, too."""
    return int(text) if len(text) < 30 else float(text)  # noqa: PLR2004  far above any seed


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, object]:
    if twins := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
        raise ValueError(f"{twins[0]!r} twice")
    return dict(pairs)
