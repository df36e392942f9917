"""Folders that could only be opened by running something in them are refused."""

import json
import shutil

import pytest

from seedband.errors import Refused, UsageError
from seedband.models.bases import locate_base
from seedband.models.recognise import recognise


def test_the_implementations_that_transformers_has_itself_are_let_through(tiny_recipe, tmp_path):
    shutil.copytree(tiny_recipe.folder / "base", tmp_path / "base")
    path = tmp_path / "base" / "config.json"
    keys = {"_attn_implementation": "sdpa", "use_kernels": False, "quantization_config": None}
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))
    assert recognise(tmp_path / "base", "model").kind == "model"


@pytest.mark.parametrize(
    "keys",
    [
        {"transformers_weights": "adapter_model.bin"},
        {"transformers_weights": "sub/l.safetensors"},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"text_config": {"quantization_config": {"quant_method": "gptq"}}},
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"_attn_implementation": "somebody/kernels"},
        {"layers": [{"attn_implementation": "somebody/kernels:forward"}]},
        {"use_kernels": True},
    ],
    ids=str,
)
def test_a_config_that_leads_elsewhere_is_refused_for_a_checkpoint_and_a_base(tiny_recipe, tmp_path, keys):
    shutil.copytree(tiny_recipe.folder / "base", tmp_path / "base")
    path = tmp_path / "base" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))
    with pytest.raises(Refused, match="which is never opened"):
        recognise(tmp_path / "base", "model")
    with pytest.raises(Refused, match="which is never opened"):
        locate_base("base", None, tmp_path, offline=True)


def test_missing_weights_are_told_apart_from_pickled_ones(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="is missing"):
        recognise(tmp_path, "x")
    (tmp_path / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(Refused, match="pickled"):
        recognise(tmp_path, "x")


def test_a_link_out_of_a_checkpoint_is_refused(tiny_swept, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(tiny_swept.runs / "seed-0", folder)
    secret = tmp_path / "secret"
    secret.write_text("of somebody else")
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.safetensors").symlink_to(secret)
    with pytest.raises(Refused, match="a link that leads out of the checkpoint"):
        recognise(folder, "adapter")


def test_a_link_in_a_folder_of_a_checkpoint_is_looked_at_too(tiny_swept, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(tiny_swept.runs / "seed-0", folder)
    (tmp_path / "elsewhere").mkdir()
    (folder / "sub").mkdir()
    (folder / "sub" / "l.safetensors").symlink_to(folder / "adapter_model.safetensors")
    assert recognise(folder, "adapter").kind == "adapter"
    (folder / "sub" / "further").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(Refused, match="sub/further is a link that leads out"):
        recognise(folder, "adapter")


def test_a_folder_that_only_looks_like_a_snapshot_links_nowhere(tiny_swept, tmp_path):
    for parent in ("files", "models--org--name"):
        snapshot = tmp_path / parent / "snapshots" / ("a" * 40)
        shutil.copytree(tiny_swept.runs / "seed-0", snapshot)
        (tmp_path / parent / "secret").write_text("of somebody else")
        (snapshot / "extra").symlink_to(tmp_path / parent / "secret")
        with pytest.raises(Refused, match="extra is a link that leads out"):
            recognise(snapshot, "adapter")


def test_links_within_a_checkpoint_and_to_it_are_let_through(tiny_swept, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(tiny_swept.runs / "seed-0", folder)
    (folder / "adapter_model.safetensors").rename(folder / "weights")
    (folder / "adapter_model.safetensors").symlink_to("weights")
    (tmp_path / "link").symlink_to(folder)
    assert recognise(tmp_path / "link", "adapter").kind == "adapter"


def test_a_snapshot_in_the_hubs_cache_may_link_to_its_own_blobs(tiny_swept, tmp_path):
    snapshot = tmp_path / "models--org--name" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (tmp_path / "models--org--name" / "blobs").mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(tiny_swept.runs / "seed-0" / name, tmp_path / "models--org--name" / "blobs" / name)
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    assert recognise(snapshot, "adapter").kind == "adapter"
    (snapshot / "extra").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="leads out"):
        recognise(snapshot, "adapter")
