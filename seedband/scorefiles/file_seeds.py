"""Seeds of score files: from the file, from its path, or counted."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seedband.errors import Problem
from seedband.scorefiles import places
from seedband.scorefiles.reading import Cell, Reading, Wanted, few

#: Where seeds come from that no file and no path names.
COUNTED = "counted"


def seeded(readings: Mapping[Path, Reading], wanted: Wanted) -> tuple[list[Cell | Problem], list[Problem], str]:
    """Every score with its seed, what is wrong with seeds, and where they come from."""
    said_by_path = places.seeds_of([*readings])
    entries: list[Cell | Problem] = []
    mistakes: list[Problem] = []
    origins, unnamed = [], itertools.count()
    for path, reading in readings.items():
        found = _seed(path, reading, said_by_path[path], wanted)
        if isinstance(found, Problem):
            mistakes.append(_located(found, path, readings))
        seed, origin = (None, COUNTED) if isinstance(found, Problem) else found
        origins.append(origin)
        seed = next(unnamed) if seed is None else seed
        for entry in reading.entries:
            moved = _located(entry, path, readings)
            entries.append(moved._replace(seed=seed) if reading.one_run and isinstance(moved, Cell) else moved)
    return entries, mistakes, COUNTED if COUNTED in origins else few(dict.fromkeys(origins))


def _seed(
    path: Path, reading: Reading, named: places.Named | Problem | None, wanted: Wanted
) -> tuple[int | None, str] | Problem:
    """Seed of a file of one run, where it has one, and where the seeds of the file come from."""
    of_path = named if isinstance(named, places.Named) else None
    if reading.seed is not None and of_path and of_path.is_seed and of_path.seed != reading.seed and not reading.plain:
        message = f"seed {reading.seed} in the file, {of_path.part} in its path"
        return Problem(str(path), message, "one seed: rename the folder, or mend the file")
    if not reading.one_run:
        return None, reading.seeds_from or COUNTED
    if of_path and reading.seed in (None, of_path.seed):
        return of_path.seed, "the path"
    if reading.seed is None and wanted.needs_seeds:
        return named if isinstance(named, Problem) else reading.unseeded or _UNSEEDED
    return reading.seed, COUNTED if reading.seed is None else "the file"


_UNSEEDED = Problem("the file", "no seed", "a field 'seed', or a path that says it (seed_3, run-3)")


def _located(entry: Any, path: Path, readings: Mapping[Path, Reading]) -> Any:
    """An entry of one of several files says of which."""
    if len(readings) == 1:
        return entry
    where = str(path) if entry.where in ("the file", str(path)) else f"{path}: {entry.where}"
    return replace(entry, where=where) if isinstance(entry, Problem) else entry._replace(where=where)
