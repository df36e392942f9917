"""Whole models of unknown origin."""

import errno
import json
import resource
import shutil
from math import prod
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForSequenceClassification, LlamaConfig, LlamaForCausalLM

from seedband.errors import Refused, WorkFailed
from seedband.jobs.score import Scorer
from seedband.models.bases import locate_base
from seedband.models.checkpoints import check_fits, checkpoint_settings, open_checkpoint
from seedband.models.kinds.adapter import TOKENS, _is_tied, grow
from seedband.models.misfits import misfits_refused
from seedband.models.model_folders import CheckpointFiles
from seedband.models.recognise import recognise
from seedband.models.speedups.feature_cache import FeatureCache
from seedband.storage import json_files
from seedband.tasks import find

LABELS = ("fruit", "metal", "river")
WIDTHS = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
LLAMA = LlamaConfig(vocab_size=10, tie_word_embeddings=False, **WIDTHS)


@pytest.fixture
def base(tiny_recipe):
    return locate_base("base", None, tiny_recipe.folder, offline=True)


@pytest.fixture
def model(base, tmp_path):
    """A whole classifier, saved as transformers saves it."""
    find("text-classification").load(base.path, LABELS).module.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_of_the_bases_build_is_opened(base, model):
    assert open_checkpoint(recognise(model, "model"), base, LABELS, find("text-classification")).new == ()


@pytest.mark.parametrize(
    "keys",
    [
        {"num_hidden_layers": 10**6},
        {"hidden_size": 10**6},
        {"vocab_size": 10**12},
        {"max_position_embeddings": 10**12},
        {"type_vocab_size": 10**12},
        {"intermediate_size": -1},
        {"model_type": "gpt2"},
        {"model_type": "no-such-model"},
        {"hidden_size": "many"},
        {"layer_norm_eps": 1e-3},
        {"hidden_act": "relu"},
        {"is_decoder": True},
        {"_attn_implementation": "somebody/kernels"},
    ],
    ids=lambda keys: f"{next(iter(keys))}={next(iter(keys.values()))}",
)
def test_a_config_that_asks_for_more_than_the_base_is_refused_before_it_is_built(base, model, keys):
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))
    with pytest.raises(Refused, match=f"config.json.*({next(iter(keys))}|no-such-model)"):
        open_checkpoint(recognise(model, "model"), base, LABELS, find("text-classification"))


def test_a_config_that_names_code_of_its_own_is_refused(base, model):
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModel": "evil.Model"}}))
    shutil.copy(__file__, model / "evil.py")
    with pytest.raises(Refused, match="auto_map"):
        open_checkpoint(recognise(model, "model"), base, LABELS, find("text-classification"))


def test_names_dropout_and_ids_of_tokens_may_differ(base, model):
    path = model / "config.json"
    named = {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    own = {"hidden_dropout_prob": 0.3, "pad_token_id": 1, "problem_type": "single_label_classification", **named}
    path.write_text(json.dumps({**json.loads(path.read_text()), **own}))
    assert open_checkpoint(recognise(model, "model"), base, LABELS, find("text-classification")).new == ()


@pytest.mark.parametrize("pooling", ["mean", "cls", "model"])
def test_a_head_is_put_on_what_it_was_trained_on(base, tmp_path, pooling):
    """By hand: what transformers' own model says of a row, through the layer that was saved."""
    tensors = {"classifier.weight": torch.randn(3, 32), "classifier.bias": torch.randn(3)}
    save_file(tensors, tmp_path / "head.safetensors")
    content = {"pooling": pooling, "labels": LABELS, "base": "base", "base_sha256": base.sha256}
    json_files.write_json(tmp_path / "head.json", "head", content)
    network = open_checkpoint(recognise(tmp_path, "head"), base, LABELS, find("text-classification"))
    rows = {"input_ids": torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]])}
    rows["attention_mask"] = (rows["input_ids"] > 0).long()
    with torch.no_grad():
        if pooling == "model":
            whole = AutoModelForSequenceClassification.from_pretrained(base.path, num_labels=3).eval()
            whole.load_state_dict(tensors, strict=False)
            expected = whole(**rows).logits
        else:
            hidden = AutoModel.from_pretrained(base.path).eval()(**rows).last_hidden_state
            mask = rows["attention_mask"][..., None]
            pooled = hidden[:, 0] if pooling == "cls" else (hidden * mask).sum(1) / mask.sum(1)
            expected = pooled @ tensors["classifier.weight"].T + tensors["classifier.bias"]
        assert torch.allclose(network.forward(rows), expected, atol=1e-5)


@pytest.mark.parametrize(
    "keys",
    [
        {"_attn_implementation_autoset": True},
        {"of_tomorrow": [1, [2]]},
        {"unsloth_version": "2026.1", "unsloth_fixed": True, "my_note": "x"},
        {"output_attentions": True, "output_hidden_states": True, "return_dict": False},
        {"_attn_implementation": "flash_attention_2"},
        {"reference_compile": True, "torch_dtype": "bfloat16", "transformers_version": "4.1.0"},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_keys_that_change_no_number_may_stand_in_a_config(base, model, keys):
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))
    network = open_checkpoint(recognise(model, "model"), base, LABELS, find("text-classification"))
    assert network.new == ()
    assert network.attention == "sdpa"


def sparse(file, tensors) -> None:
    """A safetensors file that is a header and a hole."""
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with file.open("wb") as opened:
        opened.write(len(text).to_bytes(8, "little") + text)
        opened.truncate(8 + len(text) + end)


HUGE = 50 * 10**9


@pytest.mark.parametrize(
    ("kind", "tensors"),
    [
        ("head", {"classifier.weight": [3, HUGE], "classifier.bias": [3]}),
        ("head", {"classifier.weight": [3, 4096], "classifier.bias": [3]}),
        ("model", {"bert.embeddings.word_embeddings.weight": [HUGE, 1]}),
        ("model", {f"x{number}": [64, 64] for number in range(1000)}),
        ("model", {"bert.embeddings.word_embeddings.weight": [1, 1]}),
        ("adapter", {"base_model.model.classifier.weight": [3, HUGE]}),
    ],
    ids=str,
)
def test_tensors_larger_than_the_base_are_refused_by_their_headers(base, model, tiny_swept, tmp_path, kind, tensors):
    folder = tmp_path / kind
    name = {"head": "head.safetensors", "adapter": "adapter_model.safetensors"}.get(kind, "model.safetensors")
    if kind == "adapter":
        shutil.copytree(tiny_swept.runs / "seed-0", folder)
    folder.mkdir(exist_ok=True)
    sparse(folder / name, tensors)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refused, match="its tensors"):
        check_fits(CheckpointFiles(kind, str(folder), kind), base, LABELS, find("text-classification"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_scoring_looks_at_the_headers_first(base, tmp_path):
    (tmp_path / "head").mkdir()
    sparse(tmp_path / "head" / "head.safetensors", {"classifier.weight": [3, HUGE]})
    files = CheckpointFiles("head", str(tmp_path / "head"), "head")
    scoring = SimpleNamespace(base=base, labels=LABELS, task="text-classification")
    with pytest.raises(Refused, match="its tensors"):
        Scorer(scoring, "cpu", {}, FeatureCache(), lambda *_: None).score(SimpleNamespace(checkpoint=files))


def test_where_an_adapter_comes_from_is_no_setting_of_it(tmp_path):
    computes = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["query"]}
    notes = {
        "base_model_name_or_path": "x",
        "revision": "y",
        "peft_version": "0.1",
        "inference_mode": True,
        "auto_mapping": None,
    }
    (tmp_path / "adapter_config.json").write_text(json.dumps({**computes, **notes}))
    assert checkpoint_settings(CheckpointFiles("adapter", str(tmp_path), "adapter")) == computes


def test_settings_of_a_head_are_its_pooling_and_labels(tmp_path):
    content = {"pooling": "cls", "labels": LABELS, "base": "base", "base_sha256": "ab" * 32}
    json_files.write_json(tmp_path / "head.json", "head", content)
    settings = checkpoint_settings(CheckpointFiles("head", str(tmp_path), "head"))
    assert settings == {"pooling": "cls", "labels": list(LABELS)}


def test_settings_of_a_whole_model_are_its_config(model):
    settings = checkpoint_settings(CheckpointFiles("model", str(model), "model"))
    assert settings == json.loads((model / "config.json").read_text())


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (ValueError("sizes differ:\n\n   3 and 4\n"), Refused, 'x: "sizes differ: 3 and 4"'),
        (KeyError("y" * 400), Refused, "x: \"'" + "y" * 299 + '"'),
        (OSError("no such file in the repository"), Refused, 'x: "no such file in the repository"'),
        (OSError(errno.EIO, "Input/output error"), WorkFailed, "Input/output error"),
    ],
    ids=["misfit", "long", "of a library", "of the system"],
)
def test_what_a_library_says_of_a_checkpoint_is_told_on_one_line(error, kind, told):
    with pytest.raises(kind) as refused, misfits_refused("x"):
        raise error
    assert told in refused.value.message
    assert kind is WorkFailed or refused.value.message == told


def test_tokens_beyond_the_bases_need_both_ends_of_the_model_saved():
    model = LlamaForCausalLM(LLAMA)
    files, ends = CheckpointFiles("adapter", "new", "new"), {"model.embed_tokens.weight", "lm_head.weight"}
    with pytest.raises(Refused, match=r"embeddings of 12 tokens, but not lm_head\.weight, so") as caught:
        grow(files, model, 12, {f"base_model.model.{name}" for name in ends - {"lm_head.weight"}})
    assert "save_embedding_layers" in caught.value.hint
    assert model.get_input_embeddings().weight.shape == (10, 8)
    grow(files, model, 12, {f"base_model.model.{name}" for name in ends})
    assert model.get_input_embeddings().weight.shape == model.get_output_embeddings().weight.shape == (12, 8)


def test_a_language_model_without_its_output_layer_is_to_be_saved_whole(tmp_path):
    whole = LlamaForCausalLM(LLAMA)
    whole.save_pretrained(tmp_path / "base")
    whole.model.save_pretrained(tmp_path / "body")
    base = locate_base("base", None, tmp_path, offline=True)
    with pytest.raises(Refused, match=r"lm_head\.weight.* would be random") as caught:
        open_checkpoint(recognise(tmp_path / "body", "body"), base, (), find("causal-lm"))
    assert caught.value.hint.endswith("of the whole language model, its output layer included")


def test_a_model_without_an_output_layer_grows_at_its_one_end():
    model, files = LlamaForCausalLM(LLAMA).model, CheckpointFiles("adapter", "new", "new")
    grow(files, model, 12, {"base_model.model.embed_tokens.weight"})
    assert model.get_input_embeddings().weight.shape == (12, 8)


def test_trained_tokens_are_tied_to_others_that_equal_them():
    first, other = torch.ones(2, 3), torch.zeros(2, 3)
    names = [f"{name}{TOKENS}" for name in ("embed", "head", "third")]
    assert _is_tied(names[0], dict(zip(names, (first, first.clone(), other), strict=True)))
    assert not _is_tied(names[0], dict(zip(names, (first, other, other), strict=True)))
    assert not _is_tied(names[0], {names[0]: first, "head.weight": first})
