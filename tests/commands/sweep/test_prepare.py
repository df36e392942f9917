"""Mistakes that only the recipe as a whole shows, told before any work."""

import json
import shutil
from dataclasses import replace

import pytest
from tiny import Tiny, generation_text, recipe_text
from tiny_decoder import make_tiny_decoder

from seedband.commands.sweep.prepare import prepare
from seedband.errors import UsageError
from seedband.recipe import identity
from seedband.recipe.parse import load_recipe


def problems(tiny: Tiny, tmp_path, text: str):
    folder = Tiny(shutil.copytree(tiny.folder, tmp_path / "tiny"))
    folder.config.write_text(text)
    with pytest.raises(UsageError) as told:
        prepare(load_recipe(folder.config), offline=True)
    return told.value.problems


def test_a_frozen_backbone_has_nothing_to_compute_again(tiny_recipe, tmp_path):
    (problem,) = problems(
        tiny_recipe, tmp_path, recipe_text(train_method='"head"', train_gradient_checkpointing="true")
    )
    assert problem.where == "train.gradient_checkpointing"


def test_one_token_is_no_prompt_with_its_completion(tiny_generation, tmp_path):
    (problem,) = problems(tiny_generation, tmp_path, generation_text(model_max_length="1"))
    assert problem.where == "model.max_length"


def test_a_prompt_and_its_answer_must_find_places_in_the_model(tiny_generation, tmp_path):
    text = generation_text(model_max_length="250", generation_max_new_tokens="7")
    (problem,) = problems(tiny_generation, tmp_path, text)
    assert problem.where == "model.max_length"
    assert problem.found == "250, and generation.max_new_tokens = 7: 257 together"
    assert problem.expected.startswith("at most 256 together")
    folder = Tiny(tmp_path / "tiny")
    folder.config.write_text(generation_text(model_max_length="250", generation_max_new_tokens="6"))
    assert prepare(load_recipe(folder.config), offline=True).scoring.max_length == 250


def test_a_text_must_find_places_in_the_model(tiny_recipe, tmp_path):
    most = json.loads((tiny_recipe.folder / "base" / "config.json").read_text())["max_position_embeddings"]
    (problem,) = problems(tiny_recipe, tmp_path, recipe_text(model_max_length=str(most + 1)))
    assert (problem.where, problem.found) == ("model.max_length", str(most + 1))
    folder = Tiny(tmp_path / "tiny")
    folder.config.write_text(recipe_text(model_max_length=str(most)))
    assert prepare(load_recipe(folder.config), offline=True).scoring.max_length == most


def test_chats_need_a_base_with_a_chat_template(tiny_generation, tmp_path):
    folder = Tiny(shutil.copytree(tiny_generation.folder, tmp_path / "chats"))
    talk = [{"role": "user", "content": "the apple"}, {"role": "assistant", "content": "fruit"}]
    for name in ("train", "eval"):
        rows = [{"id": f"{name}-{number}", "channel": "chat", "messages": talk} for number in range(3)]
        (folder.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = problems(folder, tmp_path, folder.config.read_text())
    assert [problem.where for problem in found] == ["train.jsonl", "eval.jsonl"]
    assert all("no chat template" in problem.found for problem in found)
    make_tiny_decoder(folder.folder / "base", chat=True)
    assert prepare(load_recipe(folder.config), offline=True).eval_items.chat


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ("roc_auc", "multi_class must be in"),
        ("f1", "Target is multiclass"),
        ("average_precision", None),
        ("f1_macro", None),
    ],
)
def test_a_scorer_that_cannot_take_the_labels_is_told_before_training(tiny_recipe, tmp_path, scorer, told):
    text = recipe_text() + f'\n[[evaluate]]\nevaluator = "sklearn:{scorer}"\n'
    if told is None:
        folder = shutil.copytree(tiny_recipe.folder, tmp_path / "sound")
        (folder / "seedband.toml").write_text(text, encoding="utf-8")
        assert prepare(load_recipe(folder / "seedband.toml"), offline=True)
        return
    (found,) = problems(tiny_recipe, tmp_path, text)
    assert found.where == "evaluate[4].evaluator"
    assert told in found.found
    assert "3 labels, for one (fruit, metal, river)" in found.expected


@pytest.mark.parametrize(("metric", "wanted"), [("groundedness", 1), ("factual_consistency", 0)])
def test_a_metric_about_the_context_needs_one_before_training(tiny_generation, tmp_path, monkeypatch, metric, wanted):
    monkeypatch.setattr("seedband.evaluators.external.futureagi.AiEvaluation.check_ready", lambda *_, **__: None)
    text = generation_text() + f'\n[[evaluate]]\nevaluator = "fi:{metric}"\n\n[[evaluate]]\nevaluator = "nothing"\n'
    found = [entry for entry in problems(tiny_generation, tmp_path, text) if entry.found == "rows without contexts"]
    assert len(found) == wanted


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            'evaluator = "task_completion"\nargs = { model = "m", base_url = "http://localhost/v1", repeats = 0 }',
            "evaluate[4]: task_completion: repeats: found 0, expected greater than or equal to 1",
        ),
        (
            'evaluator = "python:no_such:f"',
            "evaluate[4].evaluator: evaluator 'python:no_such:f': cannot import no_such",
        ),
    ],
)
def test_an_evaluator_that_cannot_be_built_is_told_with_its_place_in_the_recipe(tiny_recipe, tmp_path, section, told):
    found = problems(tiny_recipe, tmp_path, recipe_text() + f"\n[[evaluate]]\n{section}\n")
    assert any(str(problem).startswith(told) for problem in found), [str(problem) for problem in found]
    assert not any("expected  " in str(problem) or "expected ," in str(problem) for problem in found)


def relabelled(tiny_recipe, tmp_path, label):
    folder = Tiny(shutil.copytree(tiny_recipe.folder, tmp_path / "labels"))
    for name in ("train", "eval"):
        path = folder.folder / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**row, "label": label(row, n)}) + "\n" for n, row in enumerate(rows)))
    return load_recipe(folder.config)


def test_a_target_on_a_scale_is_no_class(tiny_recipe, tmp_path):
    loaded = relabelled(tiny_recipe, tmp_path, lambda _, n: f"{(n % 30) / 10}")
    with pytest.raises(UsageError) as told:
        prepare(loaded, offline=True)
    (problem,) = told.value.problems
    assert problem.found == "30 labels that are numbers on a scale, from 0.0 to 2.9"
    whole = relabelled(tiny_recipe, tmp_path / "whole", lambda _, n: n % 30)
    assert len(prepare(whole, offline=True).scoring.labels) == 30


def test_labels_that_differ_by_case_or_space_are_told(tiny_recipe, tmp_path):
    loaded = relabelled(tiny_recipe, tmp_path, lambda row, n: row["label"].title() + " " * (n % 2))
    told = [text for text in prepare(loaded, offline=True).warnings if "differ" in text]
    assert (
        told[0] == "train: labels 'Fruit' and 'Fruit ' differ by case or space alone: as they are, these are 2 classes"
    )
    assert len(told) == 3
    assert not any("differ" in text for text in prepare(load_recipe(tiny_recipe.config), offline=True).warnings)


def test_columns_of_text_that_are_not_read_are_told(tiny_recipe, tmp_path):
    folder = Tiny(shutil.copytree(tiny_recipe.folder, tmp_path / "unread"))
    path = folder.folder / "train.jsonl"
    rows = [{**json.loads(line), "second": "a second text"} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (
        "train: not read: second; [data] names the columns that are"
        in prepare(load_recipe(folder.config), offline=True).warnings
    )


def test_keys_that_are_not_set_are_no_part_of_a_recipes_identity(tiny_recipe):
    record = prepare(load_recipe(tiny_recipe.config), offline=True).recorded
    before = replace(record, recipe={**record.recipe, "data": dict(record.recipe["data"])})
    for key in ("text_pair", "input"):
        del before.recipe["data"][key]
    assert identity.identity(before) == identity.identity(record)
