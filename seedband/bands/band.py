"""Band and Verdict: fit a noise band to the scores of several seeds, judge candidates by it, save, load.

One-sided throughout: "worse" is what stops a candidate. Scores are oriented so that higher is better once, at the
edge of this module; everything that a user reads is in the metric's own unit and direction.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from seedband.bands import rules, units
from seedband.bands.admission import (
    DEFAULT_ALPHA,
    baseline_scores,
    candidate_scores,
    check_pairs,
    first_look,
    gates_of,
    level_of,
    primary_of,
    rule_of_band,
    seeds_of,
    valid_alpha,
    valid_looks,
    valid_tolerance,
)
from seedband.bands.band_file import check_band
from seedband.bands.history import Past, Source, check_distinct, is_proven, prior_of
from seedband.bands.metric_band import MetricBand, judged
from seedband.bands.options import Fitting, FittingKeys, Judging, JudgingKeys
from seedband.bands.rules import Candidates
from seedband.bands.stats.decision import Status
from seedband.bands.stats.items import item_floor, resolution
from seedband.bands.stats.variance import Prior
from seedband.bands.verdict import Verdict
from seedband.counts import counted
from seedband.errors import Refused, UsageError
from seedband.storage import atomic_files, json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import DEFAULT_RULE

WORST_LAST: tuple[Status, ...] = ("pass", "suspect", "fail")


@dataclass(frozen=True)
class Band:
    """The noise bands of all metrics of one recipe: what band.json holds.

    Attributes:
        metrics: One band per metric.
        primary: The metric that is shown first; it gates.
        gates: The metrics that gate, the primary among them; each is judged at alpha / K for K of them.
        rule: Rule of `judge`, unless it is told another.
        alpha: Level of the whole verdict.
        provenance: Where the scores come from: signature, evaluators, data, environment; empty for bare scores.
        folder: Where relative paths in the provenance start from: the folder of the file that it was read from.
    """

    metrics: Mapping[str, MetricBand]
    primary: str
    gates: tuple[str, ...]
    rule: str = DEFAULT_RULE
    alpha: float = DEFAULT_ALPHA
    provenance: JsonObject = field(default_factory=dict)
    folder: Path = field(default=Path(), compare=False)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Healthy root seeds, in the order of every metric's scores."""
        return self.metrics[self.primary].seeds

    @property
    def failed_seeds(self) -> tuple[int, ...]:
        """Root seeds that failed to train."""
        return self.metrics[self.primary].failed_seeds

    def judge(self, scores: Mapping[str, float | Sequence[float]], **options: Unpack[JudgingKeys]) -> Verdict:
        """Judge the candidate seeds of one recipe.

        Args:
            scores: For every metric of the band, one score per candidate seed in the order trained. Metrics that the
                band lacks are left out.
            **options: See `options.Judging`.

        Raises:
            Refused: A metric of the band without scores, different counts of scores, NaN or infinity, percent beside
                fractions, seeds that the band does not share.
            UsageError: Unknown rule, alpha out of range, a tolerance that is none, looks that cannot have been.

        Examples:
            >>> band = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]})
            >>> band.judge({"accuracy": [0.868, 0.881, 0.877]}, rule="paired", seeds=[0, 1, 2]).status
            'pass'
            >>> band.judge({"accuracy": [0.869, 0.868]}).status
            'pass'
            >>> band.judge({"accuracy": [0.869, 0.868]}, looks=1).status
            'suspect'
        """
        asked = Judging(**options)
        rule = rules.find(self.rule if asked.rule is None else asked.rule)
        alpha = self.alpha if asked.alpha is None else valid_alpha(asked.alpha)
        tolerance = valid_tolerance(asked.tolerance, rule)
        level = level_of(alpha, self.gates)
        candidates = candidate_scores(scores, self.metrics.keys())
        k = len(candidates[self.primary])
        looks = valid_looks(asked.looks, rule, k)
        if rule.on_pairs:
            check_pairs(self.seeds, self.failed_seeds, asked.seeds, k)
        first = first_look(rule, k, asked.first_pairs, final=asked.final)
        verdicts = {}
        for name, band in self.metrics.items():
            own, gates = candidates[name], name in self.gates
            if not asked.same_evaluators:
                units.check_candidates(name, band.scores, own, higher_is_better=band.higher_is_better)
            floor = (asked.pair_floors or {}).get(name, band.resolution)
            allowed = tolerance if name == self.primary else None
            given = Candidates(own, looks, asked.seeds, allowed, floor, first)
            verdicts[name] = judged(band, rule, given, level if gates else alpha, gates=gates)
        rate = self.metrics[self.primary].failure_rate.share
        if asked.failure:
            return Verdict("fail", verdicts, self.primary, asked.failure, rate)
        worst = max(self.gates, key=lambda name: (WORST_LAST.index(verdicts[name].status), name == self.primary))
        reason = verdicts[worst].reason if worst == self.primary else f"{worst}: {verdicts[worst].reason}"
        return Verdict(verdicts[worst].status, verdicts, self.primary, reason, rate)

    def save(self, path: str | Path) -> None:
        """Write band.json, atomically."""
        atomic_files.write_text(Path(path), self.as_text())

    def as_text(self) -> str:
        """The text of band.json, sealed."""
        metrics = {
            name: {
                "higher_is_better": band.higher_is_better,
                "unit": band.unit,
                "scores": list(band.scores),
                "floor": band.floor,
                "resolution": band.resolution,
                "prior": [part if math.isfinite(part) else None for part in band.prior],
                "band": [band.lower, band.upper],
                "mean": band.mean,
                "sd": band.sd,
            }
            for name, band in self.metrics.items()
        }
        content = {
            "primary": self.primary,
            "gates": list(self.gates),
            "rule": self.rule,
            "alpha": self.alpha,
            "seeds": list(self.seeds),
            "failed_seeds": list(self.failed_seeds),
            "metrics": metrics,
            "provenance": dict(self.provenance),
        }
        return json_files.sealed_text("band", content)


def fit_band(scores: Mapping[str, Sequence[float]], **options: Unpack[FittingKeys]) -> Band:
    """Fit the noise band of a recipe to the scores of its seeds.

    Args:
        scores: For every metric, one score per healthy seed, shape (n,), n >= 2, the same n for all.
        **options: See `options.Fitting`.

    Raises:
        Refused: Fewer than 2 seeds, no metric, different n, NaN or infinity, percent beside fractions, a history that
            is not comparable.
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
    made_of = Fitting(**options)
    primary = primary_of(scores, made_of.primary)
    gates = gates_of(made_of.gates, primary, scores)
    lower, items = made_of.lower_is_better, made_of.items or {}
    lower = [lower] if isinstance(lower, str) else lower
    for name in [*lower, *items]:
        if name not in scores:
            raise UsageError(f"metric {name!r} has no scores; there are {', '.join(scores)}")
    alpha, rule = valid_alpha(made_of.alpha), rule_of_band(made_of.rule).name
    level = level_of(alpha, gates)
    seeds = seeds_of(scores, primary, made_of.seeds, made_of.failed_seeds)
    metrics = {
        name: MetricBand(
            name=name,
            scores=baseline_scores(name, values, seeds),
            seeds=seeds,
            failed_seeds=tuple(made_of.failed_seeds),
            higher_is_better=name not in lower,
            alpha=level if name in gates else alpha,
            floor=_floor(name, items[name], len(seeds)) if name in items else 0.0,
            resolution=resolution(items[name]) if name in items else 0.0,
        )
        for name, values in scores.items()
    }
    provenance: JsonObject = dict(made_of.provenance or {})
    for band in metrics.values() if "signature" not in provenance else ():
        units.check_baseline(band.name, band.scores, band.seeds, higher_is_better=band.higher_is_better)
    if made_of.history:
        metrics, provenance = _with_history(metrics, seeds, provenance, made_of.history)
    return Band(metrics, primary, gates, rule, alpha, provenance)


def _with_history(
    metrics: dict[str, MetricBand], seeds: tuple[int, ...], provenance: JsonObject, history: Sequence[Band]
) -> tuple[dict[str, MetricBand], JsonObject]:
    """Metrics whose variances are pooled with those of earlier bands, and the record of it."""
    _check_metrics(metrics, history)
    for name, band in metrics.items() if "signature" not in provenance else ():
        earlier = [past.metrics[name].scores for past in history]
        units.check_history(name, band.scores, earlier, higher_is_better=band.higher_is_better)
    sources = [_source(metrics, seeds, provenance), *(_source(b.metrics, b.seeds, b.provenance) for b in history)]
    check_distinct(sources[0], sources[1:])
    pooled = {name: _moderated(band, history, provenance) for name, band in metrics.items()}
    proven = is_proven([provenance, *(band.provenance for band in history)])
    known = {
        "bands": len(history),
        "comparability": "on record" if proven else "vouched for",
        "scores_sha256": [json_files.digest({name: m.scores for name, m in band.metrics.items()}) for band in history],
    }
    return pooled, {**provenance, "history": known}


def load_band(path: str | Path) -> Band:
    """Read band.json.

    Raises:
        UsageError: No such file, or no JSON.
        Refused: Another format, an unknown version, or content that does not hold together.
    """
    content = json_files.read_json(Path(path), "band")
    try:
        check_band(content)
        return _band(content, Path(path).parent)
    except (Refused, UsageError) as error:
        raise Refused(f"{path}: not a band that holds together: {error.message}", hint=error.hint) from error


def _band(content: JsonObject, folder: Path) -> Band:
    """A band from what band.json holds, which has its form."""
    alpha, primary = valid_alpha(content["alpha"]), content["primary"]
    gates = gates_of(content["gates"], primary, content["metrics"])
    scores = {name: entry["scores"] for name, entry in content["metrics"].items()}
    seeds = seeds_of(scores, primary, content["seeds"], content["failed_seeds"])
    metrics = {
        name: MetricBand(
            name=name,
            scores=baseline_scores(name, entry["scores"], seeds),
            seeds=seeds,
            failed_seeds=tuple(content["failed_seeds"]),
            higher_is_better=entry["higher_is_better"],
            floor=float(entry["floor"]),
            resolution=float(entry["resolution"]),
            prior=_prior(entry["prior"]),
            alpha=level_of(alpha, gates) if name in gates else alpha,
            unit=entry["unit"],
        )
        for name, entry in content["metrics"].items()
    }
    return Band(metrics, primary, gates, rule_of_band(content["rule"]).name, alpha, dict(content["provenance"]), folder)


def _check_metrics(metrics: Collection[str], history: Sequence[Band]) -> None:
    for name in metrics:
        lacking = [number for number, past in enumerate(history, 1) if name not in past.metrics]
        if lacking:
            raise Refused(f"history, band {lacking[0]}: has no {name}", hint="name bands of the same metrics")


def _source(metrics: Mapping[str, MetricBand], seeds: Sequence[int], provenance: JsonObject) -> Source:
    return Source({name: metric.scores for name, metric in metrics.items()}, seeds, provenance)


def _moderated(band: MetricBand, history: Sequence[Band], provenance: JsonObject) -> MetricBand:
    """The band with what its history says about its variance."""
    past = [
        Past(earlier.sd, earlier.n, earlier.higher_is_better, other.provenance)
        for other in history
        for earlier in [other.metrics[band.name]]
    ]
    own = Past(band.sd, band.n, band.higher_is_better, provenance)
    return replace(band, prior=prior_of(band.name, own, past))


def _prior(entry: Sequence[float | None]) -> Prior:
    """A prior from band.json: it may have been estimated, but never counts, as worth infinitely much."""
    df, variance, estimated = (math.inf if part is None else float(part) for part in entry)
    return Prior(df, variance, estimated)


def _floor(name: str, items: Sequence[Sequence[float]], n: int) -> float:
    if len(items) != n:
        raise Refused(f"{name}: items of {counted(len(items), 'seed')}, scores of {n}")
    try:
        return item_floor(items)
    except ValueError as error:
        raise Refused(f"{name}: {error}") from error
