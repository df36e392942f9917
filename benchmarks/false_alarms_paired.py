"""How often does rule `paired` stop a candidate exactly at the tolerance, where pairs are added until it settles?

    python benchmarks/false_alarms_paired.py [--draws 100000] [--seed 20261202]

Differences are Normal. Pairs are added one by one from the first look on, until the verdict settles or the band has no
seed left. "Before" is alpha at every look, "after" is the rule as it stands; beside the rates stands what is printed.
Power is that against a drop of two paired standard deviations beyond the tolerance. The looks are those of
`seedband.bands.stats.paired.decide_paired`, for all draws at once; the first draws are judged by it one by one, and the
script ends with an error where the two do not agree.
"""

import argparse
import math

import numpy as np
from scipy import special

from seedband.bands.stats.pair_looks import design
from seedband.bands.stats.paired import decide_paired

ALPHA = 0.05
DROP = 2.0
CHECKED = 300


def walk(d: np.ndarray, first: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Of differences of shape (draws, n): +1 for a pass, -1 for a fail, 0 left open; and the pairs that it took."""
    draws, n = d.shape
    settled, pairs = np.zeros(draws, dtype=int), np.full(draws, n)
    for k in range(first, n + 1):
        own = d[:, :k]
        p = special.stdtr(k - 1, own.mean(axis=1) / (own.std(axis=1, ddof=1) / math.sqrt(k)))
        verdict = np.where(p <= level, -1, np.where(1 - p <= level, 1, 0))
        now = (settled == 0) & (verdict != 0)
        settled[now], pairs[now] = verdict[now], k
    return settled, pairs


def one_by_one(differences: np.ndarray, first: int) -> int:
    """The same of one draw, by the rule itself."""
    n = len(differences)
    for k in range(first, n + 1):
        status = decide_paired(list(differences[:k]), 0.0, ALPHA, pairs_left=n - k, first=first).status
        if status != "suspect":
            return 1 if status == "pass" else -1
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20261202, help="of the draws")
    args = parser.parse_args()
    print(
        "| seeds | first look | fails before | fails after | passes after | printed | holds | power | pairs |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for n in (4, 8, 16):
        for first in (2, 3):
            d = np.random.default_rng([args.seed, n, first]).standard_normal((args.draws, n))
            level = design(n, first, ALPHA).level
            before, _ = walk(d, first, ALPHA)
            after, _ = walk(d, first, level)
            if [one_by_one(row, first) for row in d[:CHECKED]] != list(after[:CHECKED]):
                raise SystemExit(f"n={n}, first look at {first}: the rule and its simulation do not agree")
            printed = decide_paired(list(d[0, :first]), 0.0, ALPHA, pairs_left=n - first, first=first).false_alarm_rate
            most = printed + 2 * math.sqrt(printed * (1 - printed) / args.draws)
            fails, passes = np.mean(after == -1), np.mean(after == 1)
            caught, taken = walk(d - DROP, first, level)
            holds = "yes" if max(fails, passes) <= most else "NO"
            rates = f"{np.mean(before == -1):.4f} | {fails:.4f} | {passes:.4f} | {printed:.4f} | {holds}"
            print(f"| {n} | {first} | {rates} | {np.mean(caught == -1):.3f} | {np.mean(taken):.1f} |", flush=True)


if __name__ == "__main__":
    main()
