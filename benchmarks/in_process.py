"""The statistics, timed in this process: what `check` and the reports compute once the scores are read."""

import time
from collections.abc import Callable
from functools import cache

METRICS, GATE_SEEDS = 1000, 32
TASKS, SEEDS, ITEMS = 67, 20, 1000


def milliseconds(what: str) -> float:
    """How long one call takes; the work that it needs, and a first call, lie before."""
    work = prepared(what)
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


@cache
def prepared(what: str) -> Callable[[], object]:
    work = gate() if what == "gate" else decomposition(graded=what == "decompose-graded")
    work()
    return work


def gate() -> Callable[[], object]:
    """`fit_band` and `Band.judge` of 1,000 metrics over 32 seeds."""
    import numpy as np

    import seedband

    draw = np.random.default_rng(0)
    names = [f"metric {i}" for i in range(METRICS)]
    scores = dict(zip(names, draw.normal(0.88, 0.01, (METRICS, GATE_SEEDS)).tolist(), strict=True))
    candidate = dict(zip(names, draw.normal(0.88, 0.01, METRICS).tolist(), strict=True))
    return lambda: seedband.fit_band(scores, primary=names[0]).judge(candidate)


def decomposition(*, graded: bool) -> Callable[[], object]:
    """Variance components, floors and differences of 67 tasks, each of 20 seeds by 1,000 items."""
    import numpy as np

    from seedband.bands.stats.cohorts import seeds_differ
    from seedband.bands.stats.items import components, item_floor, standard_error

    draw = np.random.default_rng(0)
    difficulty, chance = draw.random((TASKS, 1, ITEMS)), draw.random((TASKS, SEEDS, ITEMS))
    tables = np.round((difficulty + chance) / 2, 2) if graded else (chance < difficulty).astype(float)

    def decompose() -> None:
        for table in tables:
            components(table)
            item_floor(table)
            seeds_differ(table)
            standard_error(table.mean(axis=0))

    return decompose
