"""Signatures: what must match, what must match where both know it, and what is only shown."""

import json
import tomllib

import pytest
from signatures import FULL, SCORED, changed
from tiny import recipe_text

from seedband.recipe import parse_recipe
from seedband.signature import COMPARED, IMPLIED, NAMES, differences, forbidding, of_training


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
