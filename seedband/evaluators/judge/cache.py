"""What judges have said, on disk, so that nothing is asked and paid for twice.

SQLite rather than a library of caches: diskcache opens pickles that anybody may have put there, also with its JSONDisk
(CVE-2025-69872), and what is kept here is a number and a name.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from seedband.errors import WorkFailed
from seedband.evaluators.judge.rubric import HIGHEST, LOWEST
from seedband.storage import atomic_files

#: Another form is another file.
FILE = "judgements-1.sqlite3"
#: Seconds that a writer waits for the others.
PATIENCE_S = 60.0
TABLE = (
    "CREATE TABLE IF NOT EXISTS judgement (key TEXT PRIMARY KEY, grade INTEGER NOT NULL, model TEXT NOT NULL) "
    "WITHOUT ROWID"
)


@dataclass(frozen=True)
class Judgement:
    """What a judge said of one text.

    Attributes:
        grade: By the rubric.
        model: That gave it, as the reply names it.
    """

    grade: int
    model: str


def cache_file() -> Path:
    """The file of judgements."""
    return atomic_files.cache_folder() / FILE


class Cache:
    """Judgements by the digest of what was asked; threads and processes may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, PATIENCE_S, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA trusted_schema = OFF")
            self._connection.execute(TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, key: str) -> Judgement | None:
        """The judgement, if there is one."""
        with self._told():
            row = self._connection.execute("SELECT grade, model FROM judgement WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        grade, model = row
        if not isinstance(grade, int) or not LOWEST <= grade <= HIGHEST or not isinstance(model, str):
            raise WorkFailed(f"{self._path}: a judgement in it is damaged", hint="remove the file")
        return Judgement(grade, model)

    def keep(self, key: str, judgement: Judgement) -> Judgement:
        """Put a judgement on disk, and say which one stands there: of several, the first."""
        values = (key, judgement.grade, judgement.model)
        with self._told():
            self._connection.execute("INSERT INTO judgement VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values)
        return self.get(key) or judgement

    @contextmanager
    def _told(self) -> Iterator[None]:
        """One thread at a time; what the disk will not do is told with the file's name."""
        try:
            with self._lock:
                yield
        except OSError as error:
            raise WorkFailed.from_os(error, f"write {self._path}") from error
        except sqlite3.Error as error:
            raise WorkFailed(
                f"{self._path}: {error}",
                hint=f"check the disk and the permissions, or set {atomic_files.CACHE} to another folder",
            ) from error
