"""Recognise: what kind of checkpoint a folder is, and whether it is safe to open."""

from pathlib import Path

from seedband.errors import UsageError
from seedband.models import foreign_folders, kinds
from seedband.models.model_folders import CheckpointFiles
from seedband.models.safety import check_links, check_safe


def recognise(path: Path, name: str) -> CheckpointFiles:
    """What kind of checkpoint lies in a folder.

    Raises:
        UsageError: No such folder, or nothing in it that is a checkpoint.
        Refused: Only pickled weights, code in the checkpoint, or a link that leads out of it.
    """
    if not path.is_dir():
        hint = f"a checkpoint is a folder: did you mean {path.parent}?" if path.is_file() else ""
        raise UsageError(f"{name}: " + ("is a file" if hint else "no such folder"), hint=hint)
    check_links(path, name)
    if (kind := kinds.detect(path)) is not None:
        check_safe(path, weights=None if kind.whole else kind.weights(path))
        return CheckpointFiles(kind.name, str(path), name)
    *others, last = kinds.explained()
    expected = f"expected {', '.join(others)} or {last}"
    told, mend = foreign_folders.told_of(path, name)
    raise UsageError(f"{name}: no checkpoint in this folder{told}", hint=mend or expected)
