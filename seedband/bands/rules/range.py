"""Rule `range`: all candidates below every baseline seed fail."""

from collections.abc import Sequence

from seedband.bands.rules import Rule
from seedband.bands.stats import limits, power
from seedband.bands.stats.decision import Decision, in_units
from seedband.bands.stats.limits import Baseline


class Range(Rule):
    """The range of the baseline, whose rate follows from the numbers of seeds alone."""

    name = "range"
    has_level = False

    def decide(self, baseline: Baseline, scores: Sequence[float], alpha: float, looks: int = 0) -> Decision:  # noqa: ARG002
        """Compare the best candidate with the worst baseline seed."""
        k, lowest = len(scores), min(baseline.scores)
        below = max(scores) < lowest
        return Decision(
            "fail" if below else "pass",
            f"{'all' if below else 'not all'} of {k} below every baseline seed",
            limits.all_below_rate(baseline.n, k),
            detectable_drop=in_units(baseline, power.range_detectable_drop(baseline.n, k)),
            p_value=baseline.p_value(scores) if baseline.sd > 0 else None,
            limit=lowest,
        )
