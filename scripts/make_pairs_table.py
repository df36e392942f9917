"""Make seedband/bands/stats/pairs.json: level and power of rule `paired` where pairs are added one by one, simulated.

    python scripts/make_pairs_table.py [--draws 1000000] [--power-draws 100000] [--out seedband/bands/stats/pairs.json]

Pairs that are added until the verdict settles are looked at again and again. For Normal differences of a candidate
exactly at the tolerance, every n in 3..64 and a first look at f pairs, this finds
- level: the constant nominal level at which any of the looks at f, f + 1, ..., n pairs shows a drop with probability
  alpha. The looks of the other side (no drop shown) are the same draws with their signs turned: both sides go in, and
  `sides` holds the levels of either alone at alpha .05, which agree within their error;
- drop:  the drop beyond the tolerance, in standard deviations of the paired difference, that these looks fail with
  80 % power.
A look that passed ends the procedure, which could only make fails rarer: the level does not count on it.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
from scipy import special

ALPHAS = [0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2]
N_SEEDS = range(3, 65)
FIRST = [*range(2, 13), 14, 16, 20, 24, 32, 48]
POWER = 0.8
ROOT_SEED = 20261201
CHUNK = 20_000


def moments(draws: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of the first k of the differences, k = 2..64; two arrays of shape (63, draws)."""
    rng = np.random.default_rng([ROOT_SEED, stream])
    most = max(N_SEEDS)
    k = np.arange(2, most + 1)[:, None]
    centre, error = (np.empty((most - 1, draws), dtype=np.float32) for _ in range(2))
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        differences = rng.standard_normal((most, size))
        mean = np.cumsum(differences, axis=0)[1:] / k
        squares = np.cumsum(differences**2, axis=0)[1:] - k * mean**2
        centre[:, start : start + size] = mean
        error[:, start : start + size] = np.sqrt(np.maximum(squares, 1e-30) / (k - 1) / k)
    return centre, error


def p_values(centre: np.ndarray, error: np.ndarray) -> np.ndarray:
    """One-sided p-values at k = 2..64 pairs, shape (63, draws)."""
    found = np.empty_like(centre)
    for row in range(len(centre)):
        found[row] = special.stdtr(row + 1, centre[row].astype(float) / error[row])
    return found


def levels(p: np.ndarray) -> dict[int, dict[int, list[float]]]:
    """n → first look → level at each alpha: quantiles of the smallest p-value of all looks."""
    draws = p.shape[1]
    at = [round(alpha * draws) - 1 for alpha in ALPHAS]
    found: dict[int, dict[int, list[float]]] = {n: {} for n in N_SEEDS}
    for first in FIRST:
        smallest = p[first - 2].copy()
        for n in range(first + 1, max(N_SEEDS) + 1):
            np.minimum(smallest, p[n - 2], out=smallest)
            ranked = np.partition(smallest, at)
            found[n][first] = [float(ranked[index]) for index in at]
    return found


def detectable(centre: np.ndarray, error: np.ndarray, n: int, first: int, level: float) -> float:
    """Drop at which 80 % of the draws fail at some look: a look fails from the drop mean + quantile x error on."""
    least = np.full(centre.shape[1], np.inf, dtype=np.float32)
    for k in range(first, n + 1):
        quantile = np.float32(-special.stdtrit(k - 1, level))
        np.minimum(least, centre[k - 2] + quantile * error[k - 2], out=least)
    return float(np.quantile(least, POWER))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1_000_000)
    parser.add_argument("--power-draws", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path("seedband/bands/stats/pairs.json"))
    args = parser.parse_args()
    centre, error = moments(args.draws, 0)
    down = p_values(centre, error)
    np.negative(centre, out=centre)
    sides = [levels(down), levels(p_values(centre, error))]
    both = {
        n: {first: np.mean([side[n][first] for side in sides], axis=0).tolist() for first in sides[0][n]}
        for n in N_SEEDS
    }
    print(f"levels found: n=4 {both[4]}", flush=True)
    centre, error = moments(args.power_draws, 1)
    rows = {}
    for n in N_SEEDS:
        rows[str(n)] = {
            str(first): {
                "level": [float(f"{level:.4g}") for level in own],
                "drop": [float(f"{detectable(centre, error, n, first, level):.4g}") for level in own],
            }
            for first, own in both[n].items()
        }
        print(f"n={n}: {[entry['level'][7] for entry in rows[str(n)].values()]}", flush=True)
    at = ALPHAS.index(0.05)
    told = [(n, first) for n in (4, 8, 16) for first in (2, 3)]
    table = {
        "made_by": f"scripts/make_pairs_table.py --draws {args.draws} --power-draws {args.power_draws}",
        "draws": args.draws,
        "rate_standard_error": [round(math.sqrt(a * (1 - a) / args.draws / 2), 7) for a in ALPHAS],
        "power": POWER,
        "power_standard_error": round(math.sqrt(POWER * (1 - POWER) / args.power_draws), 7),
        "alphas": ALPHAS,
        "sides": {f"{n} from {first}": [float(f"{side[n][first][at]:.4g}") for side in sides] for n, first in told},
        "n": rows,
    }
    lines = json.dumps(table).replace('"n": {', '"n": {\n').replace("}}, ", "}},\n")
    args.out.write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
