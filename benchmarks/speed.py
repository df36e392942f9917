"""How long do the statistics take? The best of several repeats, so that what else the machine does counts least.

    OMP_NUM_THREADS=1 python benchmarks/speed.py [--repeats 7]

- gate: `fit_band` and `Band.judge` of 1,000 metrics over 32 seeds, less than 50 ms;
- decomposition: `components`, `item_floor`, `seeds_differ` and `standard_error` of 67 tasks, each of 20 seeds by 1,000
  items scored 0 or 1, or graded to two decimals, less than 0.5 s.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

import seedband
from seedband.stats.cohorts import seeds_differ
from seedband.stats.items import components, item_floor, standard_error

METRICS, GATE_SEEDS = 1000, 32
TASKS, SEEDS, ITEMS = 67, 20, 1000


def gate(draw: np.random.Generator) -> Callable[[], object]:
    names = [f"metric {i}" for i in range(METRICS)]
    scores = dict(zip(names, draw.normal(0.88, 0.01, (METRICS, GATE_SEEDS)).tolist(), strict=True))
    candidate = dict(zip(names, draw.normal(0.88, 0.01, METRICS).tolist(), strict=True))
    return lambda: seedband.fit_band(scores, primary=names[0]).judge(candidate)


def decomposition(tables: np.ndarray) -> Callable[[], object]:
    def decompose() -> None:
        for table in tables:
            components(table)
            item_floor(table)
            seeds_differ(table)
            standard_error(table.mean(axis=0))

    return decompose


def least_seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = max(5, parser.parse_args().repeats)
    draw = np.random.default_rng(0)
    difficulty = draw.random((TASKS, 1, ITEMS))
    right = (draw.random((TASKS, SEEDS, ITEMS)) < difficulty).astype(float)
    grades = np.round((difficulty + draw.random((TASKS, SEEDS, ITEMS))) / 2, 2)
    rows = (
        (f"fit and judge {METRICS:,} metrics x {GATE_SEEDS} seeds", 0.05, gate(draw)),
        (f"decompose {TASKS} tasks x {SEEDS} seeds x {ITEMS:,} items, 0/1", 0.5, decomposition(right)),
        (f"decompose {TASKS} tasks x {SEEDS} seeds x {ITEMS:,} items, graded", 0.5, decomposition(grades)),
    )
    print(f"| best of {repeats} | ms | target, ms |\n|---|---|---|")
    for name, target, work in rows:
        print(f"| {name} | {1000 * least_seconds(work, repeats):.1f} | {1000 * target:.0f} |", flush=True)


if __name__ == "__main__":
    main()
