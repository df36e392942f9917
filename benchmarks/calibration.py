"""How often do the rules stop a recipe that did not change, and one that did? Measured on real seeds, by resampling.

    python benchmarks/calibration.py --data DIR [--draws 100000] [--alpha .05] [--jobs 1]

DIR holds per-seed scores of public experiments, one CSV file a suite with the columns model, task, metric, config, seed
and score: sigtestv_sst2_seeds.csv (castorini/sigtestv, MIT), setfit_fewshot_splits.csv (huggingface/setfit, Apache-2.0)
and tabm_tabular_15seeds.csv (yandex-research/tabm, Apache-2.0). What is not there is left out, and said.

A draw takes n + 3 different healthy seeds of one configuration: n for the baseline, three as candidates in the order
drawn. The candidates are lowered by 0, 1, 2 and 3 standard deviations of the configuration's healthy seeds, and
`seedband.bands.rules.decide` judges them; `retest` is given the next candidate as long as it says suspect. A
suite's figure is the mean over its configurations, with equally many draws each. Every configuration and n has its own
random stream, so nothing depends on --jobs.
"""

import argparse
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from seedband.bands import rules
from seedband.bands.stats.limits import Baseline

SUITES = {
    "BERT, BiRNN, ESIM, SSE": "sigtestv_sst2_seeds.csv",
    "SetFit few-shot": "setfit_fewshot_splits.csv",
    "TabM tabular": "tabm_tabular_15seeds.csv",
}
LOWER_IS_BETTER = ("mae", "mean_absolute_error")
#: Scores of the trivial predictor, where they are known: 444 of the 872 sentences of SST-2-dev are positive.
TRIVIAL = {"SST-2-dev": 444 / 872}
N_SEEDS = (3, 4, 5, 8, 10)
#: Most candidates that a rule is given.
CANDIDATES = 3
#: In standard deviations of the configuration's healthy seeds.
DROPS = (0, 1, 2, 3)
ROOT_SEED = 20261203
AT_ONCE: dict[str, tuple[str, int]] = {
    "`t`, 1 candidate": ("t", 1),
    "`t`, 3 candidates": ("t", 3),
    "`range`, 1 candidate": ("range", 1),
    "`range`, 3 candidates": ("range", 3),
}
RETEST = "**`retest`**, carried through"
PEERS = (
    "mean − 2 sd",
    "one-sided CI of the mean",
    "mean − (max − min)",
    "Bencher t-test, to 0.6.2",
    "Bencher t-test, since 0.6.3",
)
RULES = (RETEST, *AT_ONCE, *PEERS)
SEEDS_USED = "candidate seeds of retest"
NO_SPREAD = "baselines of zero spread"
FIGURES = (*RULES, SEEDS_USED, NO_SPREAD)


class Configuration(NamedTuple):
    """The seeds of one model on one task, scores oriented so that higher is better."""

    suite: str
    name: str
    healthy: np.ndarray
    failed: np.ndarray


class Task(NamedTuple):
    """One configuration, resampled."""

    configuration: Configuration
    n: int
    draws: int
    alpha: float


class Estimate(NamedTuple):
    """A figure of a suite, the error of its resampling, and that between configurations (NaN for one)."""

    value: float
    draws_error: float
    spread_error: float


class Suite(NamedTuple):
    """Mean over the draws and the variance of that mean, shape (configurations, figures, drops)."""

    means: np.ndarray
    variances: np.ndarray

    def estimate(self, figure: str, drop: int = 0) -> Estimate:
        at = (slice(None), FIGURES.index(figure), DROPS.index(drop))
        means, variances = self.means[at], self.variances[at]
        known = ~np.isnan(means)
        means, variances = means[known], variances[known]
        spread = means.std(ddof=1) / len(means) ** 0.5 if len(means) > 1 else np.nan
        return Estimate(float(means.mean()), float(variances.sum() ** 0.5 / len(means)), float(spread))


Results = dict[tuple[str, int], Suite]


def read_suite(folder: Path, suite: str) -> list[Configuration]:
    table = pd.read_csv(folder / SUITES[suite])
    table.loc[table["metric"].isin(LOWER_IS_BETTER), "score"] *= -1
    configurations = []
    for (model, task, metric, config), rows in table.groupby(["model", "task", "metric", "config"]):
        scores = rows.sort_values("seed")["score"].to_numpy()
        failed = scores <= TRIVIAL.get(task, -np.inf)
        name = f"{model} {task} {metric} {config}"
        configurations.append(Configuration(suite, name, scores[~failed], scores[failed]))
    return configurations


def peer_limits(x: np.ndarray, alpha: float) -> dict[str, np.ndarray]:
    """The score below which each of our peers' rules stops a candidate; baselines x of shape (draws, n).

    Bencher (bencherdev/bencher, lib/bencher_boundary: boundary.rs, mean.rs, limits/; boundary 1 - alpha): mean - t sd
    with n - 1 degrees of freedom, up to 0.6.2 with n in the variance's denominator; since 0.6.3 (pull request 797) with
    n - 1 and the factor sqrt(1 + 1/n) of a prediction interval. Without spread it has no limit.
    """
    n = x.shape[1]
    spread, t = np.ptp(x, axis=1), special.stdtrit(n - 1, 1 - alpha)
    # The mean of equal floats may differ from them in the last digit.
    centre = np.where(spread > 0, x.mean(axis=1), x[:, 0])
    sd = np.where(spread > 0, x.std(axis=1, ddof=1), 0.0)
    limits = (
        centre - 2 * sd,
        centre - t * sd / n**0.5,
        centre - spread,
        np.where(spread > 0, centre - t * sd * (1 - 1 / n) ** 0.5, -np.inf),
        np.where(spread > 0, centre - t * sd * (1 + 1 / n) ** 0.5, -np.inf),
    )
    return dict(zip(PEERS, limits, strict=True))


def judge(baseline: Baseline, candidates: list[float], alpha: float) -> list[float]:
    """Whether each of our rules stops the candidates, `retest` first, and the seeds that `retest` took."""
    for looked in range(1, CANDIDATES + 1):
        status = rules.decide(baseline, candidates[:looked], "retest", alpha, own_looks=looked - 1).status
        if status != "suspect":
            break
    at_once = [rules.decide(baseline, candidates[:k], rule, alpha).status == "fail" for rule, k in AT_ONCE.values()]
    return [status == "fail", *at_once, looked]


def resample(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the draws and the variance of that mean, shape (figures, drops); without a scale no power."""
    scores, n = task.configuration.healthy, task.n
    rng = np.random.default_rng([ROOT_SEED, *stream(task.configuration), n])
    drawn = np.array([rng.choice(scores, n + CANDIDATES, replace=False) for _ in range(task.draws)])
    x, fresh = drawn[:, :n], drawn[:, n:]
    baselines = [Baseline(tuple(row)) for row in x.tolist()]
    limits = peer_limits(x, task.alpha)
    constant = scores.min() == scores.max()
    outcomes = np.full((task.draws, len(FIGURES), len(DROPS)), np.nan)
    for column, drop in enumerate(DROPS[:1] if constant else DROPS):
        y = fresh - drop * scores.std(ddof=1)
        pairs = zip(baselines, y.tolist(), strict=True)
        ours = np.array([judge(baseline, row, task.alpha) for baseline, row in pairs])
        peers = [y[:, 0] < limits[name] for name in PEERS]
        outcomes[:, :, column] = np.column_stack([ours[:, :-1], *peers, ours[:, -1], np.ptp(x, axis=1) == 0])
    return outcomes.mean(axis=0), outcomes.var(axis=0, ddof=1) / task.draws


def stream(configuration: Configuration) -> list[int]:
    return [zlib.crc32(part.encode()) for part in (configuration.suite, configuration.name)]


def measure(configurations: Sequence[Configuration], draws: int, alpha: float, jobs: int) -> Results:
    """Every suite at every n for which it has configurations with n + 3 healthy seeds."""
    results = {}
    with ProcessPoolExecutor(jobs) as pool:
        for suite in SUITES:
            for n in N_SEEDS:
                large = [c for c in configurations if c.suite == suite and len(c.healthy) >= n + CANDIDATES]
                tasks = [Task(c, n, -(-draws // len(large)), alpha) for c in large]
                if tasks:
                    print(f"{suite}, n = {n}: {len(tasks)} x {tasks[0].draws} draws", file=sys.stderr, flush=True)
                    means, variances = zip(*pool.map(resample, tasks, chunksize=4), strict=True)
                    results[suite, n] = Suite(np.array(means), np.array(variances))
    return results


def failed_seed_power(c: Configuration, draws: int, alpha: float, drop: float = 4.0, n: int = 4) -> dict[str, Estimate]:
    """Power of `t` against a healthy candidate `drop` sds lower, with failed seeds in the baseline and without."""
    rng = np.random.default_rng([ROOT_SEED, *stream(c)])
    stopped: dict[str, list[bool]] = {}

    def note(what: str, baseline: np.ndarray, candidate: float) -> None:
        lowered = [candidate - drop * c.healthy.std(ddof=1)]
        # A baseline of fewer than two seeds is refused: nothing is stopped.
        stop = len(baseline) > 1 and rules.decide(Baseline(tuple(baseline)), lowered, "t", alpha).status == "fail"
        stopped.setdefault(what, []).append(stop)

    for _ in range(draws):
        candidate, *healthy = rng.permutation(c.healthy).tolist()
        one_failed = np.array([*healthy[: n - 1], rng.choice(c.failed)])
        any_seeds = rng.choice([*healthy, *c.failed], n, replace=False)
        note("exactly one of the four failed, left in", one_failed, candidate)
        note("exactly one of the four failed, screened out (n = 3)", one_failed[:-1], candidate)
        note("any four seeds, failed ones left in", any_seeds, candidate)
        note("any four seeds, failed ones screened out", any_seeds[any_seeds > max(c.failed)], candidate)
        note("four healthy seeds", np.array(healthy[:n]), candidate)
    return {what: Estimate(float(np.mean(s)), float(np.std(s)) / draws**0.5, np.nan) for what, s in stopped.items()}


def shown(estimate: Estimate, digits: int) -> str:
    return f"{estimate.value:.{digits}f} ± {estimate.draws_error:.{digits}f}"


def print_table(title: str, header: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def print_suite(results: Results, suite: str, seeds: int) -> None:
    def rates() -> Iterator[list[str]]:
        for rule in RULES:
            cells = [shown(results[suite, n].estimate(rule), 4) if (suite, n) in results else "–" for n in N_SEEDS]
            yield [rule, *cells]

    def powers() -> Iterator[list[str]]:
        at = results[suite, 4]
        for rule in RULES:
            used = shown(at.estimate(SEEDS_USED), 3) if rule == RETEST else "3" if "3 cand" in rule else "1"
            yield [rule, *(shown(at.estimate(rule, drop), 3) for drop in DROPS[1:]), used]

    print_table(f"### {suite}\nStopped when nothing changed", ["rule", *(f"n = {n}" for n in N_SEEDS)], rates())
    left_out = [str(n) for n in N_SEEDS if (suite, n) not in results]
    if left_out:
        print(
            f"\nn = {', '.join(left_out)} do not exist here: at most {seeds} seeds, "
            f"so that n ends at {seeds - CANDIDATES}."
        )
    print_table(
        "Stopped at n = 4 when the candidate is worse by",
        ["rule", *(f"{drop} sd" for drop in DROPS[1:]), "candidate seeds, nothing changed"],
        powers(),
    )


def retest_rows(results: Results) -> Iterator[list[str]]:
    for (suite, n), at in results.items():
        powers = [shown(at.estimate(RETEST, drop), 3) for drop in DROPS[1:]]
        seeds = [shown(at.estimate(SEEDS_USED, drop), 3) for drop in (0, 2)]
        yield [suite, str(n), *powers, *seeds, f"{at.estimate(NO_SPREAD).value:.4f}"]


def target_rows(results: Results, failed: dict[str, dict[str, Estimate]]) -> Iterator[list[str]]:
    def row(what: str, where: str, e: Estimate, low: float, high: float) -> list[str]:
        inside = "ok" if low <= e.value <= high else "**missed**"
        between = "–" if np.isnan(e.spread_error) else f"{e.spread_error:.4f}"
        return [what, where, f"{e.value:.4f}", f"{e.draws_error:.4f}", between, inside]

    for (suite, n), at in results.items():
        low, high = (0.035, 0.055) if n == 8 else (0.04, 0.06)
        what = f"`retest` stops {low} to {high} when nothing changed"
        yield row(what, f"{suite}, n = {n}", at.estimate(RETEST), low, high)
    for (suite, n), at in results.items():
        what = "at most 1.4 candidate seeds when nothing changed"
        yield row(what, f"{suite}, n = {n}", at.estimate(SEEDS_USED), 1.0, 1.4)
    for (suite, n), at in results.items():
        if n == 4:
            yield row("`retest` stops ≥ .62 at −2 sd", f"{suite}, n = {n}", at.estimate(RETEST, 2), 0.62, 1.0)
    for name, power in failed.items():
        left_in, screened = "exactly one of the four failed, left in", "any four seeds, failed ones screened out"
        yield row("failed seed left in: `t` stops about 0 at −4 sd", name, power[left_in], 0.0, 0.02)
        yield row("failed seeds screened out: ≥ .80", name, power[screened], 0.8, 1.0)


def print_footnotes(results: Results, draws: int) -> None:
    worst = max(at.estimate(RETEST).spread_error for at in results.values())
    print(f"""
± is the Monte-Carlo error (one standard error) of the resampling, about {draws} draws a suite and n. It does not
contain that the seeds on record are themselves a sample: the draws of one configuration share its few seeds, and a
suite's configurations share models and tasks. The standard deviation over configurations, divided by the square root of
their number, holds the first of these (column "between configurations", for `retest` when nothing changed at most
{worst:.4f}) and not the second. The sd of a drop is that of the configuration's seeds on record, the drawn ones among
them. Suspects for want of a scale (zero-spread baselines) count as not stopped where a rule is given no more seeds.
A configuration whose scores are all equal has no sd: it would stay in the rates when nothing changed and be left out of
the powers.""")


def print_seeds(configurations: Sequence[Configuration]) -> None:
    def rows() -> Iterator[list[str]]:
        for suite in SUITES:
            mine = [c for c in configurations if c.suite == suite and len(c.healthy) >= min(N_SEEDS) + CANDIDATES]
            if mine:
                sizes = sorted({len(c.healthy) for c in mine})
                constant = sum(c.healthy.min() == c.healthy.max() for c in mine)
                size = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
                failed = str(sum(len(c.failed) for c in mine)) if any(len(c.failed) for c in mine) else "not screened"
                yield [suite, str(len(mine)), size, failed, str(constant)]

    header = ["suite", "configurations", "healthy seeds each", "failed seeds", "of equal scores throughout"]
    print_table("### Seeds", header, rows())


def print_failed(failed: dict[str, dict[str, Estimate]]) -> None:
    if failed:
        rows = ([what, *(shown(power[what], 3) for power in failed.values())] for what in next(iter(failed.values())))
        header = ["baseline of the `t` rule, n = 4", *failed]
        print_table("### Failed seeds: a healthy candidate, 4 healthy sds lower, is stopped", header, rows)
        print("\nA candidate that itself fails to train is a fail; that comes on top of every rate above.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the CSV files")
    parser.add_argument("--draws", type=int, default=100_000, help="for each suite and n, over its configurations")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    configurations: list[Configuration] = []
    for suite, file in SUITES.items():
        if (args.data / file).is_file():
            configurations += read_suite(args.data, suite)
        else:
            print(f"{suite} left out: no {file}")
    if not configurations:
        raise SystemExit("nothing to measure")
    results = measure(configurations, args.draws, args.alpha, args.jobs)
    failed = {c.name: failed_seed_power(c, args.draws // 4, args.alpha) for c in configurations if len(c.failed)}
    print_seeds(configurations)
    for suite in dict.fromkeys(suite for suite, _ in results):
        print_suite(results, suite, max(len(c.healthy) for c in configurations if c.suite == suite))
    print_table(
        "### `retest` at every n",
        ["suite", "n", "−1 sd", "−2 sd", "−3 sd", "seeds, nothing changed", "seeds at −2 sd", NO_SPREAD],
        retest_rows(results),
    )
    print_failed(failed)
    header = ["target", "where", "measured", "Monte-Carlo error", "between configurations", ""]
    print_table("### Against targets", header, target_rows(results, failed))
    print_footnotes(results, args.draws)
    options = f"--draws {args.draws} --alpha {args.alpha} --jobs {args.jobs}"
    print(f"\nMade by `python benchmarks/calibration.py --data DIR {options}` in {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
