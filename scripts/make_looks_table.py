"""Make seedband/bands/stats/looks.json: levels, false-alarm rates, power of the rules `retest` and `t`, simulated.

    python scripts/make_looks_table.py [--draws 1000000] [--jobs 2] [--out FILE] [--parts FOLDER]

The rules (docs/explanation/statistics.md) have no closed form: a rank screen, then pooled t tests that share their
baseline, beside a test of every single candidate. For Normal scores and every n in 2..64 this draws n baseline seeds
and the candidates, and finds for candidates looked at one by one
- level: the nominal level L of look 3, at most 2 alpha, that gives the whole procedure the rate alpha;
- far:   the rate really attained (below alpha only where the cap binds);
- drop:  the drop in seed standard deviations that the procedure fails with 80 % power;
- drops: the same at each power in POWERS;
- seeds: candidate seeds spent on average when nothing changed;
and for k candidates given together, k in TOGETHER,
- up_level: the nominal level L_up of the one look at them that gives it, with the test of each single one, the rate
  alpha (so that rate needs no column of its own);
- up_drop:  the drop that this look fails with 80 % power;
- t_far:    the rate of rule `t`: level alpha, and the test of each single one.
For n in 2..16 the first five once more beside a history: a prior variance from independent sweeps, worth PRIOR_DFS
degrees of freedom, that every pooled t takes in; up_level and t_far there as the smallest and the largest over all of
those and no history, which makes them bounds.

p_k is the smallest over all thresholds c of the pooled p of max(y, c), as `Baseline.p_value` has it. Every n has its
own random stream, so the table does not depend on the number of jobs. With --parts every finished n stays in that
folder, and the same command goes on from there.
"""

import argparse
import json
import math
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

ALPHAS = [0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2]
N_SEEDS = range(2, 65)
TOGETHER = range(2, 11)
PASS_AT_LOOK_2 = 0.2
COLLAPSE_SHARE = 0.1
POWER = 0.8
POWERS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
#: So many draws are enough for a power beside a history or of candidates given together; its error is told.
POWER_DRAWS = 200_000
PRIOR_DFS = [1, 2, 4, 8, 16, 32, 64]
N_SEEDS_WITH_PRIOR = range(2, 17)
ROOT_SEED = 20261201
AT_ONCE = 50_000


class Draws:
    """Simulated baselines of n seeds by what the rules need of them, and standard Normal candidates.

    Attributes:
        n: Baseline seeds.
        squares: Sum of squared deviations, those that a history stands for included, shape (draws,).
        screen: Score below which a first candidate is suspect, less the baseline's mean.
        candidates: Scores less the baseline's mean, shape (most candidates, draws).
        prior_df: Degrees of freedom of the history.
    """

    def __init__(
        self, n: int, squares: np.ndarray, screen: np.ndarray, candidates: np.ndarray, prior_df: float = 0
    ) -> None:
        self.n, self.squares, self.screen, self.candidates, self.prior_df = n, squares, screen, candidates, prior_df

    def df(self, k: int) -> float:
        """Degrees of freedom of the pooled t of k candidates."""
        return self.n + k - 2 + self.prior_df

    def scale(self, k: int) -> float:
        """What the root of the pooled squares is multiplied by to give the standard error of the difference."""
        return math.sqrt((1 / self.n + 1 / k) / self.df(k))

    def critical(self, k: int, p: float) -> float:
        """The t of k candidates at a one-sided p."""
        return float(special.stdtrit(self.df(k), p))

    @cached_property
    def errors(self) -> np.ndarray:
        """Standard error of a single candidate's difference."""
        return np.sqrt(self.squares) * self.scale(1)

    @cached_property
    def t_2(self) -> np.ndarray:
        return smallest_t(self, 2)

    @cached_property
    def t_3(self) -> np.ndarray:
        return smallest_t(self, 3)

    def first(self, draws: int) -> "Draws":
        """Some of the draws."""
        kept = slice(draws)
        return Draws(self.n, self.squares[kept], self.screen[kept], self.candidates[:, kept], self.prior_df)


def draw(n: int, draws: int, candidates: int = max(TOGETHER)) -> Draws:
    """Baselines and candidates; draws of fewer candidates are the first ones of the same."""
    rng = np.random.default_rng([ROOT_SEED, n])
    rank = max(1, (n + 1) // 5)
    squares, screen, scores = np.empty(draws), np.empty(draws), np.empty((candidates, draws))
    for start in range(0, draws, AT_ONCE):
        at = slice(start, min(start + AT_ONCE, draws))
        baseline = rng.standard_normal((at.stop - start, n))
        centre = baseline.mean(axis=1)
        screen[at] = np.partition(baseline, rank - 1, axis=1)[:, rank - 1] - centre
        squares[at] = ((baseline - centre[:, None]) ** 2).sum(axis=1)
        scores[:, at] = rng.standard_normal((max(TOGETHER), at.stop - start))[:candidates] - centre
    return Draws(n, squares, screen, scores)


def with_history(d: Draws, prior_df: float) -> Draws:
    """The same draws beside a prior variance s0^2, independent of them: prior_df * s0^2 is chi-square."""
    rng = np.random.default_rng([ROOT_SEED, d.n, int(prior_df)])
    return Draws(d.n, d.squares + rng.chisquare(prior_df, len(d.squares)), d.screen, d.candidates, prior_df)


def smallest_t(d: Draws, k: int) -> np.ndarray:
    """The t of the first k candidates as max(y, c), at the c that makes it smallest; see `Baseline.p_value`."""
    parts = range(0, len(d.squares), AT_ONCE)
    return np.concatenate(
        [_smallest_t(d, k, d.squares[at : at + AT_ONCE], d.candidates[:k, at : at + AT_ONCE]) for at in parts]
    )


def _smallest_t(d: Draws, k: int, squares: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    u = np.sort(candidates, axis=0)
    total, sum_squares = u.sum(axis=0), squares + (u * u).sum(axis=0)
    mean = total / k
    t = mean / np.sqrt(np.maximum(sum_squares - k * mean**2, 0.0))
    rising = sum_squares - total * u[0] < 0
    at = np.flatnonzero(rising)
    u, total, sum_squares = u[:, at], total[at], sum_squares[at]
    best = np.empty(len(at))
    still = np.ones(len(at), dtype=bool)
    for raised in range(1, k):
        total, sum_squares = total - u[raised - 1], sum_squares - u[raised - 1] ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            c = sum_squares / total
            here = still & (sum_squares - total * u[raised] >= 0)
            mean = (raised * c + total) / k
            value = mean / np.sqrt(sum_squares + raised * c * c - k * mean**2)
        best[here] = value[here]
        still &= ~here
    t[at] = best
    return t / d.scale(k)


def reach(d: Draws, k: int, p: float) -> np.ndarray:
    """The drop from which on p_k is at most p < .5.

    A threshold c that moves with the candidates leaves their spread as it is: the drop is the smallest over c of
    mean(max(y, c)) - critical t * standard error, convex in c between two candidates.
    """
    tau = -d.critical(k, p) * d.scale(k)
    u = np.sort(d.candidates[:k], axis=0)
    total, squares = u.sum(axis=0), (u * u).sum(axis=0)
    best = total / k + tau * np.sqrt(d.squares + np.maximum(squares - total**2 / k, 0.0))
    for raised in range(1, k):
        left = k - raised
        total, squares = total - u[raised - 1], squares - u[raised - 1] ** 2
        centre = total / left
        own = d.squares + np.maximum(squares - total * centre, 0.0)
        slope = left**2 * tau**2 - raised * left / k
        if slope <= 0:
            continue
        # Raised ones lie x below the mean of the others; x is kept between the next two candidates.
        x = np.clip(np.sqrt(own / slope), centre - u[raised], centre - u[raised - 1])
        best = np.minimum(best, centre - x * (raised / k) + tau * np.sqrt(own + (raised * left / k) * x * x))
    return best


class Thresholds:
    """The drop from which on each condition of the procedure is met; once met, it stays met for larger drops."""

    def __init__(self, d: Draws, alpha: float, pass_2: np.ndarray | None = None) -> None:
        collapse = -d.critical(1, alpha * COLLAPSE_SHARE) * d.errors
        self.collapse = [d.candidates[j] + collapse for j in range(3)]
        self.below = d.candidates[0] - d.screen
        self.fail_2 = np.minimum(self.collapse[1], reach(d, 2, alpha * COLLAPSE_SHARE))
        self.goes_on_2 = reach(d, 2, PASS_AT_LOOK_2) if pass_2 is None else pass_2

    def failing_drop(self, d: Draws, level: float) -> np.ndarray:
        """The drop from which on each draw fails: the procedure's power against a drop is the share below it."""
        fail_3 = np.maximum(self.goes_on_2, np.minimum(self.collapse[2], reach(d, 3, level)))
        return np.minimum(self.collapse[0], np.maximum(self.below, np.minimum(self.fail_2, fail_3)))


def failing_drop(d: Draws, alpha: float, level: float) -> np.ndarray:
    return Thresholds(d, alpha).failing_drop(d, level)


def failure_rate(d: Draws, alpha: float, level: float, drop: float) -> float:
    """Share of candidates, `drop` lower, that the procedure fails in the end."""
    return float(np.mean(failing_drop(d, alpha, level) <= drop))


def one_by_one(d: Draws) -> dict[str, list]:
    """Columns of candidates that are looked at one by one."""
    columns: dict[str, list] = {"level": [], "far": [], "drop": [], "seeds": [], "drops": []}
    below = d.candidates[0] < d.screen
    t_2, t_3, some = d.t_2, d.t_3, d.first(POWER_DRAWS) if d.prior_df else d
    goes_on, on_2 = t_2 < d.critical(2, PASS_AT_LOOK_2), reach(some, 2, PASS_AT_LOOK_2)
    for alpha in ALPHAS:
        limit = d.critical(1, alpha * COLLAPSE_SHARE) * d.errors
        collapsed = [d.candidates[j] <= limit for j in range(3)]
        suspect_1 = below & ~collapsed[0]
        fail_2 = suspect_1 & (collapsed[1] | (t_2 <= d.critical(2, alpha * COLLAPSE_SHARE)))
        reach_3 = suspect_1 & ~fail_2 & goes_on
        failed = int(np.count_nonzero(collapsed[0] | fail_2 | (reach_3 & collapsed[2])))
        t = within(d, 3, t_3[reach_3 & ~collapsed[2]], int(alpha * len(below)) - failed)
        level = min(2 * alpha, t)
        late = reach_3 & ~collapsed[2] & (t_3 <= d.critical(3, level))
        columns["level"].append(rounded(level))
        columns["far"].append(round((failed + int(np.count_nonzero(late))) / len(below), 6))
        columns["seeds"].append(round(1 + float(np.mean(suspect_1) + np.mean(reach_3)), 4))
        thresholds = Thresholds(some, alpha, on_2).failing_drop(some, level)
        columns["drops"].append([round(float(drop), 4) for drop in np.quantile(thresholds, POWERS)])
        columns["drop"].append(columns["drops"][-1][POWERS.index(POWER)])
    return columns


def within(d: Draws, k: int, t: np.ndarray, left: int) -> float:
    """The level that so many of the t statistics are within; 1 where there are no more than those."""
    if left >= len(t):
        return 1.0
    return float(special.stdtr(d.df(k), np.partition(t, max(left - 1, 0))[max(left - 1, 0)]))


def together(d: Draws, *, drops: bool) -> dict[str, list]:
    """Columns of k candidates given together."""
    columns: dict[str, list] = {"up_level": [[] for _ in ALPHAS], "t_far": [[] for _ in ALPHAS]}
    if drops:
        columns["up_drop"] = [[] for _ in ALPHAS]
    some = d.first(POWER_DRAWS)
    lowest = d.candidates[0]
    for k in TOGETHER:
        lowest = np.minimum(lowest, d.candidates[k - 1])
        t, single = smallest_t(d, k), lowest / d.errors
        for at, alpha in enumerate(ALPHAS):
            collapsed = single <= d.critical(1, alpha * COLLAPSE_SHARE)
            spent, open_t = int(np.count_nonzero(collapsed)), t[~collapsed]
            level = within(d, k, open_t, int(alpha * len(t)) - spent)
            columns["up_level"][at].append(rounded(level))
            rate = (spent + int(np.count_nonzero(open_t <= d.critical(k, alpha)))) / len(t)
            columns["t_far"][at].append(rounded(rate))
            if drops:
                alone = some.candidates[:k].min(axis=0) - d.critical(1, alpha * COLLAPSE_SHARE) * some.errors
                threshold = np.minimum(alone, reach(some, k, level))
                columns["up_drop"][at].append(round(float(np.quantile(threshold, POWER)), 3))
    return columns


def rounded(value: float) -> float:
    """Four significant digits, more than the draws give."""
    return float(f"{value:.4g}")


def row(n: int, draws: int, parts: Path | None) -> dict[str, Any]:
    """Everything for n, from the folder of parts where it lies there."""
    place = None if parts is None else parts / f"{n}.json"
    if place is not None and place.exists():
        return dict(json.loads(place.read_text(encoding="utf-8")))
    d = draw(n, draws)
    made: dict[str, Any] = {"columns": one_by_one(d) | together(d, drops=True), "prior": {}, "bounds": {}}
    if n in N_SEEDS_WITH_PRIOR:
        lists = [{name: made["columns"][name] for name in ("up_level", "t_far")}]
        for df in PRIOR_DFS:
            beside = with_history(d, df)
            made["prior"][str(df)] = one_by_one(beside)
            lists.append(together(beside, drops=False))
        made["bounds"] = {
            "up_level": np.min([columns["up_level"] for columns in lists], axis=0).tolist(),
            "t_far": np.max([columns["t_far"] for columns in lists], axis=0).tolist(),
        }
    columns = made["columns"]
    at = ALPHAS.index(0.05)
    print(f"n={n}: L={columns['level'][at]:.4f} L_up={columns['up_level'][at]} t={columns['t_far'][at]}", flush=True)
    if place is not None:
        place.write_text(json.dumps(made), encoding="utf-8")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("seedband/bands/stats/looks.json"))
    parser.add_argument("--parts", type=Path, help="folder that keeps every n once it is made")
    args = parser.parse_args()
    if args.parts is not None:
        args.parts.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(args.jobs) as pool:
        rows = dict(zip(N_SEEDS, pool.map(partial(row, draws=args.draws, parts=args.parts), N_SEEDS), strict=True))
    power_draws = min(args.draws, POWER_DRAWS)
    table = {
        "made_by": f"scripts/make_looks_table.py --draws {args.draws}",
        "draws": args.draws,
        "far_standard_error": [rounded(math.sqrt(a * (1 - a) / args.draws)) for a in ALPHAS],
        "power": POWER,
        "powers": POWERS,
        "power_draws": power_draws,
        "power_standard_error": [rounded(math.sqrt(p * (1 - p) / power_draws)) for p in POWERS],
        "alphas": ALPHAS,
        "together": list(TOGETHER),
        "n": {str(n): made["columns"] for n, made in rows.items()},
        "prior": {
            "prior_dfs": PRIOR_DFS,
            "n": {str(n): made["prior"] for n, made in rows.items() if made["prior"]},
            "bounds": {str(n): made["bounds"] for n, made in rows.items() if made["bounds"]},
        },
    }
    lines = json.dumps(table).replace('"n": {', '"n": {\n').replace("}, ", "},\n")
    args.out.write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
