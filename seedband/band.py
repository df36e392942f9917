"""Band and Verdict: fit a noise band to the scores of several seeds, judge candidates by it, save, load.

One-sided throughout: "worse" is what stops a candidate. Scores are oriented so that higher is better once, at the
edge of this module; everything that a user reads is in the metric's own unit and direction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

from seedband import store
from seedband.errors import Refused, UsageError
from seedband.records import Candidate
from seedband.stats import limits, looks, rules
from seedband.stats.failed import Rate, failure_rate
from seedband.stats.items import item_floor
from seedband.stats.rules import Rule, Status

DEFAULT_ALPHA = 0.05
#: Larger scores are refused: their squares would leave the range of floats.
MAX_SCORE = 1e100


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
        alpha: Level at which candidates are judged.
        unit: Unit of the scores, for people.
    """

    name: str
    scores: tuple[float, ...]
    seeds: tuple[int, ...]
    failed_seeds: tuple[int, ...] = ()
    higher_is_better: bool = True
    floor: float = 0.0
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
    def floored_sd(self) -> float:
        """The standard deviation that limits are made of: never below the floor."""
        return limits.floored(self.sd, self.floor)

    @property
    def spread(self) -> float:
        """Largest minus smallest score."""
        return max(self.scores) - min(self.scores)

    @cached_property
    def baseline(self) -> rules.Baseline:
        """What the rules judge by."""
        return rules.Baseline(self.oriented, self.floor)

    @property
    def lower(self) -> float:
        """Lower edge of the band; where higher is better, a first candidate below it is suspect."""
        return self.baseline.screen if self.higher_is_better else self._mirrored

    @property
    def upper(self) -> float:
        """Upper edge of the band; it mirrors the lower one and is a reason to stop only where lower is better."""
        return self._mirrored if self.higher_is_better else -self.baseline.screen

    @property
    def _mirrored(self) -> float:
        best = sorted(self.oriented, reverse=True)[looks.screen_rank(self.n) - 1]
        return self.sign * best

    @property
    def collapse_limit(self) -> float:
        """Score beyond which a single candidate has collapsed: it fails at any look."""
        return self.sign * self.baseline.collapse_limit(self.alpha)

    @property
    def failure_rate(self) -> Rate:
        """Share of seeds that failed to train, with its 90 % interval."""
        return failure_rate(len(self.failed_seeds), self.n + len(self.failed_seeds))


@dataclass(frozen=True)
class MetricVerdict:
    """What the rule says about one metric of the candidates.

    Attributes:
        status: The answer.
        rule: By which rule.
        reason: Why, in words.
        scores: The candidates' scores, in the order trained.
        limit: Score beyond which this look stops the candidate (the edge of the screen for a first look of
            `retest`); None where there is no scale to place it.
        p_value: One-sided; None where the spread is zero and no items set a floor.
        false_alarm_rate: Chance that the rule stops an unchanged candidate, carried through to its end.
        screen_rate: Chance that an unchanged candidate is looked at again; 0 for rules of one look.
        detectable_drop: Drop in score units that the rule stops with 80 % power; None without a scale.
        candidates_needed: Further candidate seeds that the next look needs; 0 when settled.
        candidates_at_most: Further candidate seeds after which it is settled at the latest.
        gates: Whether this metric decides, or only advises.
    """

    status: Status
    rule: Rule
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


@dataclass(frozen=True)
class Verdict:
    """What a band says about candidates.

    Attributes:
        status: Of the primary metric.
        metrics: One verdict per metric; those that do not gate advise.
        primary: The metric that gates.
        reason: Why, in words.
        candidates: What was judged, where checkpoints were scored.
    """

    status: Status
    metrics: Mapping[str, MetricVerdict]
    primary: str
    reason: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Band:
    """The noise bands of all metrics of one recipe: what band.json holds.

    Attributes:
        metrics: One band per metric.
        primary: The metric that gates.
        rule: Rule of `judge`, unless it is told another.
        provenance: Where the scores come from: signature, evaluators, data, environment; empty for bare scores.
        folder: Where relative paths in the provenance start from: the folder of the file that it was read from.
    """

    metrics: Mapping[str, MetricBand]
    primary: str
    rule: Rule = "retest"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = field(default=Path(), compare=False)

    @property
    def alpha(self) -> float:
        """Level at which candidates are judged."""
        return self.metrics[self.primary].alpha

    def judge(
        self,
        scores: Mapping[str, float | Sequence[float]],
        *,
        rule: Rule | None = None,
        alpha: float | None = None,
        failure: str = "",
    ) -> Verdict:
        """Judge the candidate seeds of one recipe.

        Args:
            scores: For every metric of the band, one score per candidate seed in the order trained.
            rule: Another rule than the band's.
            alpha: Another level than the band's, from .001 to .2.
            failure: Why a candidate failed to train, if one did: a fail, whatever the scores.

        Raises:
            Refused: Other metrics than the band's, different counts of scores, NaN or infinity.
            UsageError: Unknown rule, alpha out of range.
        """
        rule = self.rule if rule is None else known_rule(rule)
        alpha = self.alpha if alpha is None else valid_alpha(alpha)
        candidates = _candidate_scores(scores, self.metrics.keys())
        verdicts = {
            name: _judged(band, candidates[name], rule, alpha, gates=name == self.primary)
            for name, band in self.metrics.items()
        }
        primary = verdicts[self.primary]
        if failure:
            return Verdict("fail", verdicts, self.primary, failure)
        return Verdict(primary.status, verdicts, self.primary, primary.reason)

    def save(self, path: str | Path) -> None:
        """Write band.json, atomically."""
        metrics = {
            name: {
                "higher_is_better": band.higher_is_better,
                "unit": band.unit,
                "scores": list(band.scores),
                "floor": band.floor,
                "band": [band.lower, band.upper],
                "mean": band.mean,
                "sd": band.sd,
            }
            for name, band in self.metrics.items()
        }
        first = self.metrics[self.primary]
        content = {
            "primary": self.primary,
            "rule": self.rule,
            "alpha": self.alpha,
            "seeds": list(first.seeds),
            "failed_seeds": list(first.failed_seeds),
            "metrics": metrics,
            "provenance": dict(self.provenance),
        }
        store.write_json(Path(path), "band", content)


def fit_band(
    scores: Mapping[str, Sequence[float]],
    *,
    alpha: float = DEFAULT_ALPHA,
    rule: Rule = "retest",
    primary: str | None = None,
    lower_is_better: Collection[str] = (),
    items: Mapping[str, Sequence[Sequence[float]]] | None = None,
    seeds: Sequence[int] | None = None,
    failed_seeds: Sequence[int] = (),
) -> Band:
    """Fit the noise band of a recipe to the scores of its seeds.

    Args:
        scores: For every metric, one score per healthy seed, shape (n,), n >= 2, the same n for all.
        alpha: False-alarm rate of the rule, from .001 to .2.
        rule: "retest", "t" or "range".
        primary: The metric that gates; not needed when there is one metric.
        lower_is_better: Metrics whose lower scores are better.
        items: For some metrics, the score of every item, shape (n, n_items), rows as in `scores`: they set a floor
            under the standard deviation.
        seeds: The root seeds; 0 .. n-1 unless said.
        failed_seeds: Root seeds that failed to train, which have no scores here.

    Raises:
        Refused: Fewer than 2 seeds, no metric, different n, NaN or infinity.
        UsageError: Unknown rule or metric, alpha out of range, several metrics and no primary.

    Examples:
        >>> band = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]})
        >>> b = band.metrics["accuracy"]
        >>> b.lower, b.upper, b.median, round(b.sd, 6), round(b.spread, 3), round(b.collapse_limit, 4)
        (0.871, 0.892, 0.8815, 0.008813, 0.021, 0.8239)
        >>> m = band.judge({"accuracy": 0.869}).metrics["accuracy"]
        >>> m.status, m.screen_rate, round(m.false_alarm_rate, 2), m.candidates_needed, m.candidates_at_most
        ('suspect', 0.2, 0.05, 1, 2)
        >>> m = band.judge({"accuracy": 0.869}, rule="t").metrics["accuracy"]
        >>> m.status, round(m.p_value, 3), round(m.limit, 4)
        ('pass', 0.147, 0.8583)
        >>> m = band.judge({"accuracy": 0.869}, rule="range").metrics["accuracy"]
        >>> m.status, m.limit, m.false_alarm_rate
        ('fail', 0.871, 0.2)
    """
    if not scores:
        raise Refused("no metric: a band needs the scores of at least one")
    primary = _primary(scores, primary)
    for name in [*lower_is_better, *(items or {})]:
        if name not in scores:
            raise UsageError(f"metric {name!r} has no scores; there are {', '.join(scores)}")
    alpha, rule = valid_alpha(alpha), known_rule(rule)
    n = len(scores[primary])
    seeds = tuple(range(n)) if seeds is None else tuple(seeds)
    metrics = {
        name: MetricBand(
            name=name,
            scores=_baseline_scores(name, values, seeds),
            seeds=seeds,
            failed_seeds=tuple(failed_seeds),
            higher_is_better=name not in lower_is_better,
            floor=_floor(name, items[name]) if items and name in items else 0.0,
            alpha=alpha,
        )
        for name, values in scores.items()
    }
    return Band(metrics, primary, rule)


def load_band(path: str | Path) -> Band:
    """Read band.json.

    Raises:
        UsageError: No such file, or no JSON.
        Refused: Another format, an unknown version, or content that does not hold together.
    """
    content = store.read_json(Path(path), "band")
    try:
        metrics = {
            name: MetricBand(
                name=name,
                scores=_baseline_scores(name, entry["scores"], content["seeds"]),
                seeds=tuple(content["seeds"]),
                failed_seeds=tuple(content["failed_seeds"]),
                higher_is_better=bool(entry["higher_is_better"]),
                floor=_finite(entry["floor"], f"floor of {name}"),
                alpha=valid_alpha(content["alpha"]),
                unit=str(entry["unit"]),
            )
            for name, entry in content["metrics"].items()
        }
        band = Band(metrics, content["primary"], known_rule(content["rule"]), content["provenance"], Path(path).parent)
        band.metrics[band.primary]
    except (KeyError, TypeError, AttributeError, UsageError) as error:
        raise Refused(f"{path}: not a band that holds together: {type(error).__name__}: {error}") from error
    return band


def _judged(band: MetricBand, raw: tuple[float, ...], rule: Rule, alpha: float, *, gates: bool) -> MetricVerdict:
    """A rule's decision in the metric's own unit and direction."""
    decision = rules.decide(band.baseline, [band.sign * score for score in raw], rule, alpha)
    drop = None if decision.drop_sd is None or band.floored_sd == 0 else decision.drop_sd * band.floored_sd
    return MetricVerdict(
        status=decision.status,
        rule=rule,
        reason=decision.reason,
        scores=raw,
        limit=None if decision.limit is None else band.sign * decision.limit,
        p_value=decision.p_value,
        false_alarm_rate=decision.false_alarm_rate,
        screen_rate=decision.screen_rate,
        detectable_drop=drop,
        candidates_needed=decision.candidates_needed,
        candidates_at_most=decision.candidates_at_most,
        gates=gates,
    )


def _floor(name: str, items: Sequence[Sequence[float]]) -> float:
    try:
        return item_floor(items)
    except ValueError as error:
        raise Refused(f"{name}: {error}") from error


def _primary(scores: Mapping[str, Sequence[float]], primary: str | None) -> str:
    if primary is None:
        if len(scores) > 1:
            raise UsageError(f"{len(scores)} metrics and no primary: say which one gates", hint="primary=...")
        return next(iter(scores))
    if primary not in scores:
        raise UsageError(f"primary metric {primary!r} has no scores; there are {', '.join(scores)}")
    return primary


def _baseline_scores(name: str, values: Sequence[float], seeds: Sequence[int]) -> tuple[float, ...]:
    scores = tuple(_finite(value, f"{name}, seed {seed}") for value, seed in zip(values, seeds, strict=False))
    if len(values) != len(seeds) or len(set(seeds)) != len(seeds):
        raise Refused(f"{name}: {len(values)} scores for {len(set(seeds))} different seeds")
    if len(scores) < 2:  # noqa: PLR2004
        raise Refused(
            f"{name}: {len(scores)} healthy seeds; a band needs at least 2, for one seed has no spread",
            hint="train more seeds",
        )
    return scores


def _candidate_scores(
    scores: Mapping[str, float | Sequence[float]], expected: Collection[str]
) -> dict[str, tuple[float, ...]]:
    if set(scores) != set(expected):
        missing, extra = sorted(set(expected) - set(scores)), sorted(set(scores) - set(expected))
        raise Refused(f"metrics differ from the band's: missing {missing or 'none'}, unknown {extra or 'none'}")
    listed = {name: list(value) if isinstance(value, Iterable) else [value] for name, value in scores.items()}
    counts = {name: len(values) for name, values in listed.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise Refused(f"different counts of candidate scores: {counts}")
    return {name: tuple(_finite(value, f"candidate's {name}") for value in values) for name, values in listed.items()}


def _is_number(value: object) -> bool:
    """A real number of Python or numpy; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _finite(value: float, what: str) -> float:
    if not _is_number(value) or not abs(float(value)) <= MAX_SCORE:
        raise Refused(f"{what}: {value!r} is not a finite score")
    return float(value)


def valid_alpha(alpha: float) -> float:
    """A level that the rules are made for; UsageError outside .001 to .2."""
    if not _is_number(alpha) or not looks.MIN_ALPHA <= alpha <= looks.MAX_ALPHA:
        raise UsageError(f"alpha {alpha!r} is outside [{looks.MIN_ALPHA}, {looks.MAX_ALPHA}]")
    return float(alpha)


def known_rule(rule: str) -> Rule:
    """The rule of that name; UsageError when there is none."""
    for known in rules.RULES:
        if rule == known:
            return known
    raise UsageError(f"unknown rule {rule!r}; there are {', '.join(rules.RULES)}")
