"""What each rule says at its limits, and of what it says it: the rates, rows and drops that a verdict prints."""

import math

import pytest

from seedband.bands.rules import decide
from seedband.bands.stats import limits, looks, power
from seedband.bands.stats.decision import collapse_limit
from seedband.bands.stats.limits import Baseline
from seedband.bands.stats.variance import Prior

BASELINE = Baseline((0.871, 0.884, 0.879, 0.892))
ALIKE = Baseline((0.9, 0.9, 0.9, 0.9))


def test_a_p_value_at_the_level_fails_and_just_above_it_passes():
    low = [0.86, 0.861]
    p = BASELINE.p_value(low)
    at, above = decide(BASELINE, low, "t", p), decide(BASELINE, low, "t", math.nextafter(p, 0))
    assert (at.status, above.status) == ("fail", "pass")
    assert at.reason == f"p = {p:.3g} <= {p:.3g}"
    assert above.reason == f"p = {p:.3g} > {p:.3g}"


@pytest.mark.parametrize("rule", ["retest", "t"])
def test_a_candidate_at_the_limit_has_collapsed(rule):
    limit = collapse_limit(BASELINE, 0.05)
    others = [0.95, 0.95]
    assert decide(BASELINE, [limit, *others], rule, 0.05).reason.endswith("candidate 1 of 3 collapsed")
    assert decide(BASELINE, [math.nextafter(limit, 1), *others], rule, 0.05).status == "pass"


def test_what_range_says_is_by_ranks_and_its_drop_in_units_of_the_score():
    decision = decide(BASELINE, [0.86, 0.87], "range", 0.05)
    assert (decision.status, decision.limit, decision.reason) == ("fail", 0.871, "all of 2 below every baseline seed")
    assert decision.false_alarm_rate == 1 / math.comb(6, 2)
    assert decision.detectable_drop == pytest.approx(power.range_detectable_drop(4, 2) * BASELINE.sd)
    assert decision.p_value == BASELINE.p_value([0.86, 0.87])
    above = decide(BASELINE, [0.86, 0.871], "range", 0.05)
    assert (above.status, above.reason) == ("pass", "not all of 2 below every baseline seed")


def test_without_a_spread_there_is_neither_a_p_value_nor_a_drop_that_is_seen():
    decision = decide(ALIKE, [0.8], "range", 0.05)
    assert (decision.status, decision.p_value, decision.detectable_drop) == ("fail", None, None)


@pytest.mark.parametrize("rule", ["retest", "t"])
@pytest.mark.parametrize(("n", "needed"), [(4, 3), (18, 2), (19, 1), (20, 1)])
def test_without_a_spread_as_many_must_lie_below_as_chance_puts_there_in_alpha_of_cases(rule, n, needed):
    alike = Baseline((0.9,) * n)
    for k in range(1, needed + 1):
        decision = decide(alike, [0.8] * k, rule, 0.05)
        left = needed - k
        assert (decision.status, decision.candidates_at_most) == ("suspect" if left else "fail", left)
        assert (decision.false_alarm_rate, decision.limit) == (limits.all_below_rate(n, needed), 0.9)
        assert decision.screen_rate == (looks.screen_rate(n) if left and rule == "retest" else 0)


def test_a_first_look_says_what_it_compared_with():
    inside = decide(BASELINE, [0.871], "retest", 0.05)
    assert (inside.status, inside.limit, inside.reason) == ("pass", 0.871, "inside the band, or better")
    below = decide(BASELINE, [0.870], "retest", 0.05)
    assert (below.status, below.limit, below.reason) == ("suspect", 0.871, "below the band")


def test_a_third_look_says_its_p_value_and_level():
    low = [0.869, 0.868, 0.867]
    level, p = looks.design(4, 0.05, 0.0).level, BASELINE.p_value(low)
    decision = decide(BASELINE, low, "retest", 0.05, own_looks=2)
    assert (decision.status, decision.reason) == ("fail", f"look 3: p = {p:.3g} <= {level:.3g}")


def test_candidates_behind_looks_that_need_not_have_asked_for_them_are_judged_at_a_bound():
    four = [0.869, 0.868, 0.868, 0.867]
    one, two = (decide(BASELINE, four, "retest", 0.05, own_looks=own) for own in (1, 2))
    assert one.rate_is_bound
    assert two.rate_is_bound
    assert one.false_alarm_rate == looks.together(4, 4, 0.05, 0.0).rate.value
    assert two.false_alarm_rate > one.false_alarm_rate


@pytest.mark.parametrize("rule", ["retest", "t"])
def test_a_rate_that_the_table_only_bounds_is_told_as_a_bound(rule):
    baseline = Baseline((0.871, 0.884, 0.879, 0.892) * 20, prior=Prior(12.0, 1e-4, 0.0))
    assert decide(baseline, [0.88] * 60, rule, 0.05).rate_is_bound
    assert not decide(BASELINE, [0.88], rule, 0.05).rate_is_bound
