"""Pairs: which candidates share their draws with the band, and what their items say about a difference."""

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from signatures import a_run, changed, run_record

from seedband import Refused, fit_band, load_band
from seedband.bands.comparability import unpaired
from seedband.commands.check.candidates import Found
from seedband.commands.check.pairs import item_floors, shared_seeds
from seedband.models.model_folders import CheckpointFiles
from seedband.runs import run_file
from seedband.storage import file_hashes, json_files

SIGNATURE = {
    "eval_data": {"sha256": "ab" * 32},
    "evaluators": {"accuracy": {"version": "1"}, "log_loss": {"version": "1"}, "f1": {"version": "1"}},
    "initializers": {"head": "normal", "lora": "kaiming"},
    "vary": ["dropout", "init", "order"],
    "seeding_version": 2,
}
M = 40
tables = arrays.arrays(float, (3, M), elements=st.sampled_from([0.0, 1.0]))


def found(seed, signature=SIGNATURE, **changes):
    run = a_run(seed, signature=signature, **changes)
    return Found(CheckpointFiles("head", "new", f"new/seed-{seed}"), run)


def on_disk(path):
    return Found(CheckpointFiles("head", str(path), path.name), run_file.read_run(path))


def write_run(folder, seed, scores, signature=SIGNATURE):
    """A finished run as far as pairs look into it: its record and its items."""
    folder.mkdir(parents=True)
    n_items = len(next(iter(scores.values())))
    columns = dict.fromkeys(("item", "label", "prediction"), ["x"] * n_items) | {"logits": [[0.5, 0.25]] * n_items}
    table = pd.DataFrame(columns | {f"score:{name}": values for name, values in scores.items()})
    table.to_parquet(folder / "items.parquet")
    sha256 = file_hashes.file_sha256(folder / "items.parquet")
    json_files.write_json(folder / "run.json", "run", run_record(seed, signature=signature, items_sha256=sha256))
    return sha256


def make(folder, baseline, candidate, signature=SIGNATURE):
    """A band over runs that lie beside it, and candidates of the same seeds, in the order 1, 2, 0."""
    n = len(baseline["accuracy"])
    items = {
        str(seed): write_run(
            folder / "runs" / f"seed-{seed}", seed, {name: table[seed] for name, table in baseline.items()}
        )
        for seed in range(n)
    }
    fit_band(
        {**{name: table.mean(axis=1) for name, table in baseline.items()}, "f1": [0.5, 0.6, 0.7][:n]},
        primary="accuracy",
        lower_is_better=["log_loss"],
        items=baseline,
        provenance={"runs": "runs", "items": items, "signature": SIGNATURE},
    ).save(folder / "band.json")
    order = [*range(1, n), 0]
    for seed in order:
        scores = {name: table[seed] for name, table in candidate.items()}
        write_run(folder / "new" / f"seed-{seed}", seed, scores, signature)
    entries = [on_disk(folder / "new" / f"seed-{seed}") for seed in order]
    return load_band(folder / "band.json"), entries


def draw(seed=0):
    random = np.random.default_rng(seed)
    return {"accuracy": random.integers(0, 2, (3, M)).astype(float), "log_loss": random.exponential(size=(3, M))}


STEPS = {"accuracy": 1 / M, "log_loss": 0.0, "f1": 0.0}


@pytest.fixture
def band():
    return fit_band({"accuracy": [0.8, 0.81, 0.82]}, provenance={"signature": SIGNATURE})


def test_equal_draws_have_no_reason_against_them():
    assert unpaired(SIGNATURE, copy.deepcopy(SIGNATURE)) == []
    other = changed("eval_data.sha256", "cd" * 32, SIGNATURE)
    assert unpaired(SIGNATURE, {**other, "method": "lora"}) == []


def test_seeds_come_from_the_records_in_the_order_given(band):
    assert shared_seeds(band, [found(2), found(0), found(1)]) == [2, 0, 1]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("vary", ["order"], "streams that vary: band has ['dropout', 'init', 'order'], candidate has ['order']"),
        ("seeding_version", 1, "seeding version: band has 2, candidate has 1"),
        ("initializers.lora", "gaussian", "initializer: band has"),
        ("initializers.lora", None, "initializer: band has"),
        ("vary", None, "streams that vary: .* candidate has nothing on record"),
        ("seeding_version", None, "seeding version: .* candidate has nothing on record"),
    ],
)
def test_refuses_other_draws_even_where_a_record_is_missing(band, path, value, told):
    other = changed(path, value, SIGNATURE)
    told = told.replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(Refused, match=f"new/seed-1 has no pair: {told}"):
        shared_seeds(band, [found(0), found(1, other)])
    if value is None and path in other.keys() ^ SIGNATURE.keys():
        older = fit_band({"accuracy": [0.8, 0.81]}, provenance={"signature": other})
        with pytest.raises(Refused, match="band has"):
            shared_seeds(older, [found(0, other)])


def test_refuses_a_candidate_without_a_record(band):
    plain = Found(CheckpointFiles("head", "plain", "plain"), None)
    for strange in (plain, found(1, signature=None)):
        with pytest.raises(Refused, match="no run record says under which seed") as caught:
            shared_seeds(band, [found(0), strange])
        assert "--pairs K --recipe FILE" in caught.value.hint


def test_a_run_that_left_nothing_to_score_keeps_its_seed(band):
    diverged = found(1, signature=None, failure="loss is not finite", evaluations=())
    assert shared_seeds(band, [found(0), diverged]) == [0, 1]


@given(tables, tables)
@settings(max_examples=25)
def test_floor_is_what_the_items_of_the_differences_allow(tmp_path_factory, ours, theirs):
    graded = draw()["log_loss"]
    baseline, candidate = {"accuracy": ours, "log_loss": graded}, {"accuracy": theirs, "log_loss": graded * 1.5}
    floors = item_floors(*make(tmp_path_factory.mktemp("pairs"), baseline, candidate))
    for name, table in baseline.items():
        difference = candidate[name] - table
        expected = np.sqrt(difference.var(axis=0, ddof=1).mean() / M)
        assert floors[name] == pytest.approx(max(expected, STEPS[name]))
    assert floors["f1"] == 0.0


def test_equal_items_leave_the_smallest_step_of_the_score(tmp_path):
    assert item_floors(*make(tmp_path, draw(), draw())) == STEPS


@pytest.mark.parametrize("count", [M, M - 10])
def test_items_of_another_eval_set_are_left_alone(tmp_path, count):
    other = {name: table[:, :count] for name, table in draw(1).items()}
    signature = changed("eval_data.sha256", "cd" * 32, SIGNATURE)
    assert item_floors(*make(tmp_path, draw(), other, signature)) == STEPS


def test_items_of_another_evaluator_are_left_alone(tmp_path):
    signature = changed("evaluators.accuracy.version", "2", SIGNATURE)
    floors = item_floors(*make(tmp_path, draw(), draw(1), signature))
    assert floors["accuracy"] == STEPS["accuracy"]
    assert floors["log_loss"] > 0


def test_a_metric_that_the_candidates_lack_has_no_floor_of_items(tmp_path):
    floors = item_floors(*make(tmp_path, draw(), {"accuracy": draw(1)["accuracy"]}))
    assert floors["accuracy"] > STEPS["accuracy"]
    assert floors["log_loss"] == 0.0


def test_without_the_items_of_the_band_the_smallest_step_is_the_floor(tmp_path):
    band, entries = make(tmp_path, draw(), draw(1))
    write_run(tmp_path / "runs" / "other", 1, {"accuracy": draw(2)["accuracy"][1]})
    (tmp_path / "runs" / "other" / "items.parquet").replace(tmp_path / "runs" / "seed-1" / "items.parquet")
    assert item_floors(band, entries) == STEPS
    (tmp_path / "runs" / "seed-1" / "items.parquet").unlink()
    assert item_floors(band, entries) == STEPS
    assert item_floors(band, entries[1:])["accuracy"] > STEPS["accuracy"]


def test_one_pair_or_a_seed_beyond_the_band_is_left_to_the_rule(tmp_path):
    band, entries = make(tmp_path, draw(), draw(1))
    assert item_floors(band, entries[:1]) == STEPS
    write_run(tmp_path / "new" / "seed-7", 7, {"accuracy": draw(2)["accuracy"][0]})
    assert item_floors(band, [*entries, on_disk(tmp_path / "new" / "seed-7")]) == STEPS
