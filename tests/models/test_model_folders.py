"""Models on disk: recognised and found safe."""

import json
import shutil

import pytest

from seedband.errors import Refused, UsageError
from seedband.models.bases import locate_base
from seedband.models.model_folders import tensor_names, weight_files, weights_sha256
from seedband.models.recognise import recognise
from seedband.models.safety import check_safe


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


def test_shards_are_safetensors(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "a.bin"}}))
    (tmp_path / "a.bin").write_bytes(b"pickled")
    with pytest.raises(Refused, match=r"found shards .*a.bin.*, expected safetensors files"):
        check_safe(tmp_path)


def test_a_folder_with_two_models_is_refused(tiny_recipe, tmp_path):
    shutil.copytree(tiny_recipe.folder / "base", tmp_path, dirs_exist_ok=True)
    shutil.copy(tmp_path / "model.safetensors", tmp_path / "other.safetensors")
    index = {"weight_map": dict.fromkeys(tensor_names(tmp_path), "other.safetensors")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    for ask in (check_safe, weight_files, weights_sha256, tensor_names):
        with pytest.raises(Refused, match="two models"):
            ask(tmp_path)


def test_kinds_of_checkpoints_are_recognised(tiny_swept, tiny_heads, tmp_path):
    assert recognise(tiny_swept.runs / "seed-0", "x").kind == "adapter"
    assert recognise(tiny_heads.runs / "seed-0", "x").kind == "head"
    assert recognise(tiny_swept.folder / "base", "x").kind == "model"
    with pytest.raises(UsageError, match="no checkpoint"):
        recognise(tmp_path, "x")


def test_tensor_names_come_from_the_header(tiny_recipe):
    shapes = tensor_names(tiny_recipe.folder / "base")
    assert shapes["encoder.layer.0.attention.self.query.weight"] == (32, 32)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ["checkpoint-50/config.json", "checkpoint-500/config.json"],
            "did you mean {}/checkpoint-500, {}/checkpoint-50",
        ),
        (["sft/adapter_config.json"], "did you mean {}/sft?"),
        (["global_step100/x", "latest"], "zero_to_fp32.py"),
        (["zero_pp_rank_0_mp_rank_00_optim_states.pt"], "zero_to_fp32.py"),
        (["pytorch_model_fsdp_0/__0_0.distcp"], "accelerate merge-weights"),
        (["model-Q4_K_M.gguf"], "gguf_file="),
        (["config.json", "model-00001-of-00002.safetensors"], "index.json"),
        (["config.json", "model_head.pkl", "model.bin"], "head"),
        (["config.json", "model.onnx"], "exported from"),
        (["config.json", "openvino_model.xml"], "exported from"),
        (["config.json", "tf_model.h5"], "from_tf=True"),
        (["config.json", "flax_model.msgpack"], "from_flax=True"),
        (["modules.json", "1_Pooling/config.json"], "model.base"),
        (["params.json", "consolidated.00.pth"], "convert"),
        (["Model.GGUF"], "gguf_file="),
        (["last.ckpt"], "Lightning"),
        (["checkpoints/last.ckpt"], "in checkpoints, this is a checkpoint of PyTorch Lightning"),
        (["iter_0000500/x"], "Megatron"),
        (["model.pth"], "these are weights without a config"),
        (["model.safetensors"], "copy config.json"),
        (["adapter_model.safetensors"], "copy adapter_config.json"),
        (["adapter_config.json", "mine.safetensors"], "if mine.safetensors is it, rename it"),
        (["config.json"], "which writes model.safetensors"),
        (["out/sft/config.json"], "did you mean {}/out/sft?"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_folders_of_other_tools_are_recognised_by_name(names, told, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError) as raised:
        recognise(tmp_path, str(tmp_path))
    assert told.replace("{}", str(tmp_path)) in f"{raised.value.message} {raised.value.hint}"


def test_file_in_the_place_of_a_checkpoint_names_its_folder(tmp_path):
    (tmp_path / "adapter_model.safetensors").touch()
    with pytest.raises(UsageError, match="is a file") as raised:
        recognise(tmp_path / "adapter_model.safetensors", "x")
    assert str(tmp_path) in raised.value.hint


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "spm.model", "1_Pooling/config.json"]
)
def test_a_pointer_of_git_lfs_in_a_base_or_a_checkpoint_is_told(name, tiny_recipe, tmp_path):
    shutil.copytree(tiny_recipe.folder / "base", tmp_path / "base")
    (tmp_path / "base" / name).write_text(POINTER)
    for ask in (lambda: recognise(tmp_path / "base", "m"), lambda: locate_base("base", None, tmp_path, offline=True)):
        with pytest.raises(UsageError, match=f"{name}: this is a Git LFS pointer") as raised:
            ask()
        assert "git lfs pull" in raised.value.hint
