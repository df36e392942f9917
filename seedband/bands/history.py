"""History: which earlier bands a band may borrow variance from, and what they are worth.

Variances are pooled over bands of the same evaluator on the same eval set only: over different tasks the history is
worth next to nothing, and a mixture of evaluators is worth less than that.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seedband.bands.comparability import in_words, stated
from seedband.bands.stats.variance import MIN_BANDS, Prior, fit_prior
from seedband.counts import counted
from seedband.errors import Refused
from seedband.storage.json_files import JsonObject

#: What must be equal for two variances to be of one kind, by key path in a signature.
SAME = ("task", "eval_data.sha256", "labels", "vary", "padding")


class Past(NamedTuple):
    """One metric of an earlier band.

    Attributes:
        sd: Standard deviation of its scores.
        n: Its healthy seeds.
        higher_is_better: Direction of the metric.
        provenance: Of the band.
    """

    sd: float
    n: int
    higher_is_better: bool
    provenance: JsonObject


class Source(NamedTuple):
    """A band as a source of noise.

    Attributes:
        scores: Metric → one score per healthy seed.
        seeds: Their root seeds.
        provenance: Of the band.
    """

    scores: Mapping[str, tuple[float, ...]]
    seeds: Sequence[int]
    provenance: JsonObject


def prior_of(metric: str, own: Past, history: Sequence[Past]) -> Prior:
    """The prior of a metric's variance from earlier bands.

    The prior is made from the history alone, and `check_distinct` keeps the draws of each band to itself, so that it is
    independent of the band that it moderates: recipes trained under one seed share most of its noise.

    Raises:
        Refused: Fewer than 2 earlier bands, one of another evaluator or eval set, or mostly bands of zero spread.
    """
    if len(history) < MIN_BANDS:
        raise Refused(
            f"history of {counted(len(history), 'band')}: how far variances differ takes at least {MIN_BANDS}",
            hint="leave the history out, or name more bands",
        )
    for number, past in enumerate(history, 1):
        found = _difference(metric, own, past)
        if found:
            raise Refused(
                f"history, band {number}: {metric} is not comparable: {found}",
                hint="pool bands of the same evaluator on the same eval set; `seedband diff-data` compares their rows",
            )
    try:
        return fit_prior([past.sd for past in history], [past.n - 1 for past in history])
    except ValueError as error:
        raise Refused(f"history of {metric}: {error}", hint="leave the history out") from error


def check_distinct(own: Source, history: Sequence[Source]) -> None:
    """Refuse a band whose noise was counted already: the same scores, or the same seeds.

    Raises:
        Refused: A band of the history repeats the scores of another band here, or shares root seeds with it.
    """
    for number, past in enumerate(history, 1):
        for other in (own, *history[: number - 1]):
            shared_metrics = {*past.scores} & {*other.scores}
            if all(sorted(past.scores[name]) == sorted(other.scores[name]) for name in shared_metrics):
                raise Refused(f"history, band {number}: its scores are those of another band here: one band twice")
            shared = sorted({*past.seeds} & {*other.seeds}) if is_proven([past.provenance, other.provenance]) else []
            if shared:
                seeds = ", ".join(map(str, shared))
                raise Refused(
                    f"history, band {number}: shares root seeds {seeds} with another band: their noise is one draw",
                    hint="sweep under seeds of its own, such as --seeds 100,101,102,103",
                )


def is_proven(provenances: Sequence[JsonObject]) -> bool:
    """Check whether evaluator and eval set are on record, rather than vouched for by whoever named the bands."""
    return all("signature" in provenance for provenance in provenances)


def _difference(metric: str, own: Past, past: Past) -> str:
    """The difference between two bands of a metric, in words; empty when there is none."""
    if own.higher_is_better != past.higher_is_better:
        return "the direction differs"
    ours, theirs = own.provenance.get("signature"), past.provenance.get("signature")
    if (ours is None) != (theirs is None):
        return "one of them was made from bare scores, so its evaluator and eval set are not on record"
    if ours is None or theirs is None:
        items = [provenance.get("items_sha256") for provenance in (own.provenance, past.provenance)]
        return "the items differ" if None not in items and items[0] != items[1] else ""
    for key in (*SAME, f"evaluators.{metric}"):
        if stated(ours, key) != stated(theirs, key):
            return in_words(key, stated(ours, key), stated(theirs, key), "that one")
    return ""
