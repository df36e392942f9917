"""Mistakes that only the recipe as a whole shows, told before any work."""

import shutil

import pytest
from tiny import Tiny, generation_text, recipe_text

from seedband.errors import UsageError
from seedband.preflight import prepare
from seedband.recipe import load_recipe


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
