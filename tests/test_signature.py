"""Signatures: what must match, what must match where both know it, and what is only shown."""

import json
import tomllib

import pytest
from signatures import FULL, SCORED, changed, run_record
from tiny import recipe_text

from seedband.recipe import parse_recipe
from seedband.signature import COMPARED, IMPLIED, NAMES, TEXTS, changed_keys, differences, forbidding, of_training


def test_equal_signatures_do_not_differ():
    assert differences(FULL, json.loads(json.dumps(FULL))) == []


def test_every_compared_key_is_on_record_and_named():
    assert COMPARED.keys() == NAMES.keys()
    assert {key.partition(".")[0] for key in COMPARED} == FULL.keys()


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("base.sha256", "ef" * 32, "base.sha256"),
        ("task", "other", "task"),
        ("eval_data.sha256", "ef" * 32, "eval_data.sha256"),
        ("evaluators.accuracy.version", "2", "evaluators"),
        ("scoring.batch_size", 32, "scoring"),
        ("scoring.max_length", 64, "scoring"),
        ("labels", ["metal", "fruit"], "labels"),
        ("file_version", 2, "file_version"),
        ("initializers.head", "other", "initializers"),
        ("vary", ["init"], "vary"),
        ("seeding_version", 99, "seeding_version"),
        ("method", "head", "method"),
        ("environment.torch", "2.14.0", "environment"),
        ("environment.device", "cuda", "environment"),
    ],
)
def test_names_what_differs(path, value, key):
    [found] = differences(FULL, changed(path, value))
    assert (found.key, found.need) == (key, COMPARED[key])
    assert str(found).startswith(f"{NAMES[key]}: band has ")
    assert forbidding([found], strict=True) == [found]
    assert forbidding([found], strict=False) == ([] if key in {"method", "environment"} else [found])


@pytest.mark.parametrize("key", COMPARED)
def test_a_missing_record_forbids_only_where_it_must_match(key):
    for pair in ((FULL, changed(key, None)), (changed(key, None), FULL)):
        found = differences(*pair)
        assert [difference.key for difference in found] == (
            [key] if COMPARED[key] == "must" and key not in IMPLIED else []
        )


def test_without_a_version_of_padding_it_is_the_first():
    old, new = changed("padding", None), changed("padding", 2)
    [band], [candidate] = differences(old, new), differences(new, old)
    told = "was made with wrong padding: sweep again, or rescore its checkpoints"
    assert (str(band), str(candidate)) == (f"band {told}", f"candidate {told}")
    assert band.need == candidate.need == "must"


def test_a_candidate_trained_elsewhere_is_comparable():
    assert differences(FULL, SCORED) == []
    assert differences(SCORED, FULL) == []


def test_an_initializer_that_one_side_lacks_is_no_difference():
    assert differences(FULL, changed("initializers.lora", None)) == []
    assert differences(changed("initializers.lora", None), changed("initializers.head", None)) == []


def test_forbidding_differences_come_first():
    other = changed(
        "environment.torch", "1", changed("vary", ["init"], changed("labels", ["x"], changed("method", "head")))
    )
    assert [found.need for found in differences(FULL, other)] == ["must", "recorded", "shown", "shown"]


def test_names_the_argument_of_the_evaluator_that_differs():
    [found] = differences(FULL, changed("evaluators.f1_macro.args.zero_division", 1.0))
    assert "f1_macro" in str(found)
    assert "zero_division = 0.0" in str(found)
    assert "zero_division = 1.0" in str(found)
    assert "accuracy" not in str(found)


def test_names_the_evaluator_that_is_missing():
    [found] = differences(FULL, changed("evaluators.f1_macro", None))
    assert str(found).endswith("candidate has f1_macro = nothing on record")


def test_hashes_and_long_values_are_cut_short():
    [found] = differences(FULL, changed("base.sha256", None))
    assert str(found) == "base weights: band has abababababab…, candidate has nothing on record"
    [found] = differences(FULL, changed("labels", ["label"] * 200))
    assert len(str(found).rpartition("candidate has ")[2]) == 160


@pytest.mark.parametrize(
    ("method", "initializers"), [("lora", {"head": "normal", "lora": "kaiming"}), ("head", {"head": "normal"})]
)
def test_records_the_initializers_that_were_used(method, initializers):
    recipe = parse_recipe(tomllib.loads(recipe_text(train_method=f'"{method}"', seeds_vary='["order", "init"]')), "x")
    record = of_training(recipe)
    assert (record["initializers"], record["vary"], record["method"]) == (initializers, ["init", "order"], method)


@pytest.mark.parametrize("path", ["encoded.sha256", "base.config_sha256"])
def test_rows_and_config_as_the_model_reads_them_forbid_where_both_are_known(path):
    [found] = differences(FULL, changed(path, "ef" * 32))
    assert found.key == path
    assert forbidding([found], strict=False) == [found]


@pytest.mark.parametrize(("older", "forbids"), [(None, False), ("encoded", True), ("base.config_sha256", True)])
def test_files_of_a_tokenizer_count_only_where_a_record_knows_no_more(older, forbids):
    other = changed("scoring.config_and_tokenizer", "ef" * 32)
    band = FULL if older is None else changed(older, None)
    for pair in ((band, other), (other, band)):
        assert bool(differences(*pair)) == forbids


def test_files_of_a_tokenizer_count_where_it_also_makes_the_answers():
    band = changed("task", TEXTS)
    assert differences(band, changed("scoring.config_and_tokenizer", "ef" * 32, band))


def test_rows_of_a_language_model_are_known_by_the_hash_that_earlier_releases_had_elsewhere():
    generation = {"max_new_tokens": 8, "ends": [2]}
    new = changed("scoring.generation", generation)
    old = changed("scoring.generation", {**generation, "tokens": FULL["encoded"]["sha256"]}, changed("encoded", None))
    assert differences(old, new) == differences(new, old) == []
    [found] = differences(old, changed("encoded.sha256", "ef" * 32, new))
    assert found.key == "encoded.sha256"


@pytest.mark.parametrize("known", ["cd", "ab"])
def test_a_file_whose_lines_end_otherwise_holds_the_same_rows(known):
    other = changed("eval_data", {"sha256": "99" * 32, "also": [known * 32]})
    for pair in ((FULL, other), (other, FULL)):
        assert bool(differences(*pair)) == (known == "ab")


def test_a_recipe_is_the_same_while_its_rows_are_and_its_tokenizer():
    first, second = run_record(0), run_record(0)
    second["provenance"]["data"]["train"] = {"path": "x", "sha256": "ef" * 32, "also": ["cd" * 32]}
    assert changed_keys(first, second) == changed_keys(second, first) == []
    second["provenance"]["data"]["eval"] = {"path": "x", "sha256": "ef" * 32, "also": []}
    assert changed_keys(first, second) == ["data.eval (other rows)"]
    third = run_record(0)
    third["provenance"]["base"]["further_sha256"] = "ef" * 32
    assert changed_keys(first, third) == ["model.base (other tokenizer)"]
    del first["provenance"]["base"]["further_sha256"]
    assert changed_keys(first, third) == []
