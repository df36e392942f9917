"""How an embedding model pools, by its own files."""

import json

import pytest

from seedband.errors import UsageError
from seedband.models.pooling import after_pooling, resolve_pooling


def test_pooling_is_the_embedding_models_own(tiny_recipe, tmp_path):
    assert resolve_pooling("auto", tiny_recipe.folder / "base") == "mean"
    assert resolve_pooling("cls", tiny_recipe.folder / "base") == "cls"
    assert resolve_pooling("auto", tmp_path) == "model"
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(UsageError, match="asks for max"):
        resolve_pooling("auto", tmp_path)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True}, "mean"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
    ],
)
def test_pooling_is_read_as_every_release_of_sentence_transformers_writes_it(settings, expected, tmp_path):
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    assert resolve_pooling("auto", tmp_path) == expected


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode": ["mean", "max"]}, "mean and max"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({}, "no pooling"),
    ],
)
def test_a_pooling_that_a_head_here_has_not_is_named(settings, named, tmp_path):
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UsageError, match=f"asks for {named}"):
        resolve_pooling("auto", tmp_path)


def test_modules_after_the_pooling_are_known(tmp_path):
    types = ("Transformer", "Pooling", "Dense", "Normalize")
    modules = [{"idx": i, "type": f"sentence_transformers.models.{name}"} for i, name in enumerate(types)]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    assert after_pooling(tmp_path) == ["Dense"]
