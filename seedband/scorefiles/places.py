"""Which files are meant, and which seed the path of each says."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from seedband.errors import Problem, UsageError
from seedband.scorefiles import names
from seedband.scorefiles.registry import readers

#: Folders inside a run that have score files of their own, of earlier steps.
_INNER = "checkpoint-"


class Named(NamedTuple):
    """A seed, and the part of the path that says it."""

    seed: int
    part: str

    @property
    def is_seed(self) -> bool:
        """Check whether it says that it is a seed, rather than a run."""
        return self.part.lower().startswith("seed")


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The score files that are meant, each once: a folder stands for those in it.

    Raises:
        UsageError: A folder without one, or with several kinds of them.
    """
    found: dict[Path, None] = {}
    for path in paths:
        # Path.is_dir raises where a name is too long.
        is_folder = os.path.isdir(path)  # noqa: PTH112
        found |= dict.fromkeys(_inside(path) if is_folder else [path])
    return [*found]


def _inside(folder: Path) -> list[Path]:
    """The files of the first reader that knows one by name; else those whose paths name seeds, if of one kind."""
    for _, reader in readers():
        for pattern in reader.files:
            if found := sorted(path for path in folder.rglob(pattern) if path.is_file() and _is_run(path, folder)):
                return found
    endings = {ending for _, reader in readers() for ending in reader.endings}
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.suffix.lower() in endings and _is_run(path, folder) and any(map(names.seeds_in_path_part, inner.parts)):
            kinds.setdefault(re.sub(r"\d+", "*", path.name), []).append(path)
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    if kinds:
        raise UsageError(
            f"{folder}: several kinds of files in it: {', '.join(kinds)}", hint="name the files themselves"
        )
    patterns = ", ".join(pattern for _, reader in readers() for pattern in reader.files[:1])
    raise UsageError(f"{folder}: no such file of scores in it: {patterns}", hint="name the files themselves")


def _is_run(path: Path, folder: Path) -> bool:
    return not any(part.startswith((_INNER, ".")) for part in path.relative_to(folder).parts)


def seeds_of(paths: Sequence[Path]) -> Mapping[Path, Named | Problem | None]:
    """The seed that each path says, where it says one; a mistake where it says several.

    Of `run-2/seed_13` it is 13, for a seed says more than a run. What all paths have in common tells nothing.
    """
    common = _common_parts(paths) if len(paths) > 1 else 0
    return {path: _seed(path, path.parts[common:]) for path in paths}


def _common_parts(paths: Sequence[Path]) -> int:
    shortest = min(len(path.parts) for path in paths)
    return next((n for n in range(shortest) if len({path.parts[n] for path in paths}) > 1), shortest)


def _seed(path: Path, parts: Sequence[str]) -> Named | Problem | None:
    hits = [hit for part in parts for hit in names.seeds_in_path_part(part)]
    best = [hit for hit in hits if hit[0] == min(hits)[0]]
    if len({seed for _, seed, _ in best}) > 1:
        told = " and ".join(dict.fromkeys(text for _, _, text in best))
        return Problem(
            str(path), f"{told} in its path", "one seed: rename a folder, or give a table with a column 'seed'"
        )
    return Named(best[0][1], best[0][2]) if best else None
