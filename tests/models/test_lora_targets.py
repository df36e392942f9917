"""Which tensors of a base LoRA adapts."""

from dataclasses import replace

import pytest

from seedband.models.bases import locate_base
from seedband.models.lora_targets import target_problems, targeted
from seedband.models.model_folders import tensor_names
from seedband.recipe.parse import load_recipe
from seedband.tasks import find


@pytest.fixture(scope="module")
def loaded(tiny_recipe):
    return load_recipe(tiny_recipe.config)


def aiming_at(recipe, targets):
    return replace(recipe, lora=replace(recipe.lora, target_modules=targets))


def test_a_target_names_modules_by_the_end_of_their_path(loaded, tiny_recipe):
    shapes = tensor_names(tiny_recipe.folder / "base")
    recipe = aiming_at(loaded.recipe, ("attention.self.query",))
    found = [name for name, shape in shapes.items() if targeted(name, shape, recipe)]
    assert found
    assert all(name.endswith("attention.self.query.weight") for name in found)
    assert not any(targeted(name, shape, aiming_at(loaded.recipe, ("uery",))) for name, shape in shapes.items())


def test_a_target_that_the_base_lacks_is_told_with_what_there_is(loaded, tiny_recipe):
    base = locate_base("base", None, tiny_recipe.folder, offline=True)
    (problem,) = target_problems(aiming_at(loaded.recipe, ("query", "q_proj")), base, find(loaded.recipe.model.task))
    assert str(problem).startswith("lora.target_modules: found 'q_proj', which matches no module, expected of ")
    assert "query" in str(problem)
    assert not target_problems(aiming_at(loaded.recipe, "all-linear"), base, find(loaded.recipe.model.task))
    assert target_problems(aiming_at(loaded.recipe, "all_linear"), base, find(loaded.recipe.model.task))
