"""The cohort split against pandas: what failed where, under which seed, and whether seeds differ beyond chance."""

import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tiny import run_cli

from seedband import Refused, UsageError, fit_band, load_band
from seedband.runs.cohorts import split
from seedband.storage import file_hashes, json_files


@pytest.fixture(scope="module")
def items(tiny_swept):
    """The items of every seed, one under the other."""
    tables = {seed: pd.read_parquet(tiny_swept.runs / f"seed-{seed}" / "items.parquet") for seed in range(4)}
    table = pd.concat(tables, names=["seed"]).reset_index("seed")
    return table.assign(wrong=table["label"] != table["prediction"], channel=table["slice:channel"])


def q_test(table):
    """Cochran's Q by its textbook formula: `table` holds 0 or 1, a row per seed and a column per item."""
    k, seeds, rows = len(table), table.sum(axis=1), table.sum(axis=0)
    q = (k - 1) * (k * (seeds**2).sum() - seeds.sum() ** 2) / (k * rows.sum() - (rows**2).sum())
    return q, stats.chi2.sf(q, k - 1)


def by_seed(items, column):
    return items.pivot_table(index="seed", columns="item", values=column).to_numpy(dtype=float)


def change_run(folder, seed, record=None, **columns):
    """Another content of a finished run's record and items, sealed as a sweep would have."""
    path = folder / f"seed-{seed}"
    table = pd.read_parquet(path / "items.parquet").assign(**columns)
    table.to_parquet(path / "items.parquet", index=False)
    run = json_files.read_json(path / "run.json", "run")
    run |= {"items_sha256": file_hashes.file_sha256(path / "items.parquet"), **(record or {})}
    body = {key: value for key, value in run.items() if key not in ("format", "version")}
    json_files.write_json(path / "run.json", "run", body)


@pytest.mark.parametrize("by", ["seed", "channel"])
def test_rates_are_what_each_seed_gets_wrong(tiny_swept, items, by):
    accuracy, loss = split(tiny_swept.runs, by)
    assert (accuracy.metric, accuracy.binary, loss.metric, loss.binary) == ("accuracy", True, "log_loss", False)
    assert accuracy.seeds == loss.seeds == (0, 1, 2, 3)
    expected = {"all": items} if by == "seed" else {"all": items, **dict(tuple(items.groupby("channel")))}
    assert [cohort.name for cohort in accuracy.cohorts] == list(expected) == [cohort.name for cohort in loss.cohorts]
    for cohort, graded in zip(accuracy.cohorts, loss.cohorts, strict=True):
        part = expected[cohort.name]
        assert cohort.n_items == graded.n_items == len(part) / 4
        assert cohort.rates == pytest.approx(tuple(part.groupby("seed")["wrong"].mean()))
        assert graded.rates == pytest.approx(tuple(part.groupby("seed")["score:log_loss"].mean()))
    scores = load_band(tiny_swept.band).metrics
    assert [1 - rate for rate in accuracy.cohorts[0].rates] == pytest.approx(scores["accuracy"].scores)
    assert loss.cohorts[0].rates == pytest.approx(scores["log_loss"].scores)


def test_tests_are_cochrans_and_friedmans_with_holms_correction_over_slices(tiny_swept, items):
    accuracy, loss = split(tiny_swept.runs, "channel")
    parts = [items, *(part for _, part in items.groupby("channel"))]
    exact = [q_test(by_seed(part, "wrong")) for part in parts]
    ranked = [stats.friedmanchisquare(*by_seed(part, "score:log_loss")) for part in parts]
    for found, expected in ((accuracy, exact), (loss, ranked)):
        tests = [cohort.test for cohort in found.cohorts]
        assert {test.name for test in tests} == {"Cochran's Q" if found is accuracy else "Friedman"}
        assert {test.df for test in tests} == {3}
        assert [(test.statistic, test.p_value) for test in tests] == [pytest.approx(tuple(pair)) for pair in expected]
        overall, *p = [cohort.test.p_value for cohort in found.cohorts]
        smaller, larger = min(2 * min(p), 1), max(2 * min(p), *p)
        assert p[0] != p[1]
        adjusted = [smaller if value == min(p) else min(larger, 1) for value in p]
        assert [cohort.p_adjusted for cohort in found.cohorts] == pytest.approx([overall, *adjusted])


def test_noise_is_told_by_its_sources(tiny_swept, items):
    accuracy, _ = split(tiny_swept.runs, "seed")
    band, table = load_band(tiny_swept.band).metrics["accuracy"], by_seed(items, "wrong")
    assert (accuracy.seed_sd, accuracy.floor) == (pytest.approx(band.sd), pytest.approx(band.floor))
    pairs = [np.mean(one != other) for one, other in itertools.combinations(table, 2)]
    assert accuracy.churn == pytest.approx(np.mean(pairs))
    rates = items.groupby("item")["wrong"].mean()
    assert accuracy.item_se == pytest.approx(rates.std() / np.sqrt(150))
    assert accuracy.clustered_se is None
    parts = accuracy.parts
    assert parts.seed_variance + parts.residual_variance / 150 == pytest.approx(band.sd**2)
    residual = table - table.mean(axis=0) - table.mean(axis=1)[:, None] + table.mean()
    assert parts.residual_variance == pytest.approx((residual**2).sum() / (3 * 149))


@pytest.mark.parametrize("slices", [2, 9, 10, 15])
def test_items_are_clustered_by_slices_from_ten_on(swept, items, slices):
    names = dict(zip(sorted(items["item"].unique()), itertools.cycle(f"s{i:02}" for i in range(slices)), strict=False))
    for seed in range(4):
        table = pd.read_parquet(swept.runs / f"seed-{seed}" / "items.parquet")
        change_run(swept.runs, seed, **{"slice:channel": table["item"].map(names)})
    accuracy, loss = split(swept.runs, "channel")
    assert len(accuracy.cohorts) == 1 + slices
    if slices < 10:
        assert (accuracy.clustered_se, loss.clustered_se) == (None, None)
        return
    for found, column in ((accuracy, "wrong"), (loss, "score:log_loss")):
        rates = items.groupby("item")[column].mean()
        sums = (rates - rates.mean()).groupby(names).sum()
        expected = np.sqrt(slices / (slices - 1) * (sums**2).sum()) / 150
        assert found.clustered_se == pytest.approx(expected)


def test_band_leads_to_its_runs(swept):
    assert split(swept.band, "channel") == split(swept.runs, "channel")
    swept.runs.rename(swept.folder / "moved")
    with pytest.raises(UsageError, match=r"runs: no sweep; .*band.json was made from it") as caught:
        split(swept.band, "seed")
    assert caught.value.hint == "name the folder of the sweep"
    assert split(swept.folder / "moved", "seed")


def test_refuses_what_has_no_items_or_no_such_slice(tiny_swept, tmp_path):
    with pytest.raises(UsageError, match="--by source: no such slice; there are seed, channel"):
        split(tiny_swept.runs, "source")
    with pytest.raises(UsageError, match=re.escape(f"{tmp_path}: no sweep")):
        split(tmp_path, "seed")
    fit_band({"accuracy": [0.8, 0.9]}).save(tmp_path / "band.json")
    with pytest.raises(UsageError, match="made from bare scores"):
        split(tmp_path / "band.json", "seed")


def test_seeds_that_failed_to_train_are_no_part_and_two_others_are_needed(swept, items):
    change_run(swept.runs, 1, {"status": "failed", "failure": "loss is not finite"})
    accuracy, _ = split(swept.runs, "seed")
    healthy = items[items["seed"] != 1]
    assert accuracy.seeds == (0, 2, 3)
    assert accuracy.cohorts[0].rates == pytest.approx(tuple(healthy.groupby("seed")["wrong"].mean()))
    assert accuracy.cohorts[0].test.statistic == pytest.approx(q_test(by_seed(healthy, "wrong"))[0])
    for seed in (0, 2):
        change_run(swept.runs, seed, {"status": "failed", "failure": "loss is not finite"})
    with pytest.raises(Refused, match="1 healthy seed; a split over seeds needs at least 2"):
        split(swept.runs, "seed")


def test_items_that_lack_a_score_under_a_seed_are_left_out_of_its_metric(swept):
    table = pd.read_parquet(swept.runs / "seed-2" / "items.parquet")
    change_run(swept.runs, 2, **{"score:log_loss": table["score:log_loss"].where(table.index != 7)})
    accuracy, loss = split(swept.runs, "channel")
    assert accuracy.cohorts[0].n_items == len(table)
    assert loss.cohorts[0].n_items == len(table) - 1
    counts = {cohort.name: cohort.n_items for cohort in loss.cohorts}
    assert counts[table["slice:channel"][7]] == (table["slice:channel"] == table["slice:channel"][7]).sum() - 1


def test_a_metric_that_scores_no_item_under_some_seed_is_refused(swept):
    table = pd.read_parquet(swept.runs / "seed-2" / "items.parquet")
    change_run(swept.runs, 2, **{"score:log_loss": table["score:log_loss"] * float("nan")})
    with pytest.raises(Refused, match="log_loss: 0 items have a score under every seed"):
        split(swept.runs, "seed")


def test_slices_are_shown_by_their_names_whatever_they_are(swept):
    table = pd.read_parquet(swept.runs / "seed-0" / "items.parquet")
    change_run(swept.runs, 0, **{"slice:channel": table["slice:channel"].replace({"chat": "[/chat]", "email": "[b]e"})})
    done = run_cli("show", swept.runs, "--by", "channel")
    assert done.code == 0, done.err
    assert [done.out.count(f"│ {name} ") for name in ("[/chat]", "[b]e")] == [2, 2]


def test_edited_records_and_items_are_refused(swept):
    path = swept.runs / "seed-3" / "items.parquet"
    table = pd.read_parquet(path)
    table.assign(**{"score:accuracy": 1.0}).to_parquet(path, index=False)
    with pytest.raises(Refused, match=r"seed-3/items.parquet is missing or not the one that run.json records"):
        split(swept.runs, "seed")
    record = swept.runs / "seed-3" / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"items_sha256": file_hashes.file_sha256(path)}))
    with pytest.raises(Refused, match="sha256"):
        split(swept.runs, "seed")
