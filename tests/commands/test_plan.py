"""Plans: which seeds see a drop, and which of them are the cheapest."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedband import fit_band
from seedband.bands.stats import looks
from seedband.bands.stats.power import t_detectable_drop
from seedband.bands.stats.variance import Prior
from seedband.commands.plan import BASELINE_SEEDS, CHECKS, MOST_UP_FRONT, plan
from seedband.errors import Refused, UsageError

WORKED = {"accuracy": [0.871, 0.884, 0.879, 0.892]}
SIZES = st.floats(0.3, 8.0)


def row_of(found, n):
    return next(row for row in found.rows if row.n == n)


def test_worked_example_says_what_its_four_seeds_see():
    found = plan(0.01, band=fit_band(WORKED))
    assert (found.power, found.alpha, found.noise.metric, found.noise.n) == (0.8, 0.05, "accuracy", 4)
    assert found.noise.sd == pytest.approx(0.008813, abs=1e-6)
    assert found.noise.interval == pytest.approx((0.62 * 0.008813, 2.92 * 0.008813), rel=0.002)
    assert found.detectable_drop == row_of(found, 4).at_sd.retest_drop == pytest.approx(2.36 * 0.008813, rel=0.002)
    assert not row_of(found, 4).at_sd.retest
    assert [row.n for row in found.rows] == list(BASELINE_SEEDS)


@pytest.mark.parametrize(("n", "k", "drop_sd"), [(4, 3, 2.22), (20, 1, 2.64)])
def test_up_front_seeds_are_the_published_ones(n, k, drop_sd):
    assert row_of(plan(drop_sd + 0.006, sd=1.0), n).at_sd.up_front == k
    assert row_of(plan(drop_sd - 0.006, sd=1.0), n).at_sd.up_front == k + 1


def test_retest_column_is_the_published_detectable_drop():
    for drop, seen in ((2.40, True), (2.30, False)):
        assert row_of(plan(drop, sd=1.0), 4).at_sd.retest is seen
    assert row_of(plan(2.5, sd=1.0), 4).retest_seeds == pytest.approx(1.31, abs=0.01)


@given(SIZES, st.floats(0.5, 0.99), st.floats(0.001, 0.2))
def test_up_front_seeds_see_the_drop_and_one_fewer_do_not(drop, power, alpha):
    found = plan(drop, sd=1.0, power=power, alpha=alpha)
    for row in found.rows:
        k = row.at_sd.up_front
        if k is not None:
            assert t_detectable_drop(row.n, k, alpha, power) <= drop
        if k is None or k > 1:
            assert t_detectable_drop(row.n, MOST_UP_FRONT if k is None else k - 1, alpha, power) > drop


@given(SIZES)
def test_more_baseline_seeds_never_need_more_candidate_seeds(drop):
    needed = [row.at_sd.up_front or MOST_UP_FRONT + 1 for row in plan(drop, sd=1.0).rows]
    assert needed == sorted(needed, reverse=True)


@given(SIZES, st.floats(1e-6, 1e6))
def test_only_the_ratio_of_drop_and_sd_matters(drop, sd):
    one, other = plan(drop, sd=1.0).recommended, plan(drop * sd * (1 + 1e-12), sd=sd).recommended
    assert (one is None) == (other is None)
    assert one is None or (one.n, one.rule, one.candidate_seeds) == (other.n, other.rule, other.candidate_seeds)


@given(SIZES, st.floats(0.5, 0.99))
def test_recommended_is_the_cheapest_row_that_sees_the_drop(drop, power):
    found = plan(drop, sd=1.0, power=power)
    costs = [row.n + CHECKS * row.retest_seeds for row in found.rows if row.at_sd.retest]
    costs += [row.n + CHECKS * row.at_sd.up_front for row in found.rows if row.at_sd.up_front]
    if not costs:
        assert found.recommended is None
        return
    assert found.recommended.trainings == min(costs)
    assert found.recommended.detectable_drop <= drop


def test_a_larger_sd_takes_more_seeds():
    found = plan(0.02, band=fit_band(WORKED))
    for row in found.rows:
        assert row.at_high.retest_drop > row.at_sd.retest_drop
        assert (row.at_high.up_front or 65) >= (row.at_sd.up_front or 65)
    assert found.recommended.detectable_drop_at_high == pytest.approx(
        found.recommended.detectable_drop * 2.92, rel=1e-3
    )


def test_a_vouched_for_sd_has_one_column():
    found = plan(0.02, sd=0.009)
    assert found.noise.interval is None
    assert found.detectable_drop is None
    assert found.recommended.detectable_drop_at_high is None
    assert all(row.at_high is None for row in found.rows)


def test_the_band_has_a_row_and_no_smaller_one_is_recommended():
    scores = [0.80 + 0.001 * step for step in (0, 5, 3, 9, 7, 1, 4)]
    found = plan(0.03, band=fit_band({"m": scores}))
    assert row_of(found, 7).at_sd.retest
    assert plan(0.03, sd=found.noise.sd).recommended.n < 7
    assert found.recommended.n >= 7


def test_history_makes_the_sd_surer_and_the_band_sharper():
    band = fit_band(WORKED)
    metric = band.metrics["accuracy"]
    prior = Prior(8.0, metric.sd**2, 8.0)
    moderated = replace(band, metrics={"accuracy": replace(metric, prior=prior)})
    alone, pooled = plan(0.02, band=band), plan(0.02, band=moderated)
    assert pooled.noise.sd == pytest.approx(alone.noise.sd)
    assert pooled.noise.prior_df == 8.0
    assert pooled.noise.interval[1] < alone.noise.interval[1]
    assert pooled.detectable_drop == pytest.approx(looks.detectable_drop(4, 0.05, 0.8, 8.0) * metric.sd)
    assert pooled.detectable_drop < alone.detectable_drop


def test_a_floor_is_the_least_sd_that_is_planned_with():
    band = fit_band({"accuracy": [0.5, 0.5]}, items={"accuracy": [[1, 1, 0, 0], [1, 1, 0, 0]]})
    noise = plan(0.3, band=band).noise
    assert (noise.sd, noise.interval) == (0.25, (0.25, 0.25))


@pytest.mark.parametrize(
    ("floor", "low", "high"), [(0.001, 0.62 * 0.008813, 2.92 * 0.008813), (0.009, 0.009, 2.92 * 0.008813), (0.03,) * 3]
)
def test_interval_is_that_of_the_seeds_with_each_end_raised_to_the_floor(floor, low, high):
    band = fit_band(WORKED)
    band = replace(band, metrics={"accuracy": replace(band.metrics["accuracy"], floor=floor)})
    assert plan(0.1, band=band).noise.interval == pytest.approx((low, high), rel=0.002)


def test_direction_of_the_metric_is_irrelevant():
    up, down = (plan(0.02, band=fit_band(WORKED, lower_is_better=names)) for names in ((), ("accuracy",)))
    assert up == down


def test_another_metric_is_planned_by_its_own_noise_and_level():
    scores = {"a": [0.1, 0.2, 0.4], "b": [1.0, 3.0, 7.0], "advises": [1.0, 3.0, 7.0]}
    band = fit_band(scores, primary="a", gates=["a", "b"], alpha=0.04)
    assert plan(5, band=band).noise.metric == "a"
    assert plan(5, band=band, metric="b").noise.sd == band.metrics["b"].sd
    assert plan(5, band=band, metric="b").alpha == 0.02
    assert plan(5, band=band, metric="b", alpha=0.1).alpha == pytest.approx(0.05)
    assert plan(5, band=band, metric="advises").alpha == 0.04
    assert plan(5, band=band, metric="advises", alpha=0.1).alpha == pytest.approx(0.1)
    judged = band.judge({"a": 0.2, "b": 2.0, "advises": 2.0}, alpha=0.1).metrics
    for name, verdict in judged.items():
        told = plan(5, band=band, metric=name, alpha=0.1)
        assert (told.alpha, told.detectable_drop) == pytest.approx((verdict.alpha, verdict.detectable_drop))
    with pytest.raises(UsageError, match="2 gating metrics"):
        plan(5, band=band, metric="b", alpha=0.0015)


def test_a_drop_that_nothing_sees_has_no_recommendation():
    found = plan(0.0001, sd=0.009)
    assert found.recommended is None
    assert not any(row.at_sd.retest or row.at_sd.up_front for row in found.rows)


def test_a_plan_is_plain_data():
    found = plan(0.02, band=fit_band(WORKED))
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["recommended"]["n"] == found.recommended.n


@pytest.mark.parametrize(
    "asked",
    [
        {"drop": 0, "sd": 1},
        {"drop": -0.01, "sd": 1},
        {"drop": float("nan"), "sd": 1},
        {"drop": float("inf"), "sd": 1},
        {"drop": 1, "sd": 0},
        {"drop": 1, "sd": -1},
        {"drop": 1, "sd": float("nan")},
        {"drop": 1, "sd": 1, "alpha": 0.0009},
        {"drop": 1, "sd": 1, "alpha": 0.21},
        {"drop": 1, "sd": 1, "power": 0.49},
        {"drop": 1, "sd": 1, "power": 0.995},
        {"drop": 1, "sd": 1, "power": float("nan")},
        {"drop": 1, "sd": 1, "metric": "accuracy"},
        {"drop": 1, "sd": 1, "band": fit_band(WORKED)},
        {"drop": 1},
        {"drop": 1, "band": fit_band(WORKED), "metric": "mcc"},
    ],
)
def test_what_cannot_be_planned_is_told(asked):
    with pytest.raises(UsageError):
        plan(**asked)


def test_a_band_without_noise_is_refused():
    with pytest.raises(Refused, match="the size of the noise is unknown") as refused:
        plan(0.01, band=fit_band({"accuracy": [0.5, 0.5, 0.5]}))
    assert "--sd" in refused.value.hint
