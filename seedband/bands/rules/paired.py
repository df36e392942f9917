"""Rule `paired`: candidates under the band's own seeds, compared seed by seed, within a tolerance."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seedband.bands.rules import Candidates, Judgement, Rule
from seedband.bands.stats import limits
from seedband.bands.stats.decision import Decision
from seedband.bands.stats.limits import Baseline
from seedband.bands.stats.paired import decide_paired
from seedband.errors import UsageError

if TYPE_CHECKING:
    from seedband.bands.metric_band import MetricBand


class Paired(Rule):
    """Differences from the baseline under the same seed, whose noise is what two recipes do not share."""

    name = "paired"
    on_pairs = True

    def decide(self, baseline: Baseline, scores: Sequence[float], alpha: float, looks: int = 0) -> Decision:  # noqa: ARG002
        """Refuse: scores alone do not say which seeds they are of."""
        raise UsageError(f"rule {self.name} needs candidates under the band's own seeds: ask for it when judging")

    def judge(self, band: "MetricBand", candidates: Candidates, alpha: float) -> Judgement:
        """Judge the differences, pair by pair; the tolerance is one standard deviation of the band by default."""
        own = dict(zip(band.seeds, band.scores, strict=True))
        differences = _differences(candidates.scores, [own[seed] for seed in candidates.seeds])
        allowed = band.noise_sd if candidates.tolerance is None else candidates.tolerance
        oriented = [band.sign * difference for difference in differences]
        # No pair follows a look that is the only one.
        left = 0 if candidates.first is None else band.n - len(candidates.seeds)
        decision = decide_paired(oriented, allowed, alpha, candidates.floor, left, candidates.first)
        return Judgement(decision, differences, allowed)


def _differences(scores: Sequence[float], own: Sequence[float]) -> tuple[float, ...]:
    """Score minus baseline, pair by pair; differences that are equal but for rounding are equal."""
    differences = tuple(y - x for x, y in zip(own, scores, strict=True))
    slack = 4 * math.ulp(max(map(abs, (*scores, *own))))
    if max(differences) - min(differences) <= slack:
        return (limits.mean(differences),) * len(differences)
    return differences
