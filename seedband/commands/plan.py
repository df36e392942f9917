"""plan: how many baseline and candidate seeds it takes to see a drop."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from seedband.bands.admission import DEFAULT_ALPHA, level_of, valid_alpha
from seedband.bands.band import Band
from seedband.bands.rules.retest import Retest
from seedband.bands.rules.t import T
from seedband.bands.stats import looks
from seedband.bands.stats.power import POWER, sd_interval, t_detectable_drop
from seedband.errors import Refused, UsageError

#: Sizes of the band that are laid out.
BASELINE_SEEDS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
#: Most candidate seeds that anyone is asked to train for one check.
MOST_UP_FRONT = 64
#: A design is as cheap as its band and so many checks of unchanged candidates.
CHECKS = 10
#: Coverage of the interval of the standard deviation.
INTERVAL_LEVEL = 0.9


@dataclass(frozen=True)
class Noise:
    """What is known of the standard deviation of the seeds.

    Attributes:
        sd: In the metric's unit.
        interval: Where the true one lies with a coverage of 90 %; None where the user vouches for `sd`.
        metric: Name of the metric; None where the user vouches for `sd`.
        n: Seeds of the band that it comes from; 0 where the user vouches for it.
        prior_df: Degrees of freedom that the history of that band is worth.
    """

    sd: float
    interval: tuple[float, float] | None = None
    metric: str | None = None
    n: int = 0
    prior_df: float = 0.0


@dataclass(frozen=True)
class Reach:
    """What some number of baseline seeds sees at one standard deviation.

    Attributes:
        retest_drop: Drop that rule `retest` stops with the power asked for, in the metric's unit.
        retest: Whether that is the drop asked for, or less.
        up_front: Fewest candidate seeds with which one look by rule `t` stops the drop asked for; None when
            MOST_UP_FRONT are too few.
    """

    retest_drop: float
    retest: bool
    up_front: int | None


@dataclass(frozen=True)
class Row:
    """One size of the band.

    Attributes:
        n: Baseline seeds.
        retest_seeds: Candidate seeds that a check by rule `retest` takes on average when nothing changed.
        at_sd: What it sees at the standard deviation as estimated.
        at_high: What it sees at the upper end of the interval; None without an interval.
    """

    n: int
    retest_seeds: float
    at_sd: Reach
    at_high: Reach | None


@dataclass(frozen=True)
class Recommended:
    """The cheapest design that sees the drop at the standard deviation as estimated.

    Attributes:
        n: Baseline seeds.
        rule: How a check judges.
        candidate_seeds: Candidate seeds that a check takes, on average when nothing changed.
        trainings: For the band and CHECKS checks.
        detectable_drop: What it sees with the power asked for, in the metric's unit.
        detectable_drop_at_high: The same at the upper end of the interval; None without an interval.
    """

    n: int
    rule: str
    candidate_seeds: float
    trainings: float
    detectable_drop: float
    detectable_drop_at_high: float | None


@dataclass(frozen=True)
class Plan:
    """What it takes to see a drop.

    Attributes:
        drop: The drop asked for, in the metric's unit.
        power: The probability with which it is to be stopped.
        alpha: The false-alarm rate of a check.
        noise: The scale of it all.
        detectable_drop: What rule `retest` sees with the band as it is; None without a band.
        rows: One per size of the band.
        recommended: The cheapest design; None when nothing that was laid out sees the drop.
    """

    drop: float
    power: float
    alpha: float
    noise: Noise
    detectable_drop: float | None
    rows: tuple[Row, ...]
    recommended: Recommended | None


def plan(
    drop: float,
    *,
    band: Band | None = None,
    sd: float | None = None,
    power: float = POWER,
    alpha: float | None = None,
    metric: str | None = None,
) -> Plan:
    """Lay out which numbers of baseline and candidate seeds see a drop.

    Args:
        drop: How much worse a candidate is, in the metric's unit; the direction is the metric's own.
        band: Where the standard deviation comes from.
        sd: A standard deviation that the user vouches for, instead of a band.
        power: Probability with which a candidate that dropped is to be stopped, .5 to .99.
        alpha: False-alarm rate, .001 to .2; the band's unless said, .05 without a band.
        metric: Of the band; its primary one unless said.

    Returns:
        The plan; with a band its own number of seeds is among the rows, and no smaller one is recommended.

    Raises:
        UsageError: Neither band nor sd or both, a number out of range, an unknown metric.
        Refused: A band without noise: there is no scale to plan by.

    Examples:
        >>> found = plan(0.02, sd=0.009).recommended
        >>> found.n, found.rule, round(found.candidate_seeds, 2), round(found.trainings, 1)
        (10, 'retest', 1.28, 22.8)
    """
    _check_asked(drop, power)
    if band is not None and sd is None:
        noise, own_alpha = _noise_of(band, metric)
    elif sd is not None and band is None:
        noise, own_alpha = _vouched_for(sd, metric), DEFAULT_ALPHA
    else:
        raise UsageError("the noise: give a band or a standard deviation, one of them", hint="--band FILE or --sd X")
    if alpha is not None:
        gates = band.gates if band is not None and noise.metric in band.gates else (noise.metric,)
        own_alpha = level_of(valid_alpha(alpha), gates)
    alpha = own_alpha
    sizes = sorted({*BASELINE_SEEDS, noise.n} - {0})
    rows = tuple(_row(n, drop, noise, alpha, power) for n in sizes)
    designs = [design for row in rows if row.n >= noise.n for design in _designs(row, noise, alpha, power)]
    return Plan(
        drop=drop,
        power=power,
        alpha=alpha,
        noise=noise,
        detectable_drop=next((row.at_sd.retest_drop for row in rows if row.n == noise.n), None),
        rows=rows,
        recommended=min(designs, key=lambda design: (design.trainings, design.n), default=None),
    )


def _check_asked(drop: float, power: float) -> None:
    if not 0 < drop < math.inf:
        raise UsageError(f"drop {drop} is not above 0", hint="a drop is how much worse, in the metric's own unit")
    if not looks.MIN_POWER <= power <= looks.MAX_POWER:
        raise UsageError(
            f"power {power} is outside [{looks.MIN_POWER}, {looks.MAX_POWER}]", hint="it is a probability, such as 0.8"
        )


def _noise_of(band: Band, metric: str | None) -> tuple[Noise, float]:
    """The noise of one metric of a band, and the level at which that metric is judged."""
    name = band.primary if metric is None else metric
    if name not in band.metrics:
        raise UsageError(f"metric {name!r} is not in the band", hint=f"there are {', '.join(band.metrics)}")
    known = band.metrics[name]
    if known.noise_sd == 0:
        raise Refused(
            f"{name}: all {known.n} seeds score the same, so the size of the noise is unknown",
            hint="train more seeds, evaluate on more items, or vouch for a standard deviation with --sd",
        )
    factors = sd_interval(known.n, INTERVAL_LEVEL, known.prior.df)
    seeds_sd = replace(known.baseline, floor=0.0).sd
    interval = (max(known.floor, factors.low * seeds_sd), max(known.floor, factors.high * seeds_sd))
    return Noise(known.noise_sd, interval, name, known.n, known.prior.df), known.alpha


def _vouched_for(sd: float, metric: str | None) -> Noise:
    if not 0 < sd < math.inf:
        raise UsageError(f"sd {sd} is not above 0", hint="give the standard deviation over seeds, in the metric's unit")
    if metric is not None:
        raise UsageError(f"metric {metric!r} without a band", hint="--metric picks one of the metrics of --band")
    return Noise(sd)


def _row(n: int, drop: float, noise: Noise, alpha: float, power: float) -> Row:
    retest = looks.detectable_drop(n, alpha, power, noise.prior_df)
    up_front = [t_detectable_drop(n, k, alpha, power, noise.prior_df) for k in range(1, MOST_UP_FRONT + 1)]
    return Row(
        n,
        looks.design(n, alpha, noise.prior_df).candidate_seeds,
        _reach(drop, noise.sd, retest, up_front),
        None if noise.interval is None else _reach(drop, noise.interval[1], retest, up_front),
    )


def _reach(drop: float, sd: float, retest: float, up_front: Sequence[float]) -> Reach:
    fewest = next((k for k, detectable in enumerate(up_front, 1) if detectable * sd <= drop), None)
    return Reach(retest * sd, retest * sd <= drop, fewest)


def _designs(row: Row, noise: Noise, alpha: float, power: float) -> list[Recommended]:
    """Every design of a row that sees the drop."""
    found = []
    if row.at_sd.retest:
        found.append(_design(row.n, Retest.name, row.retest_seeds, row.at_sd.retest_drop / noise.sd, noise))
    if (k := row.at_sd.up_front) is not None:
        found.append(_design(row.n, T.name, k, t_detectable_drop(row.n, k, alpha, power, noise.prior_df), noise))
    return found


def _design(n: int, rule: str, candidate_seeds: float, drop_sd: float, noise: Noise) -> Recommended:
    at_high = None if noise.interval is None else drop_sd * noise.interval[1]
    return Recommended(n, rule, candidate_seeds, n + CHECKS * candidate_seeds, drop_sd * noise.sd, at_high)
