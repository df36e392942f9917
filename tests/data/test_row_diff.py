"""Rows are found again by their id, or by what they give where they have none."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedband.data.row_diff import MAX_ROWS, changes, of_rows, packed, unpacked


def rows(text, *, ids=True):
    """A row a word: `a1` has id a and gives 1."""
    words = text.split()
    names = [word[0] if ids else f"row-{n}" for n, word in enumerate(words, 1)]
    return of_rows(names, [f"{ord(word[1]):016x}"[::-1] for word in words])


def told(old, new, **options):
    found = changes(rows(old, **options), rows(new, **options))
    return {kind: " ".join(getattr(found, kind)) for kind in ("added", "removed", "changed", "moved")}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("a1 b2 c3 d4", {}),
        ("a1 b2 c3 d4 e5", {"added": "e"}),
        ("e5 a1 b2 c3 d4", {"added": "e"}),
        ("a1 c3 d4", {"removed": "b"}),
        ("a1 b9 c3 d4", {"changed": "b"}),
        ("b2 c3 d4 a1", {"moved": "a"}),
        ("a1 c3 b2 d4", {"moved": "b"}),
        ("a1 b3 c2 d4", {"changed": "b c"}),
        ("d9 a1 b2 e5", {"added": "e", "removed": "c", "changed": "d"}),
    ],
)
def test_rows_with_ids_are_found_by_them(new, expected):
    assert {kind: names for kind, names in told("a1 b2 c3 d4", new).items() if names} == expected


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("x1 x2 x3 x4", {}),
        ("x9 x1 x2 x3 x4", {"added": "row-1"}),
        ("x1 x2 x4", {"removed": "row-3"}),
        ("x1 x2 x9 x4", {"changed": "row-3"}),
        ("x2 x3 x4 x1", {"moved": "row-4"}),
        ("x1 x2 x3 x4 x4", {"added": "row-5"}),
    ],
)
def test_rows_without_ids_are_found_by_what_they_give(new, expected):
    assert {kind: names for kind, names in told("x1 x2 x3 x4", new, ids=False).items() if names} == expected


@given(st.permutations(list("abcdefg")), st.integers(0, 7))
def test_what_moved_is_as_few_rows_as_can_be(order, n_new):
    old, new = "a1 b1 c1 d1 e1 f1 g1", " ".join(f"{name}1" for name in order)
    moved = changes(rows(old), rows(new)).moved
    left = [name for name in order if name not in moved]
    assert left == sorted(left)
    sizes = (size for size in range(7, 0, -1) if any(list(c) == sorted(c) for c in itertools.combinations(order, size)))
    assert len(left) == next(sizes)


@given(st.lists(st.sampled_from("abcdefgh"), unique=True), st.lists(st.sampled_from("abcdefgh"), unique=True))
def test_every_row_is_accounted_for_whichever_way_one_looks(old, new):
    there = changes(rows(" ".join(f"{n}1" for n in old)), rows(" ".join(f"{n}1" for n in new)))
    back = changes(rows(" ".join(f"{n}1" for n in new)), rows(" ".join(f"{n}1" for n in old)))
    assert (set(there.added), set(there.removed)) == (set(new) - set(old), set(old) - set(new))
    assert (set(there.added), len(there.moved)) == (set(back.removed), len(back.moved))
    assert bool(there) == (old != new)


def test_band_json_tells_rows_apart_without_their_ids():
    old = rows("a1 b2 c3 d4")
    text = packed(old)
    assert len(text) == 4 * 16
    found = changes(unpacked(text), rows("a1 c9 d4 e5"))
    assert (found.added, found.removed, found.changed, found.moved) == (("e",), ("row-2",), ("c",), ())
    assert not changes(unpacked(text), old)
    unnamed = rows("x1 x2", ids=False)
    assert not changes(unpacked(packed(unnamed)), unnamed)


def test_band_json_stays_small():
    names = [f"item {n}" for n in range(MAX_ROWS + 1)]
    assert packed(of_rows(names, ["0" * 16] * len(names))) is None
    assert len(packed(of_rows(names[1:], ["0" * 16] * MAX_ROWS))) == 32_000


def test_a_message_names_the_first_rows_and_counts_the_rest():
    old, new = rows("a1 b1 c1 d1 e1 f1 g1 h1"), rows("a2 b2 c2 d2 e2 f2 g2 i1")
    assert str(changes(old, new)) == "7 changed (a, b, c, d, e and 2 more), 1 added (i), 1 removed (h)"
    assert str(changes(old, old)) == "no row that scores depend on, but slices, other columns or spacing"
