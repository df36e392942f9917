"""First token: what nobody reads is not computed, and training is the same without it."""

import pytest
import torch
from safetensors.torch import load_file
from training import CPU, built, context_of, network_of, without_types
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from seedband.determinism.seeds import streams
from seedband.models.speedups.first_token import keep_first_token
from seedband.models.speedups.packing import Layout, pack_rows
from seedband.trainers import SeedRun
from seedband.trainers.loop import adapters, forward

SMALL = {"vocab_size": 2000, "num_labels": 3}


def kept(model, lesson, layout=None):
    return keep_first_token(network_of(model), lesson, CPU, layout or Layout())


def shapes(model, batch, ending):
    """Of what comes out of modules whose name ends so."""
    seen, modules = [], [module for name, module in model.named_modules() if name.endswith(ending)]
    for module in modules:
        module.register_forward_hook(lambda _module, _given, output: seen.append(tuple(output.shape[:2])))
    with torch.no_grad():
        model(**batch)
    return seen


@pytest.mark.parametrize("packed", [False, True])
def test_the_last_layer_goes_on_with_the_first_token(tiny_recipe, packed):
    model, lesson = built(context_of(tiny_recipe))
    rows, layout = list(range(12)), Layout()
    batch = lesson.batch(rows, CPU)
    with torch.no_grad():
        whole = model.eval()(**batch).logits
        assert kept(model, lesson, layout) == "base_model.model.bert.encoder.layer.1.attention.output"
        assert not packed or pack_rows(network_of(model), lesson, CPU, layout)
        assert torch.allclose(model(**batch).logits, whole, atol=2e-6)
    tokens = (1, int(batch["attention_mask"].sum())) if packed else tuple(batch["input_ids"].shape)
    assert shapes(model, batch, "intermediate.dense") == [tokens, (12, 1)]


def test_other_encoders_go_on_with_it_where_their_layers_let_them(tiny_recipe):
    _, lesson = built(context_of(tiny_recipe))
    roberta = RobertaForSequenceClassification(
        RobertaConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, **SMALL)
    )
    distilbert = DistilBertForSequenceClassification(
        DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64, **SMALL)
    )
    assert kept(roberta, lesson) == "roberta.encoder.layer.1.attention.output"
    assert kept(without_types(distilbert), lesson) == "distilbert.transformer.layer.1.sa_layer_norm"


def test_a_head_that_reads_all_tokens_gets_them(tiny_recipe):
    model, lesson = built(context_of(tiny_recipe))
    pooler = next(module for name, module in model.named_modules() if name.endswith("bert.pooler"))
    pooler.forward = lambda hidden: pooler.activation(pooler.dense(hidden.mean(1)))
    batch = lesson.batch([0, 1, 2], CPU)
    with torch.no_grad():
        whole = model.eval()(**batch).logits
        assert kept(model, lesson) == ""
        assert torch.equal(model(**batch).logits, whole)


def test_a_decoder_is_left_as_it_is(tiny_generation):
    assert kept(*built(context_of(tiny_generation))) == ""


def test_a_head_of_zeros_hides_what_it_reads(tiny_recipe):
    model, lesson = built(context_of(tiny_recipe))
    for name, parameter in model.named_parameters():
        if "classifier.modules_to_save" in name:
            torch.nn.init.zeros_(parameter)
    assert kept(model, lesson) == ""


def test_training_is_the_same_without_what_nobody_reads(tiny_recipe, tmp_path, monkeypatch):
    context, tensors, said = context_of(tiny_recipe), {}, []
    monkeypatch.setattr(forward, "keep_first_token", lambda *how: said.append(keep_first_token(*how)))
    for name in ("first", "all"):
        folder = tmp_path / name
        folder.mkdir()
        list(
            adapters.train(
                context, [SeedRun(0, streams(0, ["init", "order", "dropout"]), str(folder))], lambda *_: None
            )
        )
        tensors[name] = load_file(folder / "adapter_model.safetensors")
        monkeypatch.setattr(forward, "keep_first_token", lambda *_: "")
    assert len(said) == 1
    assert said[0]
    for name, tensor in tensors["all"].items():
        assert torch.allclose(tensors["first"][name], tensor, atol=1e-4), name
