"""Make seedband/stats/looks.json: level, false-alarm rate and power of the `retest` rule, by simulation.

    python scripts/make_looks_table.py [--draws 1000000] [--jobs 2] [--out seedband/stats/looks.json] [--add]

The rule (docs/explanation/statistics.md) has no closed form: a rank screen, then pooled t tests that share
their baseline. For Normal scores and every n in 2..64 this draws n baseline seeds and the candidates, and finds
- level: the nominal level L of look 3, at most 2 alpha, that gives the whole procedure the rate alpha;
- far:   the rate really attained (below alpha only where the cap binds);
- drop:  the drop in seed standard deviations that the procedure fails with 80 % power;
- drops: the same at each power in POWERS;
- seeds: candidate seeds spent on average when nothing changed;
- upfront: the rate when k = 2..10 candidates were trained before the first look.
For n in 2..16 all but the last once more beside a history: a prior variance from independent sweeps, worth
PRIOR_DFS degrees of freedom, that every pooled t takes in.
Every n has its own random stream, so the table does not depend on the number of jobs; --add keeps the columns that
the file has and makes those that it lacks.
"""

import argparse
import json
import math
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

ALPHAS = [0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2]
N_SEEDS = range(2, 65)
UPFRONT = range(2, 11)
PASS_AT_LOOK_2 = 0.2
LOOKS = 3
POWER = 0.8
POWERS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
PRIOR_DFS = [1, 2, 4, 8, 16, 32, 64]
N_SEEDS_WITH_PRIOR = range(2, 17)
ROOT_SEED = 20261122


class Draws(NamedTuple):
    """Sufficient statistics of simulated baselines, and standard Normal candidates, one row a draw."""

    n: int
    centre: np.ndarray
    sum_squares: np.ndarray
    screen: np.ndarray
    candidates: np.ndarray
    prior_df: float = 0

    def df(self, k: int) -> float:
        """Degrees of freedom of the pooled t of k candidates."""
        return self.n + k - 2 + self.prior_df


class Outcome(NamedTuple):
    """Masks over draws: failed before look 3, and those that reach it with their t statistic there."""

    suspect_1: np.ndarray
    failed_early: np.ndarray
    reach_3: np.ndarray
    collapsed_3: np.ndarray
    t_3: np.ndarray


def draw(n: int, draws: int) -> Draws:
    rng = np.random.default_rng([ROOT_SEED, n])
    rank = max(1, (n + 1) // 5)
    parts = []
    for start in range(0, draws, 100_000):
        baseline = rng.standard_normal((min(100_000, draws - start), n))
        screen = np.partition(baseline, rank - 1, axis=1)[:, rank - 1]
        centre = baseline.mean(axis=1)
        parts.append((centre, ((baseline - centre[:, None]) ** 2).sum(axis=1), screen))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Draws(n, columns[0], columns[1], columns[2], rng.standard_normal((max(UPFRONT), draws)))


def with_history(d: Draws, prior_df: int) -> Draws:
    """The same draws beside a prior variance s0^2, independent of them: prior_df * s0^2 is chi-square."""
    rng = np.random.default_rng([ROOT_SEED, d.n, prior_df])
    prior = rng.chisquare(prior_df, len(d.centre))
    return d._replace(sum_squares=d.sum_squares + prior, prior_df=prior_df)


def difference(d: Draws, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of k candidates, shape (k, draws), less the baseline's, and its standard error."""
    k = len(y)
    centre = y.mean(axis=0)
    pooled = (d.sum_squares + ((y - centre) ** 2).sum(axis=0)) / d.df(k)
    return centre - d.centre, np.sqrt(pooled * (1 / d.n + 1 / k))


def pooled_t(d: Draws, y: np.ndarray) -> np.ndarray:
    """t statistic of k candidates, shape (k, draws), against the baseline."""
    shift, error = difference(d, y)
    return shift / error


def procedure(d: Draws, alpha: float, drop: float) -> Outcome:
    y = d.candidates[:3] - drop
    collapse = special.stdtrit(d.df(1), alpha / 10)
    singles = [pooled_t(d, y[j : j + 1]) <= collapse for j in range(3)]
    below = y[0] < d.screen
    t_2, t_3 = pooled_t(d, y[:2]), pooled_t(d, y)
    suspect_1 = below & ~singles[0]
    fail_2 = suspect_1 & ((t_2 <= special.stdtrit(d.df(2), alpha / 10)) | singles[1])
    reach_3 = suspect_1 & ~fail_2 & (t_2 < special.stdtrit(d.df(2), PASS_AT_LOOK_2))
    return Outcome(suspect_1, singles[0] | fail_2, reach_3, singles[2], t_3)


def failure_rate(d: Draws, alpha: float, level: float, drop: float) -> float:
    o = procedure(d, alpha, drop)
    late = o.reach_3 & (o.collapsed_3 | (o.t_3 <= special.stdtrit(d.df(3), level)))
    return float(np.mean(o.failed_early | late))


def failing_drop(d: Draws, alpha: float, level: float) -> np.ndarray:
    """The drop from which on each draw fails: every condition of the rule, once met, stays met for larger drops.

    So the procedure's power against a drop is the share of draws whose threshold it reaches, and the detectable
    drop at any power is a quantile of the thresholds.
    """

    def reaches(y: np.ndarray, p: float) -> np.ndarray:
        shift, error = difference(d, y)
        return shift - special.stdtrit(d.df(len(y)), p) * error

    z = d.candidates[:3]
    collapse = [reaches(z[j : j + 1], alpha / 10) for j in range(3)]
    below = z[0] - d.screen
    fail_2 = np.minimum(collapse[1], reaches(z[:2], alpha / 10))
    fail_3 = np.maximum(reaches(z[:2], PASS_AT_LOOK_2), np.minimum(collapse[2], reaches(z, level)))
    return np.minimum(collapse[0], np.maximum(below, np.minimum(fail_2, fail_3)))


def look_3_level(d: Draws, alpha: float) -> float:
    """The level of look 3 that brings the whole procedure to alpha, at most 2 alpha."""
    o = procedure(d, alpha, 0.0)
    spent = np.mean(o.failed_early | (o.reach_3 & o.collapsed_3))
    open_t = np.sort(o.t_3[o.reach_3 & ~o.collapsed_3])
    left = int((alpha - spent) * len(d.centre))
    if left >= len(open_t):
        return 2 * alpha
    return min(2 * alpha, float(special.stdtr(d.df(3), open_t[max(left, 0)])))


def upfront_rates(d: Draws, alpha: float, level: float) -> list[float]:
    """Rate at which k candidates that were trained before any look are failed in the end."""
    o = procedure(d, alpha, 0.0)
    carried = o.failed_early | (o.reach_3 & (o.collapsed_3 | (o.t_3 <= special.stdtrit(d.df(3), level))))
    collapse = special.stdtrit(d.df(1), alpha / 10)
    collapsed = np.zeros(len(d.centre), dtype=bool)
    rates = []
    for k in range(1, max(UPFRONT) + 1):
        collapsed |= pooled_t(d, d.candidates[k - 1 : k]) <= collapse
        if k not in UPFRONT:
            continue
        one_look_level = min(alpha, level) if k == LOOKS else alpha
        one_look = collapsed | (pooled_t(d, d.candidates[:k]) <= special.stdtrit(d.df(k), one_look_level))
        sequential = {2: o.suspect_1, 3: o.reach_3}.get(k, np.zeros_like(collapsed))
        rates.append(float(np.mean(np.where(sequential | (o.failed_early & (k <= 3)), carried | collapsed, one_look))))
    return rates


def drops(d: Draws, alpha: float, level: float) -> list[float]:
    return [round(float(drop), 4) for drop in np.quantile(failing_drop(d, alpha, level), POWERS)]


def main_columns(d: Draws) -> dict[str, list]:
    columns: dict[str, list] = {"level": [], "far": [], "drop": [], "seeds": [], "upfront": []}
    for alpha in ALPHAS:
        level = look_3_level(d, alpha)
        o = procedure(d, alpha, 0.0)
        drop = optimize.brentq(lambda x, a=alpha, v=level: failure_rate(d, a, v, x) - POWER, 0.0, 400.0, xtol=1e-3)
        columns["level"].append(round(level, 6))
        columns["far"].append(round(failure_rate(d, alpha, level, 0.0), 6))
        columns["drop"].append(round(float(drop), 4))
        columns["seeds"].append(round(1 + float(np.mean(o.suspect_1) + np.mean(o.reach_3)), 4))
        columns["upfront"].append([round(rate, 6) for rate in upfront_rates(d, alpha, level)])
    return columns


def prior_columns(d: Draws) -> dict[str, list]:
    columns: dict[str, list] = {"level": [], "far": [], "drop": [], "seeds": [], "drops": []}
    for alpha in ALPHAS:
        level = look_3_level(d, alpha)
        o = procedure(d, alpha, 0.0)
        columns["level"].append(round(level, 6))
        columns["far"].append(round(failure_rate(d, alpha, level, 0.0), 6))
        columns["seeds"].append(round(1 + float(np.mean(o.suspect_1) + np.mean(o.reach_3)), 4))
        columns["drops"].append(drops(d, alpha, level))
        columns["drop"].append(columns["drops"][-1][POWERS.index(POWER)])
    return columns


def row(n: int, draws: int, known: dict) -> tuple[dict[str, list], dict[str, dict]]:
    """Columns of n, and those beside a history by its degrees of freedom; what is known stays as it is."""
    d = draw(n, draws)
    columns = known["n"].get(str(n)) or main_columns(d)
    if "drops" not in columns:
        columns["drops"] = [drops(d, a, level) for a, level in zip(ALPHAS, columns["level"], strict=True)]
        # The root search stops within .001: one number for 80 % power, not two.
        for at_powers, drop in zip(columns["drops"], columns["drop"], strict=True):
            at_powers[POWERS.index(POWER)] = drop
    prior_dfs = PRIOR_DFS if n in N_SEEDS_WITH_PRIOR else []
    known_prior = known["prior"]["n"].get(str(n), {})
    prior = {str(df): known_prior.get(str(df)) or prior_columns(with_history(d, df)) for df in prior_dfs}
    print(f"n={n}: L(.05)={columns['level'][7]:.4f} drop={columns['drop'][7]:.3f}", flush=True)
    return columns, prior


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("seedband/stats/looks.json"))
    parser.add_argument("--add", action="store_true")
    args = parser.parse_args()
    known = {"n": {}, "prior": {"n": {}}} | (json.loads(args.out.read_text(encoding="utf-8")) if args.add else {})
    with ProcessPoolExecutor(args.jobs) as pool:
        rows = list(pool.map(partial(row, draws=args.draws, known=known), N_SEEDS))
    table = {
        "made_by": f"scripts/make_looks_table.py --draws {args.draws}",
        "draws": args.draws,
        "far_standard_error": [round(math.sqrt(a * (1 - a) / args.draws), 7) for a in ALPHAS],
        "power": POWER,
        "powers": POWERS,
        "power_standard_error": [round(math.sqrt(p * (1 - p) / args.draws), 7) for p in POWERS],
        "alphas": ALPHAS,
        "upfront_candidates": list(UPFRONT),
        "n": {str(n): columns for n, (columns, _) in zip(N_SEEDS, rows, strict=True)},
        "prior": {
            "prior_dfs": PRIOR_DFS,
            "n": {str(n): prior for n, (_, prior) in zip(N_SEEDS, rows, strict=True) if prior},
        },
    }
    lines = json.dumps(table).replace('"n": {', '"n": {\n').replace("}, ", "},\n")
    args.out.write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
