"""The ledger: the looks that a candidate recipe has had, carried from one call to the next.

Without it, a pipeline that trains a suspect recipe again and checks the new checkpoint alone gives it a fresh first
look, and a regression gets as many chances to pass as there are reruns.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import MinLen

from seedband.bands.stats.decision import Status
from seedband.bands.verdict import Candidate
from seedband.errors import UsageError, WorkFailed
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import Number, read_record

#: How long a call waits for another that holds the ledger, in seconds.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class PairLook:
    """A look that rule `paired` took.

    Attributes:
        pairs: At how many pairs.
        alpha: Rate of all looks together.
        tolerance: Drop of the primary metric that nobody minds.
        final: Whether it was taken as the only one, at alpha itself, so that none may follow.
        status: What it said.
        reason: Why.
    """

    pairs: int
    alpha: Number
    tolerance: Number
    final: bool
    status: Status
    reason: str

    @property
    def gate(self) -> tuple[float, float]:
        """Level and tolerance of the look: others make another gate."""
        return self.alpha, self.tolerance


@dataclass(frozen=True)
class Entry:
    """What is known of one candidate recipe against one band.

    Attributes:
        status: Of its last verdict.
        looks: The candidates judged so far, in the order trained.
        own_looks: How many of them, the first ones, had been looked at before the last verdict; older ledgers, whose
            verdicts went look by look, do not say.
        pair_looks: The looks of rule `paired`.
    """

    status: Status
    looks: Annotated[tuple[Candidate, ...], MinLen(1)]
    own_looks: int | None = None
    pair_looks: tuple[PairLook, ...] = ()

    @property
    def looked_at(self) -> int:
        """Number of candidates, the first ones, that had looks of their own before the last verdict."""
        return len(self.looks) - 1 if self.own_looks is None else self.own_looks

    def joined(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The looks so far and those candidates that are new; a recipe that passed starts afresh."""
        if self.status == "pass":
            return list(candidates)
        known = {look.checkpoint_sha256 for look in self.looks}
        return [*self.looks, *(new for new in candidates if new.checkpoint_sha256 not in known)]


@dataclass(frozen=True)
class _LedgerFile:
    entries: Mapping[str, Entry]


class Ledger:
    """The entries of a file; `record` puts one in, and the file is replaced when the `opened` block ends."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)

    def find(self, key: str) -> Entry | None:
        """The entry of a key."""
        return self.entries.get(key)

    def record(self, key: str, status: Status, looks: Sequence[Candidate], own_looks: int | None = None) -> None:
        """Remember a verdict."""
        self.entries[key] = Entry(status, tuple(looks), own_looks)


def key_of(band: JsonObject, recipe: JsonObject) -> str:
    """The key of a candidate recipe against a band: another recipe or another band starts anew.

    Args:
        band: What makes the gate the one it is: the band's scores, the rule and its level.
        recipe: What makes the recipe the one it is; see `recipe.identity.identity`.
    """
    return json_files.digest([band, recipe])


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """The ledger in a file, which need not exist yet; nobody else has it meanwhile.

    Raises:
        Refused: The file was edited, is of another format, or does not hold together.
        UsageError: Another process holds it for too long.
        WorkFailed: Its folder cannot be made.
    """
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkFailed.from_os(error, f"make {path.parent}") from error
    # A link to a ledger that is kept elsewhere stays one.
    path = path.resolve()
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a ledger")
    try:
        with FileLock(f"{path}.lock", timeout=PATIENCE_S):
            ledger = Ledger(_read(path) if path.exists() else {})
            before = dict(ledger.entries)
            yield ledger
            if ledger.entries != before:
                json_files.write_json(
                    path, "ledger", {"entries": {key: asdict(e) for key, e in ledger.entries.items()}}
                )
    except PermissionError as error:
        raise WorkFailed.from_os(error, f"write {path}") from error
    except Timeout as error:
        raise UsageError(f"{path} is in use by another process", hint=f"remove {path}.lock if there is none") from error


def check_usable(path: Path) -> None:
    """Find out that a ledger can be read and written before hours of scoring rest on it.

    Raises:
        Refused, UsageError, WorkFailed: As `opened`, or its folder or the file cannot be written.
    """
    with opened(path):
        target = path.resolve()
        if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
            raise WorkFailed(f"cannot write {path}: permission denied", hint="name another --ledger")


def _read(path: Path) -> dict[str, Entry]:
    return dict(read_record(path, "ledger", _LedgerFile)[0].entries)
