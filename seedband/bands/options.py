"""Options of the gate's public doors, by keyword: what each means, its default, and its type."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from seedband.bands.admission import DEFAULT_ALPHA
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import DEFAULT_RULE

if TYPE_CHECKING:
    from seedband.bands.band import Band


@dataclass(frozen=True)
class Judging:
    """Options of a judgement.

    Attributes:
        rule: Another rule than the band's.
        alpha: Another level than the band's, from .001 to .2.
        looks: For rule `retest`, how many of the candidates, the first ones, were looked at before the others were
            there: each further one then is a look of its own. Without, all of them are one look.
        failure: Why a candidate failed to train, if one did: a fail, whatever the scores.
        seeds: For rule `paired`, the root seeds of the candidates: at least 2, all of them seeds of the band.
        tolerance: For rule `paired`, the drop of the primary metric that nobody minds, in its unit and >= 0; one
            standard deviation of the band by default, as for every other metric.
        pair_floors: For rule `paired`, the smallest standard deviation of a difference that the items allow.
        same_evaluators: The band's own evaluators made the scores, so that their unit is known to be the band's.
        final: For rule `paired`, whether this is the only look: there was none at fewer of these pairs, and whatever
            it says, none at more will follow.
        first_pairs: For rule `paired` without `final`, how many pairs there were at the first look; 2 by default:
            where looks are not on record, every number of pairs from 2 to all seeds of the band counts as one.
    """

    rule: str | None = None
    alpha: float | None = None
    looks: int = 0
    failure: str = ""
    seeds: Sequence[int] = ()
    tolerance: float | None = None
    pair_floors: Mapping[str, float] | None = None
    same_evaluators: bool = False
    final: bool = False
    first_pairs: int | None = None


class JudgingKeys(TypedDict, total=False):
    """The keywords of `Judging`, for type checkers."""

    rule: str | None
    alpha: float | None
    looks: int
    failure: str
    seeds: Sequence[int]
    tolerance: float | None
    pair_floors: Mapping[str, float] | None
    same_evaluators: bool
    final: bool
    first_pairs: int | None


@dataclass(frozen=True)
class Fitting:
    """Options of a new band, beside its scores.

    Attributes:
        alpha: False-alarm rate of the rule, from .001 to .2.
        rule: A rule that needs no pairs: "retest", "t" or "range".
        primary: The metric that gates; not needed when there is one metric.
        gates: Several metrics that gate, the primary among them, each at alpha / K; the primary alone by default.
        lower_is_better: Metrics whose lower scores are better.
        items: For some metrics, the score of every item, shape (n, n_items), rows as in the scores: they set a floor
            under the standard deviation.
        seeds: The root seeds; 0 .. n-1 by default.
        failed_seeds: Root seeds that failed to train, which have no scores here.
        history: At least 2 earlier bands of the same evaluators on the same eval set, whose variances are pooled.
        provenance: Where the scores come from; see `Band`.
    """

    alpha: float = DEFAULT_ALPHA
    rule: str = DEFAULT_RULE
    primary: str | None = None
    gates: Collection[str] = ()
    lower_is_better: Collection[str] = ()
    items: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    seeds: Sequence[int] | None = None
    failed_seeds: Sequence[int] = ()
    history: "Sequence[Band]" = ()
    provenance: JsonObject = field(default_factory=dict)


class FittingKeys(TypedDict, total=False):
    """The keywords of `Fitting`, for type checkers."""

    alpha: float
    rule: str
    primary: str | None
    gates: Collection[str]
    lower_is_better: Collection[str]
    items: Mapping[str, Sequence[Sequence[float]]]
    seeds: Sequence[int] | None
    failed_seeds: Sequence[int]
    history: "Sequence[Band]"
    provenance: JsonObject
