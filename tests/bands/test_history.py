"""History: which bands may lend their variance, what it is worth, and what it must not change."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from signatures import FULL, changed
from tiny import recipe_text, run_cli

from seedband import Refused, fit_band, load_band
from seedband.bands.stats.variance import fit_prior
from seedband.storage import json_files

#: Standard deviations of bands of 4 seeds, and what limma's fitFDist says of them: published with the rule.
SDS = [0.004, 0.006, 0.009, 0.012, 0.005, 0.02, 0.0088]
D0, VARIANCE = 8.31085065718824, 8.36581980698e-05
OWN = [0.871, 0.884, 0.879, 0.892]


def scores_of(sd, n=4, mean=0.9):
    """As many scores of exactly this standard deviation."""
    pattern = np.arange(n) - (n - 1) / 2
    return (mean + sd * pattern / pattern.std(ddof=1)).tolist()


def another(number, sd=0.01, n=4, **options):
    """An earlier band, with scores and seeds that no other number has."""
    seeds = range(100 * number, 100 * number + n)
    return fit_band({"accuracy": scores_of(sd, n, 0.9 + number / 1024)}, **{"seeds": seeds, **options})


def bands_of(sds, n=4, **options):
    return [another(number, sd, n, **options) for number, sd in enumerate(sds, 1)]


def recorded(history):
    """What a band keeps of the scores of its history."""
    return [json_files.digest({name: list(metric.scores) for name, metric in past.metrics.items()}) for past in history]


def fitted(history, scores=OWN, **options):
    return fit_band({"accuracy": scores}, history=history, **options)


def signed(change=None, value=None):
    """The provenance of a sweep; with another value at a key path of its signature."""
    signature = FULL if change is None else changed(change, value)
    assert change is None or signature != FULL
    return {"signature": signature}


def test_prior_is_limmas_of_the_history_alone():
    prior = fitted(bands_of(SDS)).metrics["accuracy"].prior
    assert (prior.df, prior.variance) == (pytest.approx(D0), pytest.approx(VARIANCE))
    other = fitted(bands_of(SDS), [0.5, 0.9]).metrics["accuracy"].prior
    assert other == prior
    uneven = [fit_band({"accuracy": scores_of(sd, n)}) for sd, n in zip(SDS, (3, 4, 8, 2, 5, 4, 6), strict=True)]
    prior = fitted(uneven).metrics["accuracy"].prior
    assert prior == pytest.approx(fit_prior(SDS, [2, 3, 7, 1, 4, 3, 5]))


def test_prior_is_worth_no_more_than_the_history_that_it_was_made_of():
    prior = fitted(bands_of([0.01, 0.024, 0.01, 0.024])).metrics["accuracy"].prior
    assert prior.df == 12 < prior.estimated_df < math.inf
    alike = fitted(bands_of([0.01, 0.011], n=3)).metrics["accuracy"].prior
    assert (alike.df, alike.variance, alike.estimated_df) == (4, pytest.approx((1e-4 + 1.21e-4) / 2), math.inf)


def test_sd_and_p_values_are_moderated():
    bare, band = fit_band({"accuracy": OWN}), fitted(bands_of(SDS))
    squares, mean = 3 * stats.tstd(OWN) ** 2 + D0 * VARIANCE, np.mean(OWN)
    assert band.metrics["accuracy"].sd == bare.metrics["accuracy"].sd
    assert band.metrics["accuracy"].noise_sd == pytest.approx(math.sqrt(squares / (3 + D0)))
    for candidate in ([0.869], [0.86, 0.87], [0.86, 0.87, 0.88]):
        k = len(candidate)
        within = sum((y - np.mean(candidate)) ** 2 for y in candidate)
        df = 4 + k - 2 + D0
        t = (np.mean(candidate) - mean) / math.sqrt((squares + within) / df * (1 / 4 + 1 / k))
        m = band.judge({"accuracy": candidate}, rule="t").metrics["accuracy"]
        assert m.p_value == pytest.approx(stats.t.cdf(t, df))
    limit = band.judge({"accuracy": 0.869}, rule="t").metrics["accuracy"].limit
    expected = mean + stats.t.ppf(0.05, 3 + D0) * band.metrics["accuracy"].noise_sd * math.sqrt(1 + 1 / 4)
    assert limit == pytest.approx(expected)


@pytest.mark.parametrize("rule", ["retest", "t"])
def test_history_sees_a_smaller_drop_at_the_same_sd(rule):
    own = scores_of(0.01)
    bare, band = fit_band({"accuracy": own}), fitted(bands_of([0.01] * 4), own)
    assert band.metrics["accuracy"].noise_sd == pytest.approx(bare.metrics["accuracy"].noise_sd)
    told, before = (b.judge({"accuracy": 0.9}, rule=rule).metrics["accuracy"].detectable_drop for b in (band, bare))
    assert told < 0.95 * before


def test_history_moves_no_edge_of_the_band():
    bare, band = fit_band({"accuracy": OWN}).metrics["accuracy"], fitted(bands_of(SDS)).metrics["accuracy"]
    assert (band.lower, band.upper, band.spread) == (bare.lower, bare.upper, bare.spread)


def test_history_is_a_scale_where_the_seeds_agree():
    same = [0.9] * 4
    assert fit_band({"accuracy": same}).judge({"accuracy": 0.85}).metrics["accuracy"].p_value is None
    m = fitted(bands_of([0.001, 0.002]), same).judge({"accuracy": 0.85}).metrics["accuracy"]
    assert (m.status, m.p_value < 1e-4) == ("fail", True)


def test_floor_of_the_items_holds_beside_history():
    items = {"accuracy": [[seed % 2, 0.5, 0.25] for seed in range(4)]}
    bare = fit_band({"accuracy": OWN}, items=items).metrics["accuracy"]
    band = fitted(bands_of([1e-4, 1e-4]), items=items).metrics["accuracy"]
    assert band.noise_sd == bare.noise_sd == bare.floor > 0.1


@pytest.mark.parametrize("sds", [SDS, [0.01, 0.01]])
def test_saved_history_is_the_history(tmp_path, sds):
    band = fitted(bands_of(sds))
    assert math.isinf(band.metrics["accuracy"].prior.estimated_df) == (sds != SDS)
    band.save(tmp_path / "band.json")
    loaded = load_band(tmp_path / "band.json")
    assert loaded == band
    assert loaded.metrics["accuracy"].noise_sd == band.metrics["accuracy"].noise_sd


def test_damaged_prior_is_refused(tmp_path):
    fitted(bands_of(SDS)).save(tmp_path / "band.json")
    content = json.loads((tmp_path / "band.json").read_text())
    del content["sha256"]
    for prior in ([None, 1e-4, 1.0], [1.0, "x", 1.0], [1.0], None):
        content["metrics"]["accuracy"]["prior"] = prior
        body = {key: value for key, value in content.items() if key not in ("format", "version")}
        json_files.write_json(tmp_path / "band.json", "band", body)
        with pytest.raises(Refused):
            load_band(tmp_path / "band.json")


def test_bands_of_the_same_evaluator_on_the_same_eval_set_are_on_record_whatever_they_trained():
    past = [
        another(number, provenance=signed(*change))
        for number, change in enumerate(
            (
                ("base.sha256", "ef" * 32),
                ("method", "head"),
                ("environment.device", "cuda"),
                ("initializers", {"head": "zeros"}),
                ("evaluators.f1_macro.version", 99),
            ),
            1,
        )
    ]
    band = fitted(past, provenance=signed())
    assert len(set(recorded(past))) == 5
    assert band.provenance["history"] == {"bands": 5, "comparability": "on record", "scores_sha256": recorded(past)}
    assert band.provenance["signature"] == FULL
    assert band.metrics["accuracy"].prior.df == 15


@pytest.mark.parametrize(
    ("change", "value", "told"),
    [
        ("eval_data.sha256", "ef" * 32, r"eval data: band has cdcdcdcdcdcd…, that one has efefefefefef…"),
        ("labels", ["metal", "fruit"], r"label set and order: band has \['fruit', 'metal'\]"),
        ("vary", ["order"], r"streams that vary: .* that one has \['order'\]"),
        ("task", "causal-lm", "task: band has text-classification, that one has causal-lm"),
        ("evaluators.accuracy.version", 99, "evaluators.accuracy: .*version = 99"),
        ("evaluators.accuracy.args", {"k": 5}, "evaluators.accuracy: .*k = 5"),
    ],
)
def test_bands_of_another_kind_are_refused_by_what_differs(change, value, told):
    one, two = (another(number, provenance=signed()) for number in (1, 2))
    other = another(3, provenance=signed(change, value))
    with pytest.raises(Refused, match=f"history, band 2: accuracy is not comparable: {told}"):
        fitted([one, other, two], provenance=signed())
    assert fitted([one, two], provenance=signed()).metrics["accuracy"].prior.df == 6


def test_band_of_a_sweep_and_a_band_of_bare_scores_do_not_mix():
    bare, swept = (bands_of([0.01, 0.02], provenance=provenance) for provenance in ({}, signed()))
    for history, provenance in ((bare, signed()), (swept, {}), ([swept[0], bare[1]], signed())):
        with pytest.raises(Refused, match="made from bare scores"):
            fitted(history, provenance=provenance)


@pytest.mark.parametrize(
    ("own", "past", "told"),
    [
        ("ab", ["ab", "cd"], "history, band 2: .*the items differ"),
        ("ab", ["ab", "ab"], ""),
        ("ab", ["ab", None], ""),
        (None, ["ab", None], ""),
        (None, [None, None], ""),
    ],
)
def test_bare_bands_are_vouched_for_unless_their_items_differ(own, past, told):
    history = [another(number, provenance={"items_sha256": items}) for number, items in enumerate(past, 1)]
    if told:
        with pytest.raises(Refused, match=told):
            fitted(history, provenance={"items_sha256": own})
        return
    band = fitted(history, provenance={"items_sha256": own})
    assert band.provenance["history"] == {
        "bands": 2,
        "comparability": "vouched for",
        "scores_sha256": recorded(history),
    }


@pytest.mark.parametrize("provenance", [{}, signed()])
def test_one_band_is_not_counted_twice(provenance):
    one, two, three = (another(number, 0.01 * number, provenance=provenance) for number in (1, 2, 3))
    renamed = fit_band({"accuracy": one.metrics["accuracy"].scores}, seeds=range(900, 904), provenance=provenance)
    own = fit_band({"accuracy": OWN}, seeds=range(900, 904), provenance=provenance)
    for history, number in (([one, two, one], 3), ([one, renamed, two], 2), ([one, two, own], 3), ([own, one], 1)):
        with pytest.raises(
            Refused, match=f"history, band {number}: its .*scores are those of another band here: one band twice"
        ):
            fitted(history, provenance=provenance)
    assert fitted([one, two, three], provenance=provenance).metrics["accuracy"].prior.df > 0


def test_bands_that_share_seeds_are_one_draw():
    one, two, three = (another(number, 0.01 * number, provenance=signed()) for number in (1, 2, 3))
    own, other = (another(9, provenance=signed(), seeds=seeds) for seeds in ((3, 50, 1, 51), (201, 60, 61, 62)))
    for history, number, seeds in (
        ([own, one], 1, "1, 3"),
        ([one, two, own], 3, "1, 3"),
        ([one, two, other], 3, "201"),
    ):
        with pytest.raises(Refused, match=f"history, band {number}: shares root seeds {seeds} with another") as refused:
            fitted(history, provenance=signed())
        assert "--seeds" in refused.value.hint
    with pytest.raises(Refused, match="history, band 1: shares root seeds 102 with"):
        fitted([one, two], seeds=(0, 1, 102, 3), provenance=signed())
    assert fitted([one, two, three], provenance=signed()).metrics["accuracy"].prior.df > 0
    # Bare scores are numbered from 0 whatever they were trained under: their seeds say nothing.
    bare = [another(number, seeds=range(4)) for number in (1, 2)]
    assert fitted(bare).metrics["accuracy"].prior.df == 6


@pytest.mark.parametrize(
    ("history", "told"),
    [
        (lambda: bands_of([0.01]), "history of 1 band: .* takes at least 2"),
        (lambda: bands_of([0.01, 0.02], lower_is_better=["accuracy"]), "history, band 1: .*the direction differs"),
        (
            lambda: [another(1), fit_band({"f1": OWN}), another(2)],
            "history, band 2: has no accuracy",
        ),
        (lambda: bands_of([0.0, 0.0, 0.02]), "history of accuracy: most sds are zero"),
    ],
)
def test_refuses_a_history_that_says_nothing_of_the_noise(history, told):
    with pytest.raises(Refused, match=told):
        fitted(history())


def test_every_metric_has_its_own_history():
    table = {"a": OWN, "b": scores_of(0.1, mean=0.5)}
    past = [
        fit_band({"a": scores_of(0.01, mean=mean), "b": scores_of(0.2, mean=mean), "c": OWN}, primary="a")
        for mean in (0.8, 0.9, 1.0)
    ]
    metrics = fit_band(table, primary="b", history=past).metrics
    assert metrics["a"].prior == pytest.approx((9, 1e-4, math.inf))
    assert metrics["b"].prior == pytest.approx((9, 4e-2, math.inf))


def test_history_of_a_history_is_not_counted_twice():
    bare = bands_of(SDS)
    own = [[score - 0.25 for score in past.metrics["accuracy"].scores] for past in bare]
    moderated = [fit_band({"accuracy": scores}, history=bare) for scores in own]
    assert all(past.metrics["accuracy"].noise_sd != past.metrics["accuracy"].sd for past in moderated)
    alone = fitted([fit_band({"accuracy": scores}) for scores in own])
    assert fitted(moderated).metrics["accuracy"].prior == alone.metrics["accuracy"].prior


def settled(band, candidates, rule):
    """Candidates are drawn while the verdict is suspect."""
    for k in (1, 2, 3):
        looks = k - 1 if rule == "retest" else 0
        status = band.judge({"m": candidates[:k]}, rule=rule, looks=looks, same_evaluators=True).status
        if status != "suspect":
            return status
    raise AssertionError(status)


@pytest.mark.parametrize("n", [3, 4])
def test_unchanged_recipes_are_stopped_as_often_as_the_level_says(n):
    draw, failed = np.random.default_rng(n), {"retest": 0, "t": 0}
    for _ in range(4000):
        history = [fit_band({"m": scores}) for scores in draw.standard_normal((4, 4)).tolist()]
        band = fit_band({"m": draw.standard_normal(n).tolist()}, history=history)
        candidates = draw.standard_normal(3).tolist()
        for rule in failed:
            failed[rule] += settled(band, candidates, rule) == "fail"
    assert {rule: 0.035 < count / 4000 < 0.065 for rule, count in failed.items()} == {"retest": True, "t": True}, failed


def test_third_look_has_the_level_that_the_history_is_worth():
    own = scores_of(0.01)
    band = fitted(bands_of([0.01] * 4, n=3), own)
    assert band.metrics["accuracy"].prior.df == 8
    verdicts = [
        band.judge({"accuracy": [0.887, 0.887, y]}, looks=2).metrics["accuracy"] for y in np.linspace(0.88, 0.91, 400)
    ]
    assert all(m.reason.startswith("look 3") for m in verdicts)
    failed = max(m.p_value for m in verdicts if m.status == "fail")
    passed = min(m.p_value for m in verdicts if m.status == "pass")
    # .069 at d0 = 8, where it is .057 without history.
    assert (failed, passed) == (pytest.approx(0.069, abs=1.5e-3), pytest.approx(0.069, abs=1.5e-3))


def test_drop_that_is_told_is_stopped_with_80_percent():
    draw, stopped = np.random.default_rng(8), {"retest": 0, "t": 0}
    for _ in range(2000):
        history = [fit_band({"m": scores}) for scores in draw.standard_normal((4, 4)).tolist()]
        band = fit_band({"m": draw.standard_normal(4).tolist()}, history=history)
        for rule in stopped:
            told = band.judge({"m": 0.0}, rule=rule).metrics["m"].detectable_drop / band.metrics["m"].noise_sd
            candidates = (draw.standard_normal(3) - told).tolist()
            stopped[rule] += settled(band, candidates, rule) == "fail"
    assert {rule: count / 2000 for rule, count in stopped.items()} == pytest.approx({"retest": 0.8, "t": 0.8}, abs=0.04)


def test_recipe_names_its_history_relative_to_itself(tiny_heads, tmp_path):
    folder = Path(shutil.copytree(tiny_heads.folder, tmp_path / "tiny"))
    band = load_band(folder / "band.json")
    past = []
    for number, sd in ((1, 0.01), (2, 0.02)):
        seeds = tuple(range(100 * number, 100 * number + len(band.seeds)))
        moved = {
            metric: replace(own, scores=tuple(scores_of(sd, own.n, own.mean)), seeds=seeds)
            for metric, own in band.metrics.items()
        }
        past.append(replace(band, metrics=moved))
        past[-1].save(folder / "past" / f"past{number}.json")
    gate = {"gate_history": '["past/past1.json", "past/past2.json"]', "gate_metrics": '["log_loss", "accuracy"]'}
    text = recipe_text(train_method='"head"', train_epochs="10", **gate)
    (folder / "seedband.toml").write_text(text.replace("past2", "none"), encoding="utf-8")
    sweep = ("sweep", "--config", folder / "seedband.toml", "--seeds", "3", "--out", folder / "runs")
    lost = run_cli(*sweep, "--band", folder / "band.json", "--dry-run", cwd=tmp_path)
    assert lost.code == 2
    assert "past/none.json: no such file" in lost.err

    (folder / "seedband.toml").write_text(text, encoding="utf-8")
    done = run_cli(*sweep, "--band", folder / "band.json", "-q", cwd=tmp_path)
    assert done.code == 0, done.err
    fresh = load_band(folder / "band.json")
    assert fresh.metrics["accuracy"].scores == band.metrics["accuracy"].scores
    assert fresh.gates == ("log_loss", "accuracy")
    assert {name: metric.alpha for name, metric in fresh.metrics.items()} == {
        "accuracy": 0.025,
        "f1_macro": 0.05,
        "log_loss": 0.025,
    }
    assert fresh.metrics["f1_macro"].prior == pytest.approx(fit_prior([0.01, 0.02], [2, 2]))
    assert fresh.provenance["history"] == {"bands": 2, "comparability": "on record", "scores_sha256": recorded(past)}
