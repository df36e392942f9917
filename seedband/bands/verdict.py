"""Verdict: what a band says about candidates, as plain data."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated

from seedband.bands.stats.decision import Status
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import RULES, Known
from seedband.storage.validation import Number

#: Column → value → metric → mean score over the items of that slice.
SliceScores = Mapping[str, Mapping[str, Mapping[str, Number]]]


@dataclass(frozen=True)
class Candidate:
    """A candidate of `check`, scored.

    Attributes:
        name: As the user called it.
        scores: Metric → score; empty when it failed to train.
        checkpoint_sha256: Of its tensors and of what else decides what it computes.
        failure: Why it failed to train; empty otherwise.
        baseline_seed: The baseline seed whose weights it has, if any.
        seed: Root seed that it was trained under, where that is on record.
        slices: Column → value → metric → mean score of the slice.
    """

    name: str
    scores: Mapping[str, Number]
    checkpoint_sha256: str | None
    failure: str = ""
    baseline_seed: int | None = None
    seed: int | None = None
    slices: SliceScores = field(default_factory=dict)


@dataclass(frozen=True)
class MetricVerdict:
    """What the rule says about one metric of the candidates.

    Attributes:
        status: The answer.
        rule: By which rule.
        alpha: At which level: that of the band, divided by the number of metrics that gate.
        reason: Why, in words.
        scores: The candidates' scores, in the order trained.
        limit: Score beyond which this look stops the candidate (the edge of the screen for a first look of
            `retest`); None where there is no scale to place it.
        p_value: One-sided; None where the spread is zero and no items set a floor.
        false_alarm_rate: Chance that the rule stops an unchanged candidate, carried through to its end; under
            `paired` that of a candidate worse by exactly the tolerance.
        screen_rate: Chance that an unchanged candidate is looked at again; 0 for rules of one look.
        detectable_drop: Drop in score units that the rule stops with 80 % power; None without a scale.
        candidates_needed: Further candidate seeds that the next look needs; 0 when settled.
        candidates_at_most: Further candidate seeds after which it is settled at the latest; under `paired` those that
            the band has left, which may leave it open.
        gates: Whether this metric decides, or only advises.
        rate_is_bound: Whether the true false-alarm rate may be smaller: with an item floor, and where candidates
            trained up front are more than the table holds.
        differences: Under `paired`, candidate minus baseline per shared seed, in the metric's unit and direction.
        tolerance: Under `paired`, the drop that nobody minds.
    """

    status: Status
    rule: Annotated[str, Known(RULES)]
    alpha: float
    reason: str
    scores: tuple[float, ...]
    limit: float | None
    p_value: float | None
    false_alarm_rate: float
    screen_rate: float
    detectable_drop: float | None
    candidates_needed: int = 0
    candidates_at_most: int = 0
    gates: bool = True
    rate_is_bound: bool = False
    differences: tuple[float, ...] = ()
    tolerance: float | None = None


@dataclass(frozen=True)
class SliceVerdict:
    """Where candidates lie on some of the items; it advises.

    Attributes:
        metric: Name of the metric.
        column: Of the slice.
        value: That its items share.
        n_items: How many they are.
        scores: The candidates' scores on them, in the order trained.
        mean: Of the baseline seeds on them.
        lower: Lower edge of the slice's own band.
        upper: Upper edge.
        p_value: One-sided, by the t rule.
        p_adjusted: After Holm's correction over the metric's slices.
    """

    metric: str
    column: str
    value: str
    n_items: int
    scores: tuple[float, ...]
    mean: float
    lower: float
    upper: float
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class Verdict:
    """What a band says about candidates.

    Attributes:
        status: The worst of the metrics that gate.
        metrics: One verdict per metric; those that do not gate advise.
        primary: The metric that is shown first; it gates.
        reason: Why, in words.
        failure_rate: Share of the baseline's seeds that failed to train; it comes on top of the false-alarm rate.
        candidates: What was judged, where checkpoints were scored.
        slices: What the band says about parts of the items; they never gate.
    """

    status: Status
    metrics: Mapping[str, MetricVerdict]
    primary: str
    reason: str
    failure_rate: float = 0.0
    candidates: tuple[Candidate, ...] = field(default=())
    slices: tuple[SliceVerdict, ...] = ()

    def as_dict(self) -> JsonObject:
        """Plain data, with what follows from the metrics that gate."""
        rates = ("false_alarm_rate", "candidates_needed", "candidates_at_most")
        return {**asdict(self), **{name: getattr(self, name) for name in rates}}

    @property
    def gating(self) -> dict[str, MetricVerdict]:
        """The metrics that decide."""
        return {name: metric for name, metric in self.metrics.items() if metric.gates}

    @property
    def false_alarm_rate(self) -> float:
        """Chance that any gating metric stops an unchanged candidate: exact for one, an upper bound for several."""
        return min(1.0, sum(metric.false_alarm_rate for metric in self.gating.values()))

    @property
    def candidates_needed(self) -> int:
        """Further candidate seeds that the next look needs; 0 when settled."""
        return self._most(metric.candidates_needed for metric in self.gating.values())

    @property
    def candidates_at_most(self) -> int:
        """Further candidate seeds after which it is settled at the latest."""
        return self._most(metric.candidates_at_most for metric in self.gating.values())

    def _most(self, counts: Iterable[int]) -> int:
        """What the metric that asks for most needs; nothing where the verdict is settled, whatever a metric asks."""
        return max(counts, default=0) if self.status == "suspect" else 0
