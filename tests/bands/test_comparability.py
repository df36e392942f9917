"""Signatures: what must match, what must match where both know it, and what is only shown."""

import json
import tomllib
from dataclasses import replace

import pytest
from signatures import EVALUATORS, FACTS, FULL, READ, SCORED, SCORING, changed, recorded
from tiny import recipe_text

from seedband.bands.comparability import (
    COMPARED,
    IMPLIED,
    NAMES,
    differences,
    forbidding,
    in_words,
    of_scoring,
    of_training,
    unpaired,
)
from seedband.recipe.identity import REPLACED, changed_keys, changed_training
from seedband.recipe.parse import parse_recipe

#: Without one of these on record there is no verdict.
NEEDED = {"base.sha256", "task", "eval_data.sha256", "evaluators", "scoring", "labels", "file_version"}


def test_equal_signatures_do_not_differ():
    assert differences(FULL, json.loads(json.dumps(FULL))) == []


def test_every_compared_key_is_on_record_and_named():
    assert COMPARED.keys() == NAMES.keys()
    assert {key.partition(".")[0] for key in COMPARED} == FULL.keys()


@pytest.mark.parametrize(
    ("path", "value", "key", "name"),
    [
        ("base.sha256", "ef" * 32, "base.sha256", "base weights"),
        ("task", "other", "task", "task"),
        ("eval_data.sha256", "ef" * 32, "eval_data.sha256", "eval data"),
        ("evaluators.accuracy.version", "2", "evaluators", "evaluators"),
        ("scoring.batch_size", 32, "scoring", "scoring settings"),
        ("scoring.max_length", 64, "scoring", "scoring settings"),
        ("labels", ["metal", "fruit"], "labels", "label set and order"),
        ("file_version", 2, "file_version", "seedband file version"),
        ("initializers.head", "other", "initializers", "initializer"),
        ("vary", ["init"], "vary", "streams that vary"),
        ("seeding_version", 99, "seeding_version", "seeding version"),
        ("trained_padding", 9, "trained_padding", "version of how rows were padded in training"),
        ("method", "head", "method", "method"),
        ("environment.torch", "2.14.0", "environment", "environment"),
        ("environment.device", "cuda", "environment", "environment"),
        ("environment.peft", "0.1", "environment", "environment"),
        ("encoded.sha256", "ef" * 32, "encoded.sha256", "eval rows as the model reads them"),
        ("base.config_sha256", "ef" * 32, "base.config_sha256", "base config"),
    ],
)
def test_names_what_differs(path, value, key, name):
    [found] = differences(FULL, changed(path, value))
    assert (found.key, found.need) == (key, COMPARED[key])
    assert str(found).startswith(f"{name}: band has ")
    assert NAMES[key] == name
    assert forbidding([found], strict=True) == [found]
    shown = key in {"method", "environment", "trained_padding"}
    assert forbidding([found], strict=False) == ([] if shown else [found])


@pytest.mark.parametrize("key", COMPARED)
def test_a_missing_record_forbids_only_where_it_must_match(key):
    for pair in ((FULL, changed(key, None)), (changed(key, None), FULL)):
        found = differences(*pair)
        assert [difference.key for difference in found] == ([key] if key in NEEDED and key not in IMPLIED else [])


@pytest.mark.parametrize("edited", ["", None, [2], {"padding": 2}])
def test_a_version_of_padding_that_is_no_number_is_told_as_one_of_old(edited):
    assert in_words("padding", 1, edited) == in_words("padding", 2, 1)
    assert in_words("padding", edited, 1) == in_words("padding", 1, 2)


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
    band = changed("task", "causal-lm")
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
    first, second = recorded(), recorded()
    second.provenance["data"]["train"] = {"path": "x", "sha256": "ef" * 32, "also": ["cd" * 32]}
    assert changed_keys(first, second) == changed_keys(second, first) == []
    second.provenance["data"]["eval"] = {"path": "x", "sha256": "ef" * 32, "also": []}
    assert changed_keys(first, second) == ["data.eval (other rows)"]
    third = recorded()
    third.provenance["base"]["further_sha256"] = "ef" * 32
    assert changed_keys(first, third) == ["model.base (other tokenizer)"]
    del first.provenance["base"]["further_sha256"]
    assert changed_keys(first, third) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("data", "train", "elsewhere"),
        ("data", "eval", "elsewhere"),
        ("data", "name", "other"),
        ("data", "version", "2"),
        ("model", "base", "elsewhere"),
        ("model", "revision", "main"),
        ("gate", "rule", "t"),
        ("gate", "alpha", 0.01),
        ("gate", "metrics", ["loss"]),
        ("gate", "history", ["band.json"]),
        ("train", "save_steps", 7),
        ("train", "timeout_s", 60),
        ("train", "retries", 2),
        ("log", "to", ["x"]),
    ],
)
def test_where_things_lie_and_how_they_are_judged_may_change_within_a_sweep(section, key, value):
    first, second = recorded(), recorded()
    second.recipe.setdefault(section, {})[key] = value
    assert changed_keys(first, second) == []
    second.recipe["train"]["epochs"] = 77
    assert changed_keys(first, second) == ["train.epochs"]


def test_what_only_scores_read_gives_no_other_weights():
    first, second = recorded(), recorded()
    second.recipe["score"]["batch_size"] = 1
    second.recipe["generation"]["max_new_tokens"] = 1
    second.recipe["evaluate"] = []
    assert changed_training(first, second) == []
    assert {key.partition(".")[0] for key in changed_keys(first, second)} == {"score", "generation", "evaluate"}
    second.provenance["base"]["files_sha256"] = "99" * 32
    assert changed_training(first, second) == ["model.base (other config or tokenizer)"]
    second.provenance["base"] |= {"files_sha256": "cd" * 32, "sha256": "99" * 32}
    assert changed_training(first, second) == ["model.base (other weights)"]


@pytest.mark.parametrize("key", ["seeding_version", "vary", "initializers"])
def test_runs_of_one_seed_share_their_draws_only_where_both_have_on_record_how_they_were_drawn(key):
    assert unpaired(FULL, FULL) == []
    for other in (changed(key, None), changed(key, "other")):
        [found] = unpaired(FULL, other)
        assert (found.key, found.need) == (key, "must")
        assert [found.key for found in unpaired(other, FULL)] == [key]
    lacking = changed(key, None)
    assert [found.key for found in unpaired(lacking, lacking)] == [key]


@pytest.mark.parametrize(
    ("text", "told"), [("x" * 160, "x" * 160), ("x" * 161, "x" * 159 + "…"), ("f" * 64, "f" * 12 + "…")]
)
def test_a_value_is_told_whole_while_it_fits(text, told):
    assert in_words("task", text, None) == f"task: band has {told}, candidate has nothing on record"


def test_a_head_in_place_of_the_bases_own_is_on_record():
    recipe = parse_recipe(tomllib.loads(recipe_text()), "x")
    drawn = [{"distribution": "normal(0, 0.02)"}, {"distribution": f"normal(0, 0.02){REPLACED}"}]
    assert of_training(recipe, 2, drawn)["initializers"]["head"] == recipe.init.head + REPLACED
    assert of_training(recipe, 2, drawn[:1])["initializers"]["head"] == recipe.init.head
    assert of_training(recipe, 2)["trained_padding"] == 2


def test_how_a_script_draws_and_pads_is_not_on_record():
    recipe = parse_recipe(tomllib.loads(recipe_text()), "x")
    recipe = replace(recipe, train=replace(recipe.train, command=("python", "train.py")))
    record = of_training(recipe, 2)
    assert record["initializers"] == {}
    assert "trained_padding" not in record


def test_what_answers_and_pixels_depend_on_is_on_record_for_their_tasks_alone():
    texts, images = (
        of_scoring(replace(SCORING, task=task), "cd" * 32, EVALUATORS, FACTS, {"ends": [2]}, READ._replace(also=("x",)))
        for task in ("causal-lm", "image-classification")
    )
    assert texts["scoring"]["generation"] == {"max_new_tokens": 64, "ends": [2]}
    assert "generation" not in images["scoring"]
    assert images["environment"].pop("pillow")
    assert images["environment"] == texts["environment"]
    assert texts["eval_data"] == {"sha256": "cd" * 32, "also": ["x"]}
    assert texts["padding"] == 1
    assert texts["environment"] == {
        "fingerprint": "f00",
        "device": "cpu",
        "torch": "2.13.0",
        "transformers": None,
        "peft": "0.21.0",
    }
    assert texts["scoring"]["precision"] == "fp32"
