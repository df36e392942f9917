"""Rules: how a band judges candidates. docs/explanation/statistics.md states them in words.

A rule is one file. It decides on scores that are oriented so that higher is better.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from seedband.bands.stats.decision import Decision
from seedband.bands.stats.limits import Baseline
from seedband.errors import UsageError
from seedband.storage.registry import RULES

if TYPE_CHECKING:
    from seedband.bands.metric_band import MetricBand


@dataclass(frozen=True)
class Candidates:
    """The candidate seeds of one recipe, for one metric, as a rule is given them.

    Attributes:
        scores: One per candidate seed in the order trained, in the metric's own unit and direction.
        looks: So many of the first candidates were looked at before the others were there.
        seeds: Their root seeds; for rules on pairs.
        tolerance: The drop that nobody minds, for rules on pairs; one standard deviation of the band without.
        floor: The smallest standard deviation of a difference that the items allow, for rules on pairs.
        first: Pairs at the first look; None where this is the only one.
    """

    scores: tuple[float, ...]
    looks: int = 0
    seeds: Sequence[int] = ()
    tolerance: float | None = None
    floor: float = 0.0
    first: int | None = None


@dataclass(frozen=True)
class Judgement:
    """The decision of a rule on one metric, with its details.

    Attributes:
        decision: The decision.
        differences: Score minus baseline, pair by pair.
        tolerance: The drop that was allowed.
    """

    decision: Decision
    differences: tuple[float, ...] = ()
    tolerance: float | None = None


class Rule(ABC):
    """What a rule answers, so that no other file has to know its name."""

    #: As commands and band.json say it.
    name: ClassVar[str]
    #: Whether candidates must be trained under the band's own seeds. Such a rule is asked for; no band carries it.
    on_pairs: ClassVar[bool] = False
    #: Whether it may look again when a candidate seed is added, so that looks are counted.
    looks_again: ClassVar[bool] = False
    #: Whether it keeps to a level that the user names.
    has_level: ClassVar[bool] = True

    @abstractmethod
    def decide(self, baseline: Baseline, scores: Sequence[float], alpha: float, looks: int = 0) -> Decision:
        """Judge candidate seeds by the baseline alone.

        Args:
            baseline: What they are judged by.
            scores: One per candidate seed in the order trained, oriented, shape (k,), k >= 1.
            alpha: The level.
            looks: So many of the first candidates were looked at before the others were there.
        """

    def judge(self, band: "MetricBand", candidates: Candidates, alpha: float) -> Judgement:
        """Judge the candidates of one metric."""
        oriented = [band.sign * score for score in candidates.scores]
        return Judgement(self.decide(band.baseline, oriented, alpha, candidates.looks))


def find(name: str) -> Rule:
    """The rule of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in RULES:
        raise UsageError(f"unknown rule {name!r}; there are {', '.join(names())}")
    rule: Any = RULES.find(name)
    return rule()  # type: ignore[no-any-return]


def names() -> list[str]:
    """Names of all rules: the built-in ones, and those that are installed."""
    return [*RULES.built_in, *sorted(RULES.installed())]


def decide(baseline: Baseline, candidates: Sequence[float], rule: str, alpha: float, own_looks: int = 0) -> Decision:
    """Judge the candidate seeds of one recipe by a rule that needs no pairs.

    Args:
        baseline: What they are judged by.
        candidates: One score per candidate seed in the order trained, shape (k,), k >= 1.
        rule: Which rule.
        alpha: Its level.
        own_looks: For `retest`, so many of the first candidates were looked at before the others were there; then it
            goes on from there, one candidate a look. Without, all of them are one look.

    Examples:
        >>> baseline = Baseline((0.871, 0.884, 0.879, 0.892))
        >>> decide(baseline, [0.869], "retest", 0.05).status, decide(baseline, [0.869], "t", 0.05).status
        ('suspect', 'pass')
        >>> decide(baseline, [0.869, 0.868], "retest", 0.05, own_looks=1).reason
        'look 2: p = 0.0604 > 0.005 settles nothing yet'
        >>> decide(baseline, [0.869, 0.868], "retest", 0.05).reason
        'one look at 2 candidates: p = 0.0604 > 0.0452'
    """
    return find(rule).decide(baseline, candidates, alpha, own_looks)
