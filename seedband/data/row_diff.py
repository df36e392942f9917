"""Row changes: which rows of a data set were added, removed, changed or moved, by their fingerprints."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from seedband.data.dataset import Items
from seedband.storage import json_files

#: Hexadecimal digits that a row takes in band.json: half for its id, half for what it gives.
DIGITS = 16
HALF = DIGITS // 2
#: A larger data set is not in band.json, which is small; the items of its runs hold the fingerprints.
MAX_ROWS = 2000
#: Rows of each kind that a message names; the rest is counted.
MAX_NAMED = 5
#: What a row is called that has no id.
UNNAMED = re.compile(r"row-\d+")


#: Hash of an id, hash of what a row without one gives, and how often these came before.
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Fingerprints:
    """The rows of a data set as far as they can be told apart.

    Attributes:
        names: What each row is called.
        keys: By which it is found again: its id, hashed, or empty for a row without one.
        contents: What it gives, hashed.
    """

    names: tuple[str, ...]
    keys: tuple[str, ...]
    contents: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class RowChanges:
    """What became of the rows, each by its name.

    Attributes:
        added: Only in the new data.
        removed: Only in the old data.
        changed: In both by id, with another input, target or context; without ids, at the same place.
        moved: In both and the same, but not in the same order: the fewest that account for it.
        n_old: Rows of the old data.
        n_new: Rows of the new data.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    moved: tuple[str, ...]
    n_old: int
    n_new: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)

    def __str__(self) -> str:
        kinds = {"changed": self.changed, "added": self.added, "removed": self.removed, "moved": self.moved}
        told = [f"{len(names)} {kind} ({named(names)})" for kind, names in kinds.items() if names]
        return ", ".join(told) or "no row that scores depend on, but slices, other columns or spacing"


def named(names: Sequence[str]) -> str:
    """The first of some names, and how many are left.

    Examples:
        >>> named(["a", "b", "c", "d", "e", "f", "g"])
        'a, b, c, d, e and 2 more'
    """
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def of_items(items: Items) -> Fingerprints:
    """Those of a data set that has been read."""
    return of_rows(items.ids, items.fingerprints)


def of_rows(ids: Sequence[str], contents: Sequence[str]) -> Fingerprints:
    """Those of rows by their ids and fingerprints."""
    keys = ("" if UNNAMED.fullmatch(name) else json_files.digest(name)[:HALF] for name in ids)
    return Fingerprints(tuple(ids), tuple(keys), tuple(content[:HALF] for content in contents))


def packed(rows: Fingerprints) -> str | None:
    """Fingerprints as band.json holds them, 16 digits a row; None for too many rows."""
    if len(rows) > MAX_ROWS:
        return None
    pairs = zip(rows.keys, rows.contents, strict=True)
    return "".join((key or "0" * HALF) + content for key, content in pairs)


def unpacked(text: str) -> Fingerprints:
    """Fingerprints from band.json; rows are named by their number, for it does not hold their ids."""
    rows = [text[start : start + DIGITS] for start in range(0, len(text), DIGITS)]
    names = tuple(f"row-{number}" for number in range(1, len(rows) + 1))
    keys = tuple("" if row.startswith("0" * HALF) else row[:HALF] for row in rows)
    return Fingerprints(names, keys, tuple(row[HALF:] for row in rows))


def changes(old: Fingerprints, new: Fingerprints) -> RowChanges:
    """Changes from the rows of `old` to those of `new`."""
    before, after = _places(old), _places(new)
    gone = {key: row for key, row in before.items() if key not in after}
    come = {key: row for key, row in after.items() if key not in before}
    # A row without an id is found by what it gives; one that gives something else at the same place has changed.
    swapped = _unnamed(gone) & _unnamed(come)
    common = [key for key in before if key in after]
    changed = [after[key] for key in common if old.contents[before[key]] != new.contents[after[key]]]
    moved = _out_of_order([after[key] for key in common])
    return RowChanges(
        added=_named(new, {row for row in come.values() if row not in swapped or new.keys[row]}),
        removed=_named(old, {row for row in gone.values() if row not in swapped or old.keys[row]}),
        changed=_named(new, {*changed, *swapped}),
        moved=_named(new, {row for row in moved if row not in changed}),
        n_old=len(old),
        n_new=len(new),
    )


def _places(rows: Fingerprints) -> dict[Key, int]:
    """Place of every row by what it is found by; equal ones are told apart by how often they came before."""
    seen: Counter[tuple[str, str]] = Counter()
    places = {}
    for place, (key, content) in enumerate(zip(rows.keys, rows.contents, strict=True)):
        found_by = (key, "" if key else content)
        places[*found_by, seen[found_by]] = place
        seen[found_by] += 1
    return places


def _unnamed(places: Mapping[Key, int]) -> set[int]:
    return {place for (key, _, _), place in places.items() if not key}


def _named(rows: Fingerprints, places: Collection[int]) -> tuple[str, ...]:
    return tuple(rows.names[place] for place in sorted(places))


def _out_of_order(places: Sequence[int]) -> set[int]:
    """The fewest of distinct numbers without which the others rise: all but a longest rising subsequence.

    References:
        Fredman, On computing the length of longest increasing subsequences, Discrete Mathematics 11 (1975).
    """
    tails: list[int] = []
    before: dict[int, int | None] = {}
    for place in places:
        at = bisect_left(tails, place)
        before[place] = tails[at - 1] if at else None
        tails[at : at + 1] = [place]
    kept, place_or_none = set(), tails[-1] if tails else None
    while place_or_none is not None:
        kept.add(place_or_none)
        place_or_none = before[place_or_none]
    return set(places) - kept
