"""MetricBand: the noise band of one metric, and what a rule says of candidates in its own unit and direction."""

from dataclasses import dataclass
from functools import cached_property

from seedband.bands import rules
from seedband.bands.admission import DEFAULT_ALPHA
from seedband.bands.rules import Candidates, Rule
from seedband.bands.stats import decision, limits, looks
from seedband.bands.stats.decision import Decision
from seedband.bands.stats.failed import Rate, failure_rate
from seedband.bands.stats.limits import Baseline
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
        """The numbers that rules judge by."""
        return Baseline(self.oriented, self.floor, self.prior)

    @property
    def lower(self) -> float:
        """Lower edge of the band; where higher is better, a first candidate below it is suspect."""
        return decision.screen(self.baseline) if self.higher_is_better else self._mirrored

    @property
    def upper(self) -> float:
        """Upper edge of the band; it mirrors the lower one and is a reason to stop only where lower is better."""
        return self._mirrored if self.higher_is_better else -decision.screen(self.baseline)

    @property
    def _mirrored(self) -> float:
        best = sorted(self.oriented, reverse=True)[looks.screen_rank(self.n) - 1]
        return self.sign * best

    @property
    def collapse_limit(self) -> float:
        """Score beyond which a single candidate has collapsed: it fails at any look."""
        return self.sign * decision.collapse_limit(self.baseline, self.alpha)

    def prospect(self, rule: str, alpha: float | None = None) -> Decision:
        """The false-alarm rate and the detectable drop of a rule for one candidate.

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


def judged(band: MetricBand, rule: Rule, candidates: Candidates, alpha: float, *, gates: bool) -> MetricVerdict:
    """Judge candidates by a rule, and give its answer in the metric's own unit and direction."""
    judgement = rule.judge(band, candidates, alpha)
    said = judgement.decision
    return MetricVerdict(
        status=said.status,
        rule=rule.name,
        alpha=alpha,
        reason=said.reason,
        scores=candidates.scores,
        limit=None if said.limit is None else band.sign * said.limit,
        p_value=said.p_value,
        false_alarm_rate=said.false_alarm_rate,
        screen_rate=said.screen_rate,
        detectable_drop=said.detectable_drop,
        candidates_needed=said.candidates_needed,
        candidates_at_most=said.candidates_at_most,
        gates=gates,
        rate_is_bound=said.rate_is_bound,
        differences=judgement.differences,
        tolerance=judgement.tolerance,
    )
