"""MetricBand: the noise band of one metric, and what a rule says of candidates in its own unit and direction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from seedband.bands.admission import DEFAULT_ALPHA
from seedband.bands.stats import limits, looks, rules
from seedband.bands.stats.failed import Rate, failure_rate
from seedband.bands.stats.limits import Baseline
from seedband.bands.stats.paired import decide_paired
from seedband.bands.stats.rules import Decision, Rule
from seedband.bands.stats.variance import NO_PRIOR, Prior
from seedband.bands.verdict import MetricVerdict


@dataclass(frozen=True)
class MetricBand:
    """The noise band of one metric.

    Attributes:
        name: Name of the metric.
        scores: One score per healthy baseline seed, in the metric's unit.
        seeds: The root seeds of `scores`, in the same order.
        failed_seeds: Root seeds that failed to train; they are no part of `scores`.
        higher_is_better: Direction of the metric.
        floor: Smallest standard deviation that the items allow, in score units; 0 without items.
        resolution: Smallest step of the score: 1/m for m items scored 0 or 1, else 0.
        prior: What the history of earlier bands says about the variance.
        alpha: Level at which candidates are judged.
        unit: Unit of the scores, for people.
    """

    name: str
    scores: tuple[float, ...]
    seeds: tuple[int, ...]
    failed_seeds: tuple[int, ...] = ()
    higher_is_better: bool = True
    floor: float = 0.0
    resolution: float = 0.0
    prior: Prior = NO_PRIOR
    alpha: float = DEFAULT_ALPHA
    unit: str = ""

    @property
    def sign(self) -> int:
        """+1 where higher is better, else -1: multiplies a score into the gate's orientation."""
        return 1 if self.higher_is_better else -1

    @cached_property
    def oriented(self) -> tuple[float, ...]:
        """The scores so that higher is better."""
        return self.scores if self.higher_is_better else tuple(-score for score in self.scores)

    @property
    def n(self) -> int:
        """Healthy baseline seeds."""
        return len(self.scores)

    @cached_property
    def mean(self) -> float:
        """Mean of the scores."""
        return limits.mean(self.scores)

    @property
    def median(self) -> float:
        """Median of the scores; for even n it is no run's score."""
        return limits.plain_median(self.scores)

    @property
    def median_seed(self) -> int:
        """Root seed of the median run: for even n the worse of the two middle ones."""
        target = limits.lower_median(self.oriented)
        return self.seeds[self.oriented.index(target)]

    @cached_property
    def sd(self) -> float:
        """Standard deviation of the scores, n - 1 in the denominator."""
        return limits.sample_sd(self.scores)

    @property
    def noise_sd(self) -> float:
        """The standard deviation that limits are made of: moderated by history, never below the floor."""
        return self.baseline.sd

    @property
    def spread(self) -> float:
        """Largest minus smallest score."""
        return max(self.scores) - min(self.scores)

    @cached_property
    def baseline(self) -> Baseline:
        """What the rules judge by."""
        return Baseline(self.oriented, self.floor, self.prior)

    @property
    def lower(self) -> float:
        """Lower edge of the band; where higher is better, a first candidate below it is suspect."""
        return rules.screen(self.baseline) if self.higher_is_better else self._mirrored

    @property
    def upper(self) -> float:
        """Upper edge of the band; it mirrors the lower one and is a reason to stop only where lower is better."""
        return self._mirrored if self.higher_is_better else -rules.screen(self.baseline)

    @property
    def _mirrored(self) -> float:
        best = sorted(self.oriented, reverse=True)[looks.screen_rank(self.n) - 1]
        return self.sign * best

    @property
    def collapse_limit(self) -> float:
        """Score beyond which a single candidate has collapsed: it fails at any look."""
        return self.sign * rules.collapse_limit(self.baseline, self.alpha)

    def prospect(self, rule: Rule, alpha: float | None = None) -> Decision:
        """What a rule does to one candidate, before there is any: its false-alarm rate and detectable drop.

        Examples:
            >>> band = MetricBand("accuracy", (0.871, 0.884, 0.879, 0.892), (0, 1, 2, 3))
            >>> round(band.prospect("retest").detectable_drop, 4), band.prospect("range").false_alarm_rate
            (0.0208, 0.2)
        """
        return rules.decide(self.baseline, [self.baseline.mean], rule, self.alpha if alpha is None else alpha)

    @property
    def failure_rate(self) -> Rate:
        """Share of seeds that failed to train, with its 90 % interval."""
        return failure_rate(len(self.failed_seeds), self.n + len(self.failed_seeds))


def judged(
    band: MetricBand, raw: tuple[float, ...], rule: Rule, alpha: float, *, looks: int = 0, gates: bool
) -> MetricVerdict:
    """What rule `retest`, `t` or `range` says, in the metric's own unit and direction."""
    oriented = raw if band.higher_is_better else tuple(-score for score in raw)
    return _told(band, raw, rules.decide(band.baseline, oriented, rule, alpha, looks), rule, alpha, gates=gates)


def judged_by_pairs(
    band: MetricBand,
    raw: tuple[float, ...],
    seeds: Sequence[int],
    *,
    tolerance: float | None,
    alpha: float,
    floor: float,
    first: int | None,
    gates: bool,
) -> MetricVerdict:
    """What rule `paired` says of candidates trained under `seeds`; the tolerance is one sd of the band unless said.

    `first` is the number of pairs at the first look, None where this is the only one.
    """
    own = dict(zip(band.seeds, band.scores, strict=True))
    differences = _differences(raw, [own[seed] for seed in seeds])
    allowed = band.noise_sd if tolerance is None else tolerance
    oriented = [band.sign * difference for difference in differences]
    # No pair follows a look that is the only one.
    left = 0 if first is None else band.n - len(seeds)
    decision = decide_paired(oriented, allowed, alpha, floor, left, first)
    told = _told(band, raw, decision, "paired", alpha, gates=gates)
    return replace(told, differences=differences, tolerance=allowed)


def _differences(scores: Sequence[float], own: Sequence[float]) -> tuple[float, ...]:
    """Score minus baseline, pair by pair; differences that are equal but for rounding are equal."""
    differences = tuple(y - x for x, y in zip(own, scores, strict=True))
    slack = 4 * math.ulp(max(map(abs, (*scores, *own))))
    if max(differences) - min(differences) <= slack:
        return (limits.mean(differences),) * len(differences)
    return differences


def _told(
    band: MetricBand, raw: tuple[float, ...], decision: Decision, rule: Rule, alpha: float, *, gates: bool
) -> MetricVerdict:
    return MetricVerdict(
        decision.status,
        rule,
        alpha,
        decision.reason,
        raw,
        None if decision.limit is None else band.sign * decision.limit,
        decision.p_value,
        decision.false_alarm_rate,
        decision.screen_rate,
        decision.detectable_drop,
        decision.candidates_needed,
        decision.candidates_at_most,
        gates,
        decision.rate_is_bound,
    )
