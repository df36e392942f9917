"""Rule `paired` where pairs are added until the verdict settles: every number of pairs on the way may be a look.

The constant nominal level that makes the whole alpha has no closed form; it comes from pairs.json, which
scripts/make_pairs_table.py made once by simulation.
"""

import json
from bisect import bisect_right
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from seedband.storage.json_files import JsonObject

#: The fewest pairs that have a spread: where looks are not on record, the first may have been at so many.
FEWEST = 2


class Design(NamedTuple):
    """Looks at every number of pairs from a first one to all seeds of the band, for Normal differences.

    Attributes:
        level: Nominal level of each look and either side that makes the rate of all of them together alpha.
        drop: Drop beyond the tolerance, in standard deviations of the paired difference, that they fail with 80 %
            power.
    """

    level: float
    drop: float


@lru_cache(maxsize=1024)
def design(n: int, first: int, alpha: float) -> Design:
    """Level and power of looks at first, first + 1, ..., n pairs; interpolated in log alpha.

    A first look that the table lacks is taken as the next smaller one. Beyond 64 seeds the level shrinks as 64 / n:
    each doubling of n adds looks that cross no more often than those of the doubling before. Both make it smaller
    than it might be, never larger.

    Args:
        n: Seeds of the band, n > first.
        first: Pairs of the first look, first >= 2.
        alpha: Rate of the whole, from .001 to .2.

    References:
        Pocock, Biometrika 64 (1977): one nominal level for all looks of a group-sequential test.

    Examples:
        >>> round(design(4, 3, 0.05).level, 3), round(design(4, 2, 0.05).level, 3), round(design(8, 2, 0.05).level, 3)
        (0.032, 0.022, 0.013)
        >>> design(128, 2, 0.05).level == design(64, 2, 0.05).level / 2
        True
    """
    table = _table()
    most = max(map(int, table["n"]))
    row = table["n"][str(min(n, most))]
    known = sorted(map(int, row))
    entry = row[str(known[bisect_right(known, first) - 1])]
    at, alphas = np.log(alpha), np.log(table["alphas"])
    level, drop = (float(np.exp(np.interp(at, alphas, np.log(entry[column])))) for column in ("level", "drop"))
    return Design(level * min(1.0, most / n), drop)


@lru_cache(maxsize=1)
def _table() -> JsonObject:
    table: JsonObject = json.loads((files("seedband.bands.stats") / "pairs.json").read_text(encoding="utf-8"))
    return table
