"""Band and Verdict: fit a noise band to the scores of several seeds, judge candidates by it, save, load.

One-sided throughout: "worse" is what stops a candidate. Scores are oriented so that higher is better once, at the
edge of this module; everything that a user reads is in the metric's own unit and direction.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any, Literal

from seedband import store
from seedband.errors import Refused, UsageError
from seedband.records import Candidate
from seedband.stats import limits, looks, power
from seedband.stats.failed import Rate, failure_rate

Status = Literal["pass", "fail", "suspect"]
Rule = Literal["retest", "t", "range"]
RULES: tuple[Rule, ...] = ("retest", "t", "range")
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
    def screen(self) -> float:
        """Oriented score below which a first candidate is suspect."""
        return sorted(self.oriented)[looks.screen_rank(self.n) - 1]

    @property
    def lower(self) -> float:
        """Lower edge of the band; where higher is better, a first candidate below it is suspect."""
        return self.screen if self.higher_is_better else self._mirrored

    @property
    def upper(self) -> float:
        """Upper edge of the band; it mirrors the lower one and is a reason to stop only where lower is better."""
        return self._mirrored if self.higher_is_better else -self.screen

    @property
    def _mirrored(self) -> float:
        best = sorted(self.oriented, reverse=True)[looks.screen_rank(self.n) - 1]
        return self.sign * best

    @property
    def collapse_limit(self) -> float:
        """Score beyond which a single candidate has collapsed: it fails at any look."""
        level = self.alpha * looks.COLLAPSE_SHARE
        return self.sign * limits.prediction_limit(self.oriented, level, self.floor)

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
    """

    metrics: Mapping[str, MetricBand]
    primary: str
    rule: Rule = "retest"
    provenance: Mapping[str, Any] = field(default_factory=dict)

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
            floor=item_floor(items[name]) if items and name in items else 0.0,
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
        band = Band(metrics, content["primary"], known_rule(content["rule"]), content["provenance"])
        band.metrics[band.primary]
    except (KeyError, TypeError, AttributeError, UsageError) as error:
        raise Refused(f"{path}: not a band that holds together: {type(error).__name__}: {error}") from error
    return band


def item_floor(items: Sequence[Sequence[float]]) -> float:
    """Smallest standard deviation that the items allow: `sqrt(mean_i v_i / m)`, for 0/1 items at least 1/m.

    v_i is the n - 1 variance of item i over seeds, m the number of items. Even seeds that agree in every score
    differ by at least what their items flip.

    Args:
        items: Score of every item under every seed, shape (n, m), n >= 2.

    Examples:
        >>> item_floor([[1, 0, 1, 1], [0, 1, 1, 1]])
        0.25
        >>> item_floor([[1, 1, 0, 0], [1, 1, 0, 0]])
        0.25
    """
    import numpy as np

    table = np.asarray(items, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or not table.shape[1] or not np.isfinite(table).all():  # noqa: PLR2004
        raise Refused(f"item scores of shape {table.shape}: expected finite scores, 2 or more seeds by 1 or more items")
    m = table.shape[1]
    floor = math.sqrt(float(table.var(axis=0, ddof=1).mean()) / m)
    return max(floor, 1 / m) if np.isin(table, (0.0, 1.0)).all() else floor


def _judged(band: MetricBand, raw: tuple[float, ...], rule: Rule, alpha: float, *, gates: bool) -> MetricVerdict:
    y = tuple(band.sign * score for score in raw)
    if rule == "range":
        decided = _by_range(band, y)
    elif limits.pooled_t(band.oriented, y, band.floor) is None:
        decided = _without_scale(band, y, rule, alpha)
    else:
        decided = _by_t(band, y, alpha) if rule == "t" else _by_retest(band, y, alpha)
    limit, drop = decided.get("limit"), decided.pop("drop_sd", None)
    decided["limit"] = None if limit is None else band.sign * limit
    if drop is not None and band.floored_sd > 0:
        decided["detectable_drop"] = drop * band.floored_sd
    fields: dict[str, Any] = {"detectable_drop": None, "screen_rate": 0.0, "p_value": None, **decided}
    return MetricVerdict(rule=rule, scores=raw, gates=gates, **fields)


def _by_range(band: MetricBand, y: tuple[float, ...]) -> dict[str, Any]:
    k, lowest = len(y), min(band.oriented)
    below = max(y) < lowest
    return {
        "status": "fail" if below else "pass",
        "reason": f"{'all' if below else 'not all'} of {k} below every baseline seed",
        "limit": lowest,
        "p_value": limits.p_value(band.oriented, y, band.floor),
        "false_alarm_rate": limits.all_below_rate(band.n, k),
        "drop_sd": power.range_detectable_drop(band.n, k),
    }


def _by_t(band: MetricBand, y: tuple[float, ...], alpha: float) -> dict[str, Any]:
    p = limits.p_value(band.oriented, y, band.floor)
    assert p is not None, "a zero spread is judged by _without_scale"
    return {
        "status": "fail" if p <= alpha else "pass",
        "reason": f"p {_compared(p, alpha)}",
        "limit": limits.prediction_limit(band.oriented, alpha, band.floor) if len(y) == 1 else None,
        "p_value": p,
        "false_alarm_rate": alpha,
        "drop_sd": power.t_detectable_drop(band.n, len(y), alpha),
    }


def _by_retest(band: MetricBand, y: tuple[float, ...], alpha: float) -> dict[str, Any]:
    """One decision of the retest rule; docs/explanation/statistics.md states it look by look."""
    design = looks.design(band.n, alpha)
    p = limits.p_value(band.oriented, y, band.floor)
    shared: dict[str, Any] = {
        "p_value": p,
        "screen_rate": looks.screen_rate(band.n),
        "false_alarm_rate": design.false_alarm_rate,
        "drop_sd": design.detectable_drop,
        "limit": None,
    }
    k = len(y)
    if collapsed := _collapsed(band, y, alpha):
        return {**shared, "status": "fail", "reason": collapsed, "limit": _collapse(band, alpha)}
    looked, decided = _first_settled_look(band, y, alpha, design.level)
    if looked == k or decided["status"] == "fail":
        return {**shared, **decided}
    level = min(alpha, design.level) if k == looks.MAX_LOOKS else alpha
    return {
        **shared,
        "status": "fail" if _at_most(p, level) else "pass",
        "reason": f"one look at {k} candidates: p {_compared(p, level)}",
        "screen_rate": 0.0,
        "false_alarm_rate": looks.upfront_false_alarm_rate(band.n, k, alpha),
        "drop_sd": power.t_detectable_drop(band.n, k, level),
    }


def _first_settled_look(
    band: MetricBand, y: tuple[float, ...], alpha: float, level: float
) -> tuple[int, dict[str, Any]]:
    """Take look after look while they are suspect; more than three candidates have had no earlier look."""
    if len(y) > looks.MAX_LOOKS:
        return 0, {"status": "pass"}
    decided: dict[str, Any] = {}
    looked = 0
    for looked in range(1, len(y) + 1):
        decided = _look(band, y[:looked], alpha, level)
        if decided["status"] != "suspect":
            break
    return looked, decided


def _look(band: MetricBand, y: tuple[float, ...], alpha: float, level: float) -> dict[str, Any]:
    """Look 1, 2 or 3 at as many candidates, given that the looks before it were suspect."""
    p = limits.p_value(band.oriented, y, band.floor)
    if len(y) == 1:
        if y[0] >= band.screen:
            return {"status": "pass", "reason": "inside the band, or better", "limit": band.screen}
        return {**_unsettled(1), "reason": "below the band", "limit": band.screen}
    if len(y) == looks.MAX_LOOKS:
        return {"status": "fail" if _at_most(p, level) else "pass", "reason": f"look 3: p {_compared(p, level)}"}
    strict = alpha * looks.COLLAPSE_SHARE
    if _at_most(p, strict):
        return {"status": "fail", "reason": f"look 2: p {_compared(p, strict)}"}
    if p is None or p < looks.PASS_AT_LOOK_2:
        return {**_unsettled(2), "reason": f"look 2: p {_compared(p, strict)} settles nothing yet"}
    return {"status": "pass", "reason": f"look 2: p {_compared(p, looks.PASS_AT_LOOK_2)}"}


def _unsettled(looked: int) -> dict[str, Any]:
    return {"status": "suspect", "candidates_needed": 1, "candidates_at_most": looks.MAX_LOOKS - looked}


def _collapsed(band: MetricBand, y: tuple[float, ...], alpha: float) -> str:
    """Says which candidate collapsed, or nothing."""
    limit = _collapse(band, alpha)
    worst = [
        j for j, score in enumerate(y, 1) if score <= limit and limits.pooled_t(band.oriented, [score], band.floor)
    ]
    if not worst:
        return ""
    return f"candidate {worst[0]} of {len(y)} collapsed: beyond {band.sign * limit:.4g}"


def _collapse(band: MetricBand, alpha: float) -> float:
    return limits.prediction_limit(band.oriented, alpha * looks.COLLAPSE_SHARE, band.floor)


def _without_scale(band: MetricBand, y: tuple[float, ...], rule: Rule, alpha: float) -> dict[str, Any]:
    """All baseline seeds agree, all candidates agree, and no items say what that is worth: ranks are all there is."""
    k = len(y)
    rate = limits.all_below_rate(band.n, k)
    shared: dict[str, Any] = {
        "limit": band.screen,
        "false_alarm_rate": rate,
        "screen_rate": looks.screen_rate(band.n) if rule == "retest" else 0.0,
    }
    if y[0] >= band.screen:
        return {
            **shared,
            "status": "pass",
            "reason": "inside the band; its spread is zero, which is no proof of zero noise",
        }
    if rate <= alpha:
        return {**shared, "status": "fail", "reason": f"all of {k} below a band of zero spread: chance {rate:.3g}"}
    more = next(more for more in range(1, 10_000) if limits.all_below_rate(band.n, k + more) <= alpha)
    return {
        **shared,
        "status": "suspect",
        "reason": "below a band of zero spread: no scale to judge the drop by",
        "candidates_needed": 1,
        "candidates_at_most": more,
    }


def _at_most(p: float | None, level: float) -> bool:
    return p is not None and p <= level


def _compared(p: float | None, level: float) -> str:
    return f"unknown, level {level:.3g}" if p is None else f"= {p:.3g} {'<=' if p <= level else '>'} {level:.3g}"


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
    for known in RULES:
        if rule == known:
            return known
    raise UsageError(f"unknown rule {rule!r}; there are {', '.join(RULES)}")
