"""What adapter_config.json of unknown origin may ask for."""

import json
import resource
import shutil
import time
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from seedband.errors import Refused, UsageError
from seedband.models.adapter_check import KEYS, check_adapter
from seedband.models.bases import locate_base
from seedband.models.checkpoints import checkpoint_shapes, open_checkpoint, own_parameters
from seedband.models.model_folders import tensor_names
from seedband.models.recognise import recognise
from seedband.storage.json_files import MAX_FOREIGN_BYTES
from seedband.tasks import find

LABELS = ("fruit", "metal", "river")


@pytest.fixture
def adapter(tiny_swept, tmp_path):
    """A plain PEFT adapter, without any file of ours."""
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(tiny_swept.runs / "seed-0" / name, tmp_path)
    return tmp_path


def change(adapter: Path, **keys) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


@pytest.fixture
def base(tiny_recipe):
    return locate_base("base", None, tiny_recipe.folder, offline=True)


@pytest.fixture
def checked(adapter, base):
    """What PEFT may be given of the adapter."""

    def check() -> dict:
        files = recognise(adapter, "adapter")
        return check_adapter(files, checkpoint_shapes(files), tensor_names(Path(base.path)), "SEQ_CLS")

    return check


def test_adapter_of_a_sweep_is_let_through(adapter, checked):
    saved = json.loads((adapter / "adapter_config.json").read_text())
    given = checked()
    assert given["r"] == 8
    assert all(given[key] == saved[key] for key in given)


@pytest.mark.parametrize(
    "targets",
    ["all-linear", r".*\.(query|value)", r".*layer\.\d+\.attention\.self\.(query|key|value)$", ["query", "value"]],
)
def test_usual_ways_to_name_modules_are_let_through(adapter, checked, targets):
    change(adapter, target_modules=targets)
    given = checked()["target_modules"]
    # PEFT is given names alone: an expression has become the modules that the tensors are for.
    expression = isinstance(targets, str) and targets != "all-linear"
    assert isinstance(given, list) if expression else given == targets


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"r": 10**9}, "expected A and B of rank 1000000000"),
        ({"r": 0}, "r: found 0"),
        ({"r": True}, "r: found True"),
        ({"r": None}, "r: found nothing"),
        ({"rank_pattern": {"query": 10**9}}, "expected A and B of rank 1000000000"),
        ({"rank_pattern": [8]}, "rank_pattern: found [8]"),
        (
            {"megatron_config": {"hidden_size": 1}, "megatron_core": "antigravity"},
            "'megatron_config': found {'hidden_size': 1}, expected nothing",
        ),
        ({"layer_replication": [[0, 2]] * 10**4}, "LoRA with layer_replication is not supported"),
        ({"peft_type": "PROMPT_TUNING"}, "an adapter of type 'PROMPT_TUNING' is not supported"),
        ({"peft_type": None}, "peft_type: found nothing"),
        ({"target_modules": ["(a+)+$"]}, "target_modules"),
        ({"target_modules": [".?" * 60 + "!"]}, "target_modules"),
        ({"target_modules": 5}, "target_modules"),
        ({"layers_pattern": "(.|.)*", "layers_to_transform": [0]}, "layers_pattern"),
        ({"modules_to_save": ["(a|a)*b"]}, "modules_to_save"),
        ({"rank_pattern": {"(.|.)*[56]": 8}}, "an expression for modules takes too long to match"),
        ({"alpha_pattern": {"(.|.)*[56]": 8}}, "an expression for modules takes too long to match"),
        *(
            ({"rank_pattern": {text: 8}}, "expected a bounded expression")
            for text in ("(a", "a{1,99999}", "(?R)", "(?:a){e<=3}", "(?P<a>b)", "*", "a{9}{9}", "[[a]--[b]]", "." * 501)
        ),
        ({"alpha_pattern": {"a" * 501: 8}}, "alpha_pattern"),
        ({"target_modules": [3]}, "target_modules"),
        ({"task_type": "OF_TOMORROW"}, "task_type: found 'OF_TOMORROW', expected 'SEQ_CLS', or nothing"),
        ({"monteclora_config": {"num_samples": 10**9}}, "LoRA with monteclora_config is not supported"),
        ({"arrow_config": {"top_k": 1}}, "LoRA with arrow_config is not supported"),
        ({"kasa_config": {}, "use_bdlora": {"nblocks": 10**9}}, "LoRA with use_bdlora is not supported"),
        ({"use_qalora": True}, "LoRA with use_qalora is not supported"),
        ({"trainable_token_indices": [-1]}, "trainable_token_indices"),
        ({"trainable_token_indices": {"(a+)+": [1]}}, "trainable_token_indices"),
        ({"target_parameters": ["(a+)+$"]}, "target_parameters"),
        ({"target_parameters": ["LayerNorm.weight"]}, "LayerNorm.weight: found no LoRA tensors"),
        ({"of_tomorrow": [1]}, "'of_tomorrow': found [1], expected nothing: seedband does not know this key"),
        ({"init_lora_weights": "pissa_niter_16"}, "LoRA with init_lora_weights = 'pissa_niter_16' is not supported"),
        ({"init_lora_weights": "of_tomorrow"}, "init_lora_weights"),
        ({"lora_alpha": "16"}, "lora_alpha"),
        ({"use_dora": 1}, "use_dora"),
        ({f"key {number}": "\x1b[31m" * 1000 for number in range(1000)}, "'key 49'"),
    ],
)
def test_what_peft_must_not_act_on_is_refused_at_once(adapter, checked, keys, told):
    change(adapter, **keys)
    started = time.monotonic()
    with pytest.raises(Refused) as refused:
        checked()
    assert told in str(refused.value)
    assert len(str(refused.value)) < 50_000
    assert time.monotonic() - started < 120  # none of it was tried


def test_every_reason_is_told(adapter, checked):
    change(adapter, r=0, lora_alpha="16", bias="some")
    with pytest.raises(Refused, match="r: found 0") as refused:
        checked()
    assert len(refused.value.problems) == 2
    change(adapter, r=8, of_today=1, lora_alpha=16, bias="none", of_tomorrow={"nblocks": 1})
    with pytest.raises(Refused) as refused:
        checked()
    assert len(refused.value.problems) == 2


def test_config_is_bounded_in_size(adapter, checked):
    change(adapter, note="x" * MAX_FOREIGN_BYTES)
    with pytest.raises(Refused, match="bytes, more than"):
        checked()


def test_config_that_is_no_json_is_a_mistake(adapter, checked):
    (adapter / "adapter_config.json").write_text("[1")
    with pytest.raises(UsageError, match="not valid JSON"):
        checked()


def test_tensors_for_modules_that_the_base_lacks_are_refused(adapter, base):
    tensors = load_file(adapter / "adapter_model.safetensors")
    lora = next(name for name in tensors if "lora_A" in name)
    tensors[lora.replace("layer.0", "layer.99")] = tensors[lora].clone()
    save_file(tensors, adapter / "adapter_model.safetensors")
    with pytest.raises(Refused, match="for modules that its base lacks"):
        open_checkpoint(recognise(adapter, "adapter"), base, LABELS, find("text-classification"))


@pytest.mark.parametrize("keys", [{"bias": "all"}, {"use_dora": True}])
def test_tensors_that_the_config_speaks_of_and_nobody_saved_are_refused(adapter, base, keys):
    change(adapter, **keys)
    with pytest.raises(Refused, match=r" (is|are) missing, such as|found no LoRA tensors"):
        open_checkpoint(recognise(adapter, "adapter"), base, LABELS, find("text-classification"))


def test_a_module_that_is_targeted_and_was_not_saved_is_refused(adapter, base):
    tensors = load_file(adapter / "adapter_model.safetensors")
    save_file({n: t for n, t in tensors.items() if ".self.key." not in n}, adapter / "adapter_model.safetensors")
    with pytest.raises(Refused, match=r" are missing, such as .*self\.key\.lora_A"):
        open_checkpoint(recognise(adapter, "adapter"), base, LABELS, find("text-classification"))


def test_a_tensor_that_is_neither_lora_nor_of_the_base_is_refused(adapter, base):
    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors["base_model.model.bert.gate.weight"] = torch.ones(2, 2)
    save_file(tensors, adapter / "adapter_model.safetensors")
    with pytest.raises(Refused, match=r"gate"):
        open_checkpoint(recognise(adapter, "adapter"), base, LABELS, find("text-classification"))


def test_tensors_of_another_width_than_the_base_are_refused(adapter, base):
    tensors = load_file(adapter / "adapter_model.safetensors")
    wider = {n: torch.cat([t, t], dim=1) if "lora_A" in n else t for n, t in tensors.items()}
    save_file(wider, adapter / "adapter_model.safetensors")
    with pytest.raises(Refused, match="does not fit"):
        open_checkpoint(recognise(adapter, "adapter"), base, LABELS, find("text-classification"))


def test_targets_that_the_base_lacks_are_refused(adapter, base):
    change(adapter, target_modules=["no_such_module"])
    with pytest.raises(Refused, match="does not fit"):
        open_checkpoint(recognise(adapter, "adapter"), base, LABELS, find("text-classification"))


def rewrite(adapter: Path, changed) -> None:
    path = adapter / "adapter_model.safetensors"
    save_file({name: changed(name, tensor).contiguous() for name, tensor in load_file(path).items()}, path)


@pytest.mark.parametrize(
    "keys",
    [
        {"use_rslora": True},
        {"fan_in_fan_out": True, "bias": "all"},
        {"bias": "lora_only"},
        {"alpha_pattern": {"query": 32, "encoder.layer.0.attention.self.key": 4.5}},
        {"rank_pattern": {"query": 8}},
        {"modules_to_save": ["classifier", "score"]},
        {"task_type": None, "modules_to_save": ["classifier"]},
        {"loftq_config": {}, "qalora_group_size": 16, "megatron_core": "megatron.core"},
        {"loftq_config": {"loftq_bits": 40}, "eva_config": {"rho": 2.0}},
        {"target_parameters": [], "lora_bias": False, "of_tomorrow": None, "of_another_day": False},
        {"layers_to_transform": [0, 1], "layers_pattern": "layer"},
        {"task_type": "CAUSAL_LM"},
        {"task_type": "FEATURE_EXTRACTION"},
        {"task_type": "SEQ_2_SEQ_LM"},
        {"rank_pattern": {"of_no_module": 10**9}, "alpha_pattern": {"of_no_module": 10**9}},
        {"r": 10**9, "rank_pattern": {r".*": 8}},
        {"exclude_modules": "(x|x)*y"},
        {"rank_pattern": {r".*\.(query|key)": 8}, "alpha_pattern": {r"^bert\.encoder\.layer\.\d+\..*": 2}},
        {"unsloth_fixed": True, "corda_config": {"corda_method": "ipm"}, "velora_config": {}},
        *(
            {"init_lora_weights": value}
            for value in (*(True, False, "gaussian", "eva", "olora", "pissa", "lora_ga", "orthogonal", "mica"),)
        ),
    ],
    ids=str,
)
def test_what_users_of_peft_set_is_let_through(adapter, checked, keys):
    change(adapter, **keys)
    assert checked()["r"] == 8


def test_peft_is_given_no_key_that_is_not_known(adapter, checked):
    change(adapter, layer_replication=[], loftq_config={"loftq_bits": 40}, runtime_config={"x": 1}, of_tomorrow=None)
    assert checked().keys() <= KEYS


@pytest.mark.parametrize("kind", ["plain", "dora", "rslora", "embeddings", "every bias", "patterns", "no task"])
def test_adapters_that_peft_saves_are_opened(base, tmp_path, kind):
    settings = {
        "plain": {},
        "dora": {"use_dora": True},
        "rslora": {"use_rslora": True, "init_lora_weights": "gaussian"},
        "embeddings": {"target_modules": ["word_embeddings", "query"]},
        "every bias": {"bias": "all"},
        "patterns": {"rank_pattern": {"layer.0.attention.self.query": 2}, "alpha_pattern": {"value": 3}},
        "no task": {"task_type": None, "modules_to_save": ["classifier"]},
    }[kind]
    config = LoraConfig(**{"task_type": "SEQ_CLS", "r": 4, "target_modules": ["query", "value"], **settings})
    model = get_peft_model(find("text-classification").load(base.path, LABELS).module, config)
    model.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    files = recognise(tmp_path / "adapter", "adapter")
    network = open_checkpoint(files, base, LABELS, find("text-classification"))
    opened = network.module
    own = {id(parameter) for parameter in own_parameters(files, network)}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    brought = {name for name, parameter in opened.named_parameters() if id(parameter) in own}
    assert brought >= trained
    # PEFT saves every bias, that of the layer in whose place another was trained, too.
    assert brought - trained <= {"base_model.model.classifier.original_module.bias"}
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    again = get_peft_model_state_dict(opened, save_embedding_layers=False)
    assert saved.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in saved.items())


def test_an_expression_for_modules_is_never_compiled(adapter, checked, base):
    change(adapter, target_modules="(.?" * 60 + ")" * 60 + "!")
    started = time.monotonic()
    assert "bert.encoder.layer.0.attention.self.query" in checked()["target_modules"]
    opened = open_checkpoint(recognise(adapter, "adapter"), base, LABELS, find("text-classification")).module
    assert time.monotonic() - started < 120
    saved = load_file(adapter / "adapter_model.safetensors")
    assert get_peft_model_state_dict(opened, save_embedding_layers=False).keys() == saved.keys()


@pytest.mark.parametrize(("rank", "width"), [(10**9, 0), (10**5, 1), (10**5, 32)])
def test_a_rank_that_only_some_tensors_have_is_refused_before_anything_is_allocated(
    adapter, checked, base, rank, width
):
    """The file is sparse: a header, and a hole."""
    name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"
    size = 4 * rank * width
    entry = {"dtype": "F32", "shape": [rank, width], "data_offsets": [0, size]}
    text = json.dumps({name: entry}).encode()
    with (adapter / "adapter_model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)
    change(adapter, r=rank)
    with pytest.raises(Refused, match="this adapter does not fit the base"):
        checked()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refused, match=r"not fit the base|more than"):
        open_checkpoint(recognise(adapter, "adapter"), base, LABELS, find("text-classification"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_ranks_are_those_of_the_config_exactly(adapter, checked):
    change(adapter, rank_pattern={"query": 4})
    with pytest.raises(Refused, match="expected A and B of rank 4"):
        checked()


def test_a_factor_alone_is_refused(adapter, checked):
    rewrite(adapter, lambda name, tensor: tensor[:, :0] if "query.lora_B" in name else tensor)
    with pytest.raises(Refused, match=r"query: found LoRA tensors A \[8, 32\], B \[32, 0\]"):
        checked()


def test_a_rank_above_twice_the_largest_dimension_is_refused(checked, adapter):
    def widened(name, tensor):
        if "self.query.lora_" not in name:
            return tensor
        return tensor.repeat(9, 1) if "lora_A" in name else tensor.repeat(1, 9)

    rewrite(adapter, widened)
    change(adapter, rank_pattern={"query": 72})
    with pytest.raises(Refused, match=r"expected A and B of rank 72 for a weight \[32, 32\]"):
        checked()
