"""Mixtures of experts, whose matrices are one tensor a layer: `all-linear` adapts them as PEFT does, or is refused."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from training import context_of
from transformers import AutoModelForCausalLM, MixtralConfig, MixtralForCausalLM

from seedband.determinism.seeds import streams
from seedband.errors import UsageError
from seedband.trainers import SeedRun
from seedband.trainers.loop import adapters


@pytest.fixture
def context(tiny_generation, tmp_path):
    """The tiny recipe of a language model, on a tiny Mixtral."""
    context = context_of(tiny_generation)
    base = shutil.copytree(context.scoring.base.path, tmp_path / "base")
    config = MixtralConfig(
        vocab_size=json.loads((base / "config.json").read_text())["vocab_size"],
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        num_local_experts=4,
        max_position_embeddings=256,
    )
    torch.manual_seed(0)
    MixtralForCausalLM(config).save_pretrained(base)
    return replace(context, scoring=replace(context.scoring, base=replace(context.scoring.base, path=str(base))))


def with_lora(context, **changes):
    return replace(context, recipe=replace(context.recipe, lora=replace(context.recipe.lora, **changes)))


def trained(context, folder, monkeypatch):
    """Train one seed, and say what the live model's logits are."""
    folder.mkdir()
    fit, seen = adapters.fit, {}
    ids = torch.arange(3, 19)[None]

    def spy(context, trainable, run, report):
        course = fit(context, trainable, run, report)
        with torch.no_grad():
            seen["logits"] = trainable.module.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        return course

    monkeypatch.setattr(adapters, "fit", spy)
    (run,) = adapters.train(context, [SeedRun(0, streams(0, ["init"]), str(folder))], lambda *_: None)
    assert not run.failure
    return ids, seen["logits"]


#: PEFT looks among modules for what its own conversion means for tensors.
UNMATCHED = "ignore:The following (rank|alpha)_pattern keys did not match:RuntimeWarning"


@pytest.mark.filterwarnings(UNMATCHED)
def test_all_linear_adapts_experts_and_plain_peft_opens_them(context, tmp_path, monkeypatch):
    ids, logits = trained(with_lora(context, dropout=0.0), tmp_path / "run", monkeypatch)
    config = json.loads((tmp_path / "run" / "adapter_config.json").read_text())
    assert config["target_parameters"] == ["down_proj", "gate.weight", "gate_up_proj"]
    learnt = load_file(tmp_path / "run" / "adapter_model.safetensors")
    assert any("experts" in name and float(tensor.abs().max()) > 0 for name, tensor in learnt.items() if "_B" in name)
    base = AutoModelForCausalLM.from_pretrained(context.scoring.base.path)
    plain = PeftModel.from_pretrained(base, str(tmp_path / "run")).eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=ids).logits, logits, atol=1e-5, rtol=1e-4)


def test_experts_have_no_dropout_and_the_recipe_is_told_what_would_work(context, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"lora.dropout: found 0.1, expected 0: a model of type mixtral") as told:
        trained(context, tmp_path / "run", monkeypatch)
    assert "q_proj" in told.value.hint


def test_named_layers_beside_the_experts_may_drop_out(context, tmp_path, monkeypatch):
    trained(with_lora(context, target_modules=("q_proj", "v_proj")), tmp_path / "run", monkeypatch)
    learnt = load_file(tmp_path / "run" / "adapter_model.safetensors")
    assert learnt
    assert not any("experts" in name for name in learnt)
