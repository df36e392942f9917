"""Models on disk: recognised and found safe."""

import json
import resource
import shutil

import pytest

from seedband.errors import Refused, UsageError, WorkFailed
from seedband.models.bases import locate_base
from seedband.models.checkpoints import checkpoint_tensors
from seedband.models.model_folders import (
    CheckpointFiles,
    after_pooling,
    check_safe,
    end_ids,
    has_chat_template,
    header,
    positions,
    resolve_pooling,
    tensor_names,
    weight_files,
    weights_sha256,
)
from seedband.models.recognise import recognise


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


def test_weights_that_the_system_does_not_give_are_no_fault_of_theirs(tmp_path):
    (tmp_path / "a.safetensors").mkdir()  # the system's own error, whoever asks
    with pytest.raises(WorkFailed, match="cannot read"):
        header(tmp_path / "a.safetensors")
    (tmp_path / "head.safetensors").mkdir()
    with pytest.raises(WorkFailed, match="cannot read"):
        list(checkpoint_tensors(CheckpointFiles("head", str(tmp_path), "head")))


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
    with pytest.raises(UsageError, match="asks for max"):
        resolve_pooling("auto", tmp_path)


def test_tensor_names_come_from_the_header(tiny_recipe):
    shapes = tensor_names(tiny_recipe.folder / "base")
    assert shapes["encoder.layer.0.attention.self.query.weight"] == (32, 32)


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


HEADER = b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,%s]}}'


@pytest.mark.parametrize(
    "content",
    [
        (10 * 2**30).to_bytes(8, "little") + b"{}",
        (2**64 - 1).to_bytes(8, "little") + b"{}",
        len(HEADER % (b"1099511627776", b"4398046511104")).to_bytes(8, "little")
        + HEADER % (b"1099511627776", b"4398046511104"),
        len(HEADER % (b"9223372036854775807,4", b"16")).to_bytes(8, "little")
        + HEADER % (b"9223372036854775807,4", b"16")
        + bytes(16),
        b"",
        b"\x80\x04\x95pickle",
    ],
    ids=["10 GB header", "largest header", "tensor beyond the file", "overflowing shape", "empty", "pickle"],
)
def test_a_header_that_cannot_be_is_refused_before_anything_is_allocated(tmp_path, content):
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refused, match="no safetensors file that holds together"):
        header(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"n_positions": 1024}, 1024),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "gemma3", "text_config": {"max_position_embeddings": 32768}}, 32768),
        ({"max_position_embeddings": -1}, None),
        ({}, None),
    ],
)
def test_positions_are_those_that_a_text_can_have(config, expected, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert positions(tmp_path) == expected


def test_positions_of_roberta_are_those_of_its_forward_pass(tmp_path):
    import torch
    from transformers import RobertaConfig, RobertaModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = RobertaModel(RobertaConfig(vocab_size=20, max_position_embeddings=14, pad_token_id=1, **sizes))
    model.config.save_pretrained(tmp_path)
    most = positions(tmp_path)
    model(torch.full((1, most), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, most + 1), 5))


@pytest.mark.parametrize(
    ("generation", "config", "expected"),
    [
        ({"eos_token_id": [2, 7]}, {"eos_token_id": 3}, [2, 7]),
        ({}, {"eos_token_id": 3}, [3]),
        (None, {"eos_token_id": 3}, [3]),
        (None, {"text_config": {"eos_token_id": [4]}}, [4]),
        (None, {}, []),
    ],
)
def test_a_text_ends_where_the_generation_config_says_or_else_the_config(generation, config, expected, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert end_ids(tmp_path) == expected


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_a_text_ends_with_tokens(name, tmp_path):
    (tmp_path / name).write_text(json.dumps({"eos_token_id": "</s>"}))
    with pytest.raises(Refused, match="eos_token_id"):
        end_ids(tmp_path)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("{{ messages }}", True),
        ([{"name": "default", "template": "{{ messages }}"}], True),
        ([{"name": "rag", "template": "{{ messages }}"}], False),
        (None, False),
    ],
)
def test_a_chat_template_stands_in_the_tokenizers_config_or_beside_it(told, expected, tmp_path):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": told}))
    assert has_chat_template(tmp_path) is expected
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert has_chat_template(tmp_path)


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
