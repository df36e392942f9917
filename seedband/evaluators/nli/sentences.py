"""Sentences of a text, by rules that only change with the version of the evaluators that use them.

A library's rules change with its releases, and every release would make scores incomparable; these are few, made for
short texts in English, and hold for most languages that end sentences with a mark.
"""

import re
import string
from collections.abc import Iterator

#: A mark with the quotes and brackets that it closes, and the space behind it; scripts without spaces need none.
END = re.compile(r"""([.!?…]+)(["'”’»)\]}*_]*)\s+|([。！？؟।｡]+)(["'”’»」』）)]*)\s*""")
SAYING = re.compile(r"[^\W_]")
OPENING = "([{\"'“‘«„*_"
BULLETS = "-–—•"
#: Abbreviations that something always follows.
NEVER_LAST = frozenset(
    {
        *("mr", "mrs", "ms", "messrs", "dr", "prof", "st", "rev", "hon", "gen", "col", "capt", "lt", "sgt"),
        *("vs", "e.g", "eg", "i.e", "ie", "cf", "approx", "ca", "incl", "excl", "resp", "viz"),
    }
)
#: Abbreviations that a number follows, or else a new sentence may begin.
BEFORE_NUMBERS = frozenset(
    {
        *("no", "nos", "nr", "p", "pp", "fig", "figs", "art", "sec", "ch", "vol", "ref", "ext", "tel", "para", "op"),
        *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
    }
)
#: Digits of the number of a list's entry.
MAX_ENTRY = 3


def sentences(text: str) -> list[str]:
    """The sentences of a text, in its order; all of its characters but the space between them.

    Every line break ends one, so each entry of a list is one; a mark ends one where space and the beginning of another
    follow: no small letter after a full stop, no number after "No." or a month, nothing after "e.g." or an initial, and
    not the full stop that numbers an entry. Quotes and brackets stay with the sentence that they close. Where "U.S.",
    "Inc." or "p.m." stand before a capital, a sentence is taken to end.

    Examples:
        >>> sentences("Dr. Ito paid 3.50 euros. She wants it back, e.g. by transfer...  Soon!")
        ['Dr. Ito paid 3.50 euros.', 'She wants it back, e.g. by transfer...', 'Soon!']
    """
    return [sentence for line in text.splitlines() for sentence in _of_line(line)]


def says_something(text: str) -> bool:
    """Check whether there is a letter or a digit in it."""
    return SAYING.search(text) is not None


def _of_line(line: str) -> Iterator[str]:
    start = 0
    for end in END.finditer(line):
        follows = SAYING.search(line, end.end())
        if follows is None:
            break
        if _ends(line[start : end.start()], end, follows.group()):
            yield line[start : end.end()].strip()
            start = end.end()
    if rest := line[start:].strip():
        yield rest


def _ends(before: str, end: re.Match[str], follows: str) -> bool:
    """Check whether a sentence ends at a mark.

    Args:
        before: What it says so far.
        end: The mark, and what stands behind it up to the next word.
        follows: The next letter or digit.
    """
    mark, closed, *_ = end.groups()
    if not says_something(before):
        return False
    if mark is None:
        return True
    if mark != ".":
        return not (follows.islower() and (closed or mark.strip(".…") == ""))
    return not follows.islower() and not _abbreviates(before, follows)


def _abbreviates(before: str, follows: str) -> bool:
    word = before.rsplit(maxsplit=1)[-1].lstrip(OPENING)
    alone = word == before.lstrip(OPENING + BULLETS + string.whitespace)
    if alone and (len(word) == 1 or (word.isdecimal() and len(word) <= MAX_ENTRY)):
        return True
    initial = len(word) == 1 and word.isupper()
    name = word.casefold()
    return initial or name in NEVER_LAST or (name in BEFORE_NUMBERS and follows.isdecimal())
