"""Own rows: what a checkpoint's own tokenizer or image processor makes of the items, beside what the base's makes.

Rows that two models read in different ways are not compared. Only the base's files decide how rows are padded and where
answers end.
"""

import copy
import filecmp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband.counts import counted
from seedband.data.dataset import Items
from seedband.errors import Refused, UsageError
from seedband.models import kinds
from seedband.models.loading import load_tokenizer
from seedband.models.model_folders import CheckpointFiles
from seedband.models.readers import InputReader
from seedband.recipe.scoring import Scoring
from seedband.storage import json_files

if TYPE_CHECKING:
    from seedband.models.loading import Network
    from seedband.tasks import Task

#: No file of a tokenizer is larger: the largest known have 35 MB.
MAX_TOKENIZER_BYTES = 256 * 1024 * 1024
#: Which of two texts each token is of.
TYPES = "token_type_ids"
#: Tokens are shown up to so many letters.
MAX_SHOWN = 30


def read_alike(files: CheckpointFiles, scoring: Scoring, items: Items, lesson: Any, task: "Task") -> Any:
    """The items as a checkpoint reads them, who speaks as its own tokenizer spells.

    Args:
        files: The checkpoint.
        scoring: How it is scored.
        items: The eval rows.
        lesson: The same as the base reads them.
        task: The task.

    Returns:
        `lesson`, or a copy of it that spells answers as the checkpoint's own tokenizer does.

    Raises:
        Refused: The checkpoint reads a row otherwise than the base; or what it brings to read them cannot be opened.
    """
    reader = _own_reader(files, scoring, task.reader)
    if reader is None:
        return lesson
    if getattr(reader, "chat_template", "") is None:
        reader.chat_template = load_tokenizer(scoring.base.path).chat_template
    what = task.reader.name
    try:
        own: Any = task.encode(items, scoring, reader)
    except UsageError as error:
        raise Refused(f"{files.name}: its own {what} cannot read the rows: {error.message}", hint=error.hint) from error
    for row, name in enumerate(items.ids):
        ours, theirs = (_without_zeros(task.reads(reading, row)) for reading in (lesson, own))
        if ours != theirs:
            place = f"row {row + 1} of {items.path.name} (id {name[:MAX_SHOWN]})"
            raise Refused(
                f"{files.name}: its own {what} reads {place} otherwise than the base's: {_told(ours, theirs, own)}",
                hint="rows that are read in two ways are not compared: sweep on a base that reads them as this "
                f"checkpoint does, or, where its {what} files are not the ones that it was tuned with, remove them",
            )
    if not hasattr(lesson, "spell"):
        return lesson
    found = copy.copy(lesson)
    found.spell = own.spell
    return found


def _without_zeros(read: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Drop types of tokens that are all 0, which a tokenizer may leave out."""
    return {name: ids for name, ids in read.items() if name != TYPES or any(ids)}


def check_ids(files: CheckpointFiles, network: "Network", items: Items, lesson: Any, task: "Task") -> None:
    """Refuse a model or an adapter that has no embedding for a token of the items.

    Raises:
        Refused: With the first such row.
    """
    # A head leaves its base as it is.
    rows = (
        _embeddings(network.module) if not kinds.find(files.kind).keeps_base and hasattr(lesson, "padding_id") else None
    )
    if rows is None:
        return
    for row, name in enumerate(items.ids):
        most = max((max(ids, default=0) for ids in task.reads(lesson, row).values()), default=0)
        if max(most, lesson.padding_id) >= rows:
            raise Refused(
                f"{files.name}: has {counted(rows, 'embedding')}, and row {row + 1} of {items.path.name} "
                f"(id {name[:MAX_SHOWN]}) or its padding has token {max(most, lesson.padding_id)}",
                hint="save it with all embeddings of its tokenizer",
            )


def _embeddings(module: Any) -> int | None:
    """Number of tokens that a model knows; None where it has no table of them, as one that hashes letters."""
    try:
        return int(module.get_input_embeddings().weight.shape[0])
    except NotImplementedError:
        return None


def _own_reader(files: CheckpointFiles, scoring: Scoring, kind: InputReader) -> Any:
    """The tokenizer or image processor that a checkpoint brings; None where it brings none, or the base's own files.

    Raises:
        Refused: It cannot be opened, or is far too large.
    """
    folder, base = Path(files.path), Path(scoring.base.path)
    patterns = (*kind.own, *kind.beside)
    named, every = _files(folder, kind.own), _files(folder, patterns)
    if not named or (every == _files(base, patterns) and all(_same(folder / name, base / name) for name in every)):
        return None
    for name in every:
        json_files.check_size(folder / name, MAX_TOKENIZER_BYTES)
    try:
        return kind.load(files.path)
    except Exception as error:
        # Whatever files of unknown origin make transformers raise.
        line = " ".join(str(error).split())[:200]
        raise Refused(
            f"{files.name}: transformers cannot open its {kind.name} ({', '.join(named)[:200]}): {line}",
            hint=f"save the {kind.name} again, or remove its files: rows are then read as the base reads them",
        ) from error


def _files(folder: Path, patterns: Sequence[str]) -> list[str]:
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _same(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)


def _told(ours: Mapping[str, Sequence[Any]], theirs: Mapping[str, Sequence[Any]], own: Any) -> str:
    """The first place where two readings of a row differ."""
    part = next(name for name in (*ours, *theirs) if ours.get(name) != theirs.get(name))
    mine, other = ours.get(part, ()), theirs.get(part, ())
    if not hasattr(own, "tokenizer"):
        return f"other {part}"
    place = next((i for i, pair in enumerate(zip(mine, other, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return f"{len(other)} {part}, the base's {len(mine)}"
    found, expected = (own.tokenizer.decode([ids[place]])[:MAX_SHOWN] for ids in (other, mine))
    return (
        f"token {place + 1} of its {part} is {other[place]} ({found!r}), the base's {mine[place]} "
        f"(to its own {expected!r})"
    )
