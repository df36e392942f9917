"""The `retest` rule: look at one candidate seed, and look again only where it is needed.

A candidate below the band is screened by rank, which assumes nothing about the distribution; a retested one is
judged by the pooled t. What has no closed form (the level of look 3, the false-alarm rate, the detectable drop)
comes from looks.json, which scripts/make_looks_table.py made once by simulation.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from math import exp, log
from typing import Any, NamedTuple

#: Most looks that the rule ever takes.
MAX_LOOKS = 3
#: A second look with a p-value of at least this much passes.
PASS_AT_LOOK_2 = 0.2
#: At every look a single candidate with a p-value of at most alpha times this has collapsed.
COLLAPSE_SHARE = 0.1
MIN_ALPHA, MAX_ALPHA = 0.001, 0.2


class Design(NamedTuple):
    """What the rule is, at n baseline seeds and level alpha, for Normal scores.

    Attributes:
        level: Nominal level of look 3, which makes the false-alarm rate of the whole procedure alpha.
        false_alarm_rate: The rate that it attains; below alpha only where `level` meets its cap of 2 alpha.
        detectable_drop: Drop, in seed standard deviations, that it fails with 80 % power.
        candidate_seeds: Candidate seeds spent on average when nothing changed.
    """

    level: float
    false_alarm_rate: float
    detectable_drop: float
    candidate_seeds: float


def screen_rank(n: int) -> int:
    """The lowest fifth of n + 1 ranks, at least one: a first candidate that ranks in it is suspect.

    Examples:
        >>> [screen_rank(n) for n in (2, 4, 8, 9, 14, 20)]
        [1, 1, 1, 2, 3, 4]
    """
    return max(1, (n + 1) // 5)


def screen_rate(n: int) -> float:
    """Chance that an unchanged candidate is looked at again, whatever the distribution of scores.

    Examples:
        >>> [round(screen_rate(n), 3) for n in (4, 8, 9)]
        [0.2, 0.111, 0.2]
    """
    return screen_rank(n) / (n + 1)


@lru_cache(maxsize=1024)
def design(n: int, alpha: float) -> Design:
    """The rule's design from the shipped table: exact in n from 2 to 64, interpolated in log alpha.

    More than 64 baseline seeds take the row of 64: the rank screen and the t change little from there on.

    Examples:
        >>> round(design(4, 0.05).level, 3), round(design(4, 0.05).detectable_drop, 2)
        (0.057, 2.36)
    """
    row = _row(n)
    return Design(
        level=min(2 * alpha, _interpolated(row["level"], alpha)),
        false_alarm_rate=_interpolated(row["far"], alpha),
        detectable_drop=_interpolated(row["drop"], alpha),
        candidate_seeds=_interpolated(row["seeds"], alpha),
    )


@lru_cache(maxsize=1024)
def upfront_false_alarm_rate(n: int, k: int, alpha: float) -> float:
    """Chance that k unchanged candidates, all trained before any look, fail in the end; k >= 2.

    Every look also fails a single collapsed candidate, so this lies somewhat above alpha. Beyond the table's k it
    is an upper bound: alpha plus the rate of a collapse among k.
    """
    table = _table()
    if k not in table["upfront_candidates"]:
        return min(1.0, alpha + k * alpha * COLLAPSE_SHARE)
    column = table["upfront_candidates"].index(k)
    return _interpolated([rates[column] for rates in _row(n)["upfront"]], alpha)


def _row(n: int) -> Mapping[str, Any]:
    rows: Mapping[str, Mapping[str, Any]] = _table()["n"]
    return rows[str(min(n, max(int(known) for known in rows)))]


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    text = (files("seedband.stats") / "looks.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _interpolated(column: list[float], alpha: float) -> float:
    """Linear between the table's alphas, in log alpha and the log of the column."""
    alphas = _table()["alphas"]
    right = bisect_left(alphas, alpha)
    if right < len(alphas) and alphas[right] == alpha:
        return float(column[right])
    low, high = alphas[right - 1], alphas[right]
    share = log(alpha / low) / log(high / low)
    return exp((1 - share) * log(column[right - 1]) + share * log(column[right]))
