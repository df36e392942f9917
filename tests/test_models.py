"""Base models and checkpoints: located, recognised and found safe."""

import json
import sys

import pytest

from seedband.errors import Refused, UsageError, WorkFailed
from seedband.models import check_safe, locate_base, recognise, resolve_pooling, tensor_names, weights_sha256
from seedband.store import file_sha256


@pytest.fixture
def package(tmp_path, tiny_recipe, monkeypatch):
    """An installed package that carries a model and must never be imported."""
    root = tmp_path / "site" / "carrier"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("raise AssertionError('imported')")
    (root / "model").symlink_to(tiny_recipe.folder / "base", target_is_directory=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return root


def test_folder_is_found_relative_to_the_recipe(tiny_recipe):
    base = locate_base("base", None, tiny_recipe.folder, offline=True)
    assert base.sha256 == file_sha256(tiny_recipe.folder / "base" / "model.safetensors")
    assert base.reference == "base"


def test_package_is_located_and_never_imported(tmp_path, tiny_recipe, monkeypatch):
    import shutil

    root = tmp_path / "site" / "carrier"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("raise AssertionError('imported')")
    shutil.copytree(tiny_recipe.folder / "base", root / "model")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    base = locate_base("package:carrier/model", None, tmp_path, offline=True)
    assert base.path == str(root / "model")
    assert "carrier" not in sys.modules


def test_package_folder_cannot_lead_out_of_the_package(package):
    with pytest.raises(UsageError, match="has no folder"):
        locate_base("package:carrier/../..", None, package, offline=True)
    with pytest.raises(UsageError, match="has no folder"):
        locate_base("package:carrier/model", None, package, offline=True)  # a link that leads out


@pytest.mark.parametrize("reference", ["package:no_such_package/model", "package:os.path/model", "nowhere", "a/b/c"])
def test_what_is_not_there_is_a_usage_error(reference, tmp_path):
    with pytest.raises(UsageError):
        locate_base(reference, None, tmp_path, offline=True)


@pytest.mark.parametrize("revision", [None, "main", "abc123"])
def test_hub_id_needs_a_commit(revision, tmp_path):
    with pytest.raises(UsageError, match="commit"):
        locate_base("org/name", revision, tmp_path, offline=True)


def test_hub_id_that_is_not_cached_cannot_be_fetched_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(WorkFailed, match="cannot get org/name"):
        locate_base("org/name", "0" * 40, tmp_path, offline=True)


def test_shards_are_hashed_and_may_not_lead_out(tmp_path, tiny_recipe):
    data = (tiny_recipe.folder / "base" / "model.safetensors").read_bytes()
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "config.json").write_text("{}")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}))
    check_safe(tmp_path)
    before = weights_sha256(tmp_path)
    (tmp_path / "b.safetensors").write_bytes(data + b" ")
    assert weights_sha256(tmp_path) != before
    index.write_text(json.dumps({"weight_map": {"x": "../a.safetensors"}}))
    with pytest.raises(Refused, match="out of the folder"):
        check_safe(tmp_path)


def test_kinds_of_checkpoints_are_recognised(tiny_swept, tiny_heads, tmp_path):
    assert recognise(tiny_swept.runs / "seed-0", "x").kind == "adapter"
    assert recognise(tiny_heads.runs / "seed-0", "x").kind == "head"
    assert recognise(tiny_swept.folder / "base", "x").kind == "model"
    with pytest.raises(UsageError, match="no checkpoint"):
        recognise(tmp_path, "x")


def test_missing_weights_are_told_apart_from_pickled_ones(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="is missing"):
        recognise(tmp_path, "x")
    (tmp_path / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(Refused, match="pickled"):
        recognise(tmp_path, "x")


def test_pooling_is_the_embedding_models_own(tiny_recipe, tmp_path):
    assert resolve_pooling("auto", tiny_recipe.folder / "base") == "mean"
    assert resolve_pooling("cls", tiny_recipe.folder / "base") == "cls"
    assert resolve_pooling("auto", tmp_path) == "model"
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(UsageError, match="pooling_mode_max_tokens"):
        resolve_pooling("auto", tmp_path)


def test_tensor_names_come_from_the_header(tiny_recipe):
    shapes = tensor_names(tiny_recipe.folder / "base")
    assert shapes["encoder.layer.0.attention.self.query.weight"] == (32, 32)
