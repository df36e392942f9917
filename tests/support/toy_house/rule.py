"""A rule: the best candidate below the worst baseline seed by more than the spread fails."""

from seedband.bands.rules import Rule
from seedband.bands.stats.decision import Decision


class Collapse(Rule):
    """Only what collapsed fails."""

    name = "collapse"
    has_level = False

    def decide(self, baseline, scores, alpha, looks=0):
        limit = min(baseline.scores) - (max(baseline.scores) - min(baseline.scores))
        failed = max(scores) < limit
        return Decision(
            "fail" if failed else "pass", f"{'below' if failed else 'above'} {limit:.4f}", 0.01, limit=limit
        )
