"""The `retest` rule: look at one candidate seed, and look again only where it is needed.

A candidate below the band is screened by rank, which assumes nothing about the distribution; a retested one is
judged by the pooled t, and so are candidates that are given together. What has no closed form (the level of look 3 and
of one look at several, false-alarm rates, detectable drops) comes from looks.json, which scripts/make_looks_table.py
made once by simulation.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from math import exp, log, log1p
from typing import NamedTuple

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri, stdtrit

from seedband.bands.stats.power import t_detectable_drop
from seedband.storage.json_files import JsonObject

#: Most looks that the rule ever takes.
MAX_LOOKS = 3
#: A second look with a p-value of at least this much passes.
PASS_AT_LOOK_2 = 0.2
#: At every look a single candidate with a p-value of at most alpha times this has collapsed.
COLLAPSE_SHARE = 0.1
MIN_ALPHA, MAX_ALPHA = 0.001, 0.2
MIN_POWER, MAX_POWER = 0.5, 0.99


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
def design(n: int, alpha: float, prior_df: float = 0.0) -> Design:
    """The rule's design from the shipped table: exact in n from 2 to 64, interpolated in log alpha and log(1 + d0).

    More than 64 baseline seeds take the row of 64: the rank screen and the t change little from there on. A prior of
    more than 64 degrees of freedom is taken as 64, and beside more than 16 baseline seeds as none: it changes little
    there (n = 17, d0 = 64: a false-alarm rate of .0485 where .05 is meant).

    Args:
        n: Baseline seeds, n >= 2.
        alpha: Level of the whole procedure, MIN_ALPHA to MAX_ALPHA.
        prior_df: Degrees of freedom d0 >= 0 that history adds to the pooled variance.

    Examples:
        >>> round(design(4, 0.05).level, 3), round(design(4, 0.05).detectable_drop, 2)
        (0.055, 2.36)
        >>> round(design(4, 0.05, prior_df=8.0).level, 3), round(design(4, 0.05, prior_df=8.0).detectable_drop, 2)
        (0.069, 2.24)
    """
    level, rate, drop, seeds = (_value(column, n, alpha, prior_df) for column in ("level", "far", "drop", "seeds"))
    return Design(min(2 * alpha, level), rate, drop, seeds)


@lru_cache(maxsize=1024)
def detectable_drop(n: int, alpha: float, power: float, prior_df: float = 0.0) -> float:
    """Drop, in seed standard deviations, that the rule fails with probability `power`.

    Between the table's powers it is interpolated in the Normal quantile of the power, to .4 % or better.

    Args:
        n: Baseline seeds, n >= 2.
        alpha: Level of the whole procedure, MIN_ALPHA to MAX_ALPHA.
        power: Probability of failing a candidate that dropped, MIN_POWER to MAX_POWER.
        prior_df: Degrees of freedom that history adds, as in `design`.

    Raises:
        ValueError: A power outside the table.

    Examples:
        >>> [round(detectable_drop(4, 0.05, power), 2) for power in (0.5, 0.8, 0.9)]
        [1.53, 2.36, 2.81]
    """
    if not MIN_POWER <= power <= MAX_POWER:
        raise ValueError(f"power {power} is outside [{MIN_POWER}, {MAX_POWER}]")
    powers = _table()["powers"]
    drops = [_value("drops", n, alpha, prior_df, at) for at in range(len(powers))]
    return float(np.interp(ndtri(power), ndtri(powers), drops))


class Rate(NamedTuple):
    """How often unchanged candidates fail.

    Attributes:
        value: The rate.
        is_bound: Whether the true rate may be smaller.
    """

    value: float
    is_bound: bool


class Together(NamedTuple):
    """One look at candidates that are given together.

    Attributes:
        level: Nominal level of p_k; with the test of each single one it gives the rate.
        rate: How often the look fails them when nothing changed: alpha, or a bound.
        detectable_drop: Drop, in seed standard deviations, that it fails with 80 % power.
    """

    level: float
    rate: Rate
    detectable_drop: float


@lru_cache(maxsize=1024)
def together(n: int, k: int, alpha: float, prior_df: float = 0.0) -> Together:
    """One look at k candidates, k >= 2.

    Beside a prior the level is the smallest over the priors of the table, so that alpha bounds the rate. More than the
    table's candidates are judged at the level of its last, and every further one may collapse on top.

    Examples:
        >>> round(together(4, 3, 0.05).level, 3), together(4, 3, 0.05).rate
        (0.04, Rate(value=0.05, is_bound=False))
        >>> together(4, 200, 0.05).rate.is_bound, together(4, 200, 0.05).rate.value < 0.2
        (True, True)
    """
    known = _table()["together"]
    level = _of_together("up_level", min, n, k, alpha, prior_df)
    rate = _with_further(n, k, alpha, prior_df, alpha)
    if k in known and prior_df == 0:
        return Together(level, rate, _value("up_drop", n, alpha, 0.0, known.index(k)))
    return Together(level, rate, t_detectable_drop(n, k, level, prior_df=prior_df))


@lru_cache(maxsize=1024)
def t_false_alarm_rate(n: int, k: int, alpha: float, prior_df: float = 0.0) -> Rate:
    """Chance that rule `t` fails k unchanged candidates: by their p_k at level alpha, or because one collapsed.

    For one candidate it is alpha. Beside a prior, and beyond the table's k, it is a bound.

    Examples:
        >>> [round(t_false_alarm_rate(4, k, 0.05).value, 3) for k in (1, 2, 3, 10)]
        [0.05, 0.055, 0.059, 0.076]
    """
    if k == 1:
        return Rate(alpha, is_bound=False)
    return _with_further(n, k, alpha, prior_df, _of_together("t_far", max, n, k, alpha, prior_df))


def _of_together(
    column: str, pick: Callable[[Iterable[float]], float], n: int, k: int, alpha: float, prior_df: float
) -> float:
    """A column for candidates given together; beside a prior the worst case over the table's priors.

    Beside more seeds than the table has priors for, none and the row of most seeds, which hardly differs from a scale
    that is known, are the two ends.
    """
    table = _table()
    at = table["together"].index(min(k, table["together"][-1]))
    if prior_df == 0:
        return _value(column, n, alpha, 0.0, at)
    bounds = table["prior"]["bounds"].get(str(n))
    if bounds is None:
        return pick(_value(column, seeds, alpha, 0.0, at) for seeds in (n, int(max(table["n"], key=int))))
    return _between(table["alphas"], [entry[at] for entry in bounds[column]], alpha, log)


def _with_further(n: int, k: int, alpha: float, prior_df: float, rate: float) -> Rate:
    """The rate with what the candidates beyond the table's may do: collapse."""
    most = _table()["together"][-1]
    further = collapse_rate(n, k, alpha, prior_df) - collapse_rate(n, most, alpha, prior_df) if k > most else 0.0
    return Rate(min(1.0, rate + further), is_bound=k > most or prior_df > 0)


@lru_cache(maxsize=1024)
def collapse_rate(n: int, k: int, alpha: float, prior_df: float = 0.0) -> float:
    """Chance that any of k unchanged candidates collapses: they share one baseline, so it is far below k times one's.

    By quadrature over the baseline's mean and standard deviation, for Normal scores.

    Examples:
        >>> round(collapse_rate(4, 1, 0.05), 4), collapse_rate(4, 10, 0.05) < 10 * 0.005
        (0.005, True)
    """
    df = n - 1 + prior_df
    # Finer where the baseline's spread happens to be small: there it collapses most.
    edges = np.concatenate([[0.0], np.geomspace(1e-12, 1.0, 1025)])
    weights, shares = np.diff(edges), (edges[1:] + edges[:-1]) / 2
    sd = np.sqrt(2 * gammaincinv(df / 2, shares) / df)[:, None]
    centre = ndtri((np.arange(512) + 0.5) / 512) / np.sqrt(n)
    limit = centre + float(stdtrit(df, alpha * COLLAPSE_SHARE)) * np.sqrt(1 + 1 / n) * sd
    return float(weights @ (1 - ndtr(-limit) ** k).mean(axis=1))


def _value(column: str, n: int, alpha: float, prior_df: float, at: int | None = None) -> float:
    """A column of the table at n, alpha and the prior's degrees of freedom; `at` picks from a column of lists."""
    table = _table()
    rows = {0.0: table["n"][str(min(n, max(int(known) for known in table["n"])))]}
    if prior_df > 0:
        rows |= {float(df): row for df, row in table["prior"]["n"].get(str(n), {}).items()}
    columns = [row[column] if at is None else [entry[at] for entry in row[column]] for row in rows.values()]
    values = [_between(table["alphas"], entries, alpha, log) for entries in columns]
    return _between(list(rows), values, min(prior_df, max(rows)), log1p)


def _between(grid: Sequence[float], values: Sequence[float], x: float, scale: Callable[[float], float]) -> float:
    """The value at x, linear between the points of the grid in `scale(x)` and the logarithm of the value."""
    right = bisect_left(grid, x)
    if right < len(grid) and grid[right] == x:
        return float(values[right])
    low, high = scale(grid[right - 1]), scale(grid[right])
    share = (scale(x) - low) / (high - low)
    return exp((1 - share) * log(values[right - 1]) + share * log(values[right]))


@lru_cache(maxsize=1)
def _table() -> JsonObject:
    text = (files("seedband.bands.stats") / "looks.json").read_text(encoding="utf-8")
    table: JsonObject = json.loads(text)
    return table
