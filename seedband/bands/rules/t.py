"""Rule `t`: one pooled t test, and a single candidate that collapsed."""

from collections.abc import Sequence

from seedband.bands.rules import Rule
from seedband.bands.stats import looks as designs
from seedband.bands.stats import power
from seedband.bands.stats.decision import Decision, in_units, one_look, without_scale
from seedband.bands.stats.limits import Baseline


class T(Rule):
    """One look, at a level that the user names."""

    name = "t"

    def decide(self, baseline: Baseline, scores: Sequence[float], alpha: float, looks: int = 0) -> Decision:  # noqa: ARG002
        """Test whether the candidates' mean is lower than the baseline's."""
        if baseline.sd == 0:
            return without_scale(baseline, scores, alpha, screens=False)
        k, prior_df = len(scores), baseline.prior.df
        rate = designs.t_false_alarm_rate(baseline.n, k, alpha, prior_df)
        drop = in_units(baseline, power.t_detectable_drop(baseline.n, k, alpha, prior_df=prior_df))
        common = Decision("pass", "", rate.value, rate_is_bound=rate.is_bound, detectable_drop=drop)
        decision = one_look(baseline, scores, alpha, alpha, common)
        if k == 1:
            decision = decision._replace(limit=baseline.limit(alpha))
        return decision.bounded(baseline)
