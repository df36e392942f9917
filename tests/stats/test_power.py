"""Detectable drops: published vectors, and simulation as an oracle."""

import numpy as np
import pytest
from scipy import stats

from seedband.stats.failed import failure_rate
from seedband.stats.power import range_detectable_drop, t_detectable_drop

VECTORS = {
    3: (4.59, 3.01, 2.48, 2.06),
    4: (3.69, 2.63, 2.22, 1.86),
    5: (3.33, 2.43, 2.06, 1.72),
    8: (2.93, 2.16, 1.83, 1.51),
    10: (2.83, 2.07, 1.75, 1.44),
}


@pytest.mark.parametrize(("n", "drops"), VECTORS.items())
def test_t_detectable_drop_is_the_published_one(n, drops):
    assert [t_detectable_drop(n, k, 0.05) for k in (1, 2, 3, 5)] == pytest.approx(drops, abs=6e-3)


def test_more_candidates_beat_more_baselines():
    assert t_detectable_drop(4, 3, 0.05) == pytest.approx(2.22, abs=6e-3)
    assert t_detectable_drop(20, 1, 0.05) == pytest.approx(2.64, abs=6e-3)


@pytest.mark.parametrize(("n", "k"), [(4, 1), (4, 3), (10, 2)])
def test_range_rule_catches_its_detectable_drop_in_80_percent(n, k):
    draw = np.random.default_rng(n * 10 + k)
    lowest = draw.standard_normal((200_000, n)).min(axis=1)
    highest = (draw.standard_normal((200_000, k)) - range_detectable_drop(n, k)).max(axis=1)
    assert np.mean(highest < lowest) == pytest.approx(0.8, abs=0.004)


@pytest.mark.parametrize(("failed", "total"), [(0, 4), (1, 8), (5, 75), (3, 3)])
def test_failure_rate_is_scipys_clopper_pearson(failed, total):
    exact = stats.binomtest(failed, total).proportion_ci(0.9, method="exact")
    assert failure_rate(failed, total)[1:] == pytest.approx((exact.low, exact.high))
