"""Base watch: a job computes with the base that was hashed before it, from its first load to its last record.

A folder can be given other content while a sweep runs: by a download, a checkout, a link that is set anew. What was
loaded is then another model than the one on record, so a job looks before it loads and before it records anything.
"""

from dataclasses import dataclass, field
from pathlib import Path

from seedband.errors import Refused
from seedband.models import model_folders
from seedband.models.bases import files_beside, files_sha256, further_sha256
from seedband.recipe.scoring import Base, Scoring
from seedband.storage import file_hashes


@dataclass
class BaseWatch:
    """Knows what a base has to be, and how its files stood when the job began.

    Attributes:
        base: With the hashes on record.
    """

    base: Base
    _stood: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def check(self) -> None:
        """Hash what lies there, as far as it may be another than before.

        Raises:
            Refused: It is not the base on record, or was written to since this job began.
            WorkFailed: It cannot be read.
        """
        folder, before = Path(self.base.path), self._stand()
        expected = self.base.sha256, self.base.files_sha256, self.base.further_sha256
        found = model_folders.weights_sha256(folder), files_sha256(folder), further_sha256(folder)
        for what, known, now in zip(("weights", "config and tokenizer", "tokenizer"), expected, found, strict=True):
            if known != now:
                raise self._changed(f"its {what} had sha256 {_brief(known)}, and have {_brief(now)} now")
        if self._stand() != before or (self._stood and self._stood != before):
            raise self._changed(f"its files were written again; its weights have sha256 {_brief(found[0])} again")
        self._stood = before

    def glance(self) -> None:
        """Check only if the stamp of a file is another than at the last check.

        Raises:
            Refused: As in `check`.
            WorkFailed: It cannot be read.
        """
        if self._stand() != self._stood:
            self.check()

    def _stand(self) -> dict[str, tuple[int, ...]]:
        """Of every file device, inode, size and last change; links to it and rights on it change nothing."""
        folder = Path(self.base.path)
        files = [*(folder / name for name in model_folders.weight_files(folder)), *files_beside(folder)]
        return {str(path): file_hashes.stamp_of(path)[:4] for path in files}

    def _changed(self, how: str) -> Refused:
        return Refused(
            f"the base {self.base.reference} was replaced while it was in use: {self.base.path}: {how}",
            hint="put the base back and call again: what was finished before is kept, and nothing else",
        )


def watch(scoring: Scoring) -> BaseWatch:
    """A watch over the base of a job, which is the one that its parent hashed.

    Raises:
        Refused: It no longer is.
        WorkFailed: It cannot be read.
    """
    file_hashes.remember(scoring.hashed)
    found = BaseWatch(scoring.base)
    found.check()
    return found


def _brief(sha256: str) -> str:
    return f"{sha256[:12]}…" if sha256 else "none"
