"""LoRA training in this process, where its inside can be seen."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny import SAID
from training import context_of, without_attention_dropout
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification

from seedband.data.dataset import load_items
from seedband.determinism.seeds import streams
from seedband.errors import UsageError
from seedband.models.checkpoints import open_checkpoint
from seedband.models.encoded import Truncation
from seedband.models.recognise import recognise
from seedband.tasks import find
from seedband.trainers import SeedRun
from seedband.trainers.loop import adapters, forward
from seedband.trainers.loop.dropout import KeyedDropout


@pytest.fixture
def context(tiny_recipe):
    return context_of(tiny_recipe)


@pytest.fixture(params=["tiny_recipe", "tiny_generation"])
def either(request):
    """An encoder that classifies, or a decoder that generates; both drop out in adapter and attention."""
    return request.getfixturevalue(request.param)


def adapter(folder):
    return load_file(folder / "adapter_model.safetensors")


def traced(folder, name="loss"):
    return [json.loads(line)[name] for line in (folder / "trace.jsonl").read_text().splitlines()]


def trained(context, folder, seed=0, monkeypatch=None):
    """Train one seed; with monkeypatch, also the logits that the live model gives to the first texts."""
    folder.mkdir()
    seen = {}
    if monkeypatch is not None:
        fit = adapters.fit

        def spy(context, trainable, run, report):
            course = fit(context, trainable, run, report)
            trainable.module.eval()
            with torch.no_grad():
                batch = (
                    find("text-classification")
                    .encode(context.items, context.scoring)
                    .batch(range(8), torch.device("cpu"))
                )
                seen["logits"] = trainable.module(**batch).logits.double().numpy()
            return course

        monkeypatch.setattr(adapters, "fit", spy)
    (run,) = adapters.train(
        context, [SeedRun(seed, streams(seed, ["init", "order", "dropout"]), str(folder))], lambda *_: None
    )
    return run, seen.get("logits")


@pytest.mark.parametrize("initializer", ["kaiming", "gaussian", "olora", "pissa"])
def test_saved_adapter_gives_the_logits_of_the_trained_model(context, tmp_path, monkeypatch, initializer):
    recipe = replace(context.recipe, init=replace(context.recipe.init, lora=initializer))
    context = replace(context, recipe=recipe)
    _, live = trained(context, tmp_path / "run", monkeypatch=monkeypatch)
    files = recognise(tmp_path / "run", "run")
    scoring = replace(context.scoring, batch_size=8)
    network = open_checkpoint(files, scoring.base, scoring.labels, find(scoring.task))
    first = replace(
        context.items, ids=context.items.ids[:8], inputs=context.items.inputs[:8], targets=context.items.targets[:8]
    )
    np.testing.assert_allclose(
        find("text-classification")
        .predict(network, find("text-classification").encode(first, scoring), scoring, "cpu")
        .logits,
        live,
        atol=2e-5,
    )


def test_checkpoint_opens_with_peft_alone(context, tmp_path):
    trained(context, tmp_path / "run")
    base = AutoModelForSequenceClassification.from_pretrained(context.scoring.base.path, num_labels=3)
    model = PeftModel.from_pretrained(base, str(tmp_path / "run"))
    assert model.peft_config["default"].r == 8
    assert float(model.base_model.model.classifier.modules_to_save["default"].weight.std()) > 0


def test_same_seed_gives_the_same_run_whatever_the_global_generator_holds(context, tmp_path):
    torch.manual_seed(1)
    first, _ = trained(context, tmp_path / "first")
    torch.manual_seed(2)
    torch.rand(17)
    second, _ = trained(context, tmp_path / "second")
    assert first.witnesses == second.witnesses
    assert (tmp_path / "first" / "adapter_model.safetensors").read_bytes() == (
        tmp_path / "second" / "adapter_model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("stream", ["init", "order", "dropout"])
def test_a_stream_changes_its_own_witness_and_no_other_draw(context, tmp_path, stream):
    both = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        (run,) = adapters.train(context, [SeedRun(seed, streams(seed, [stream]), str(folder))], lambda *_: None)
        both.append(run.witnesses)
    draws = {"init": ["init", "init_adapter", "init_head"], "order": ["order"], "dropout": ["dropout"]}
    for name, witnesses in draws.items():
        if name == "dropout" and stream == "order":
            continue  # masks are shaped by their batch, so another order may reshape them
        for witness in witnesses:
            assert (both[0][witness] != both[1][witness]) == (name == stream), witness
    assert both[0]["final"] != both[1]["final"]


def test_initial_tensors_do_not_depend_on_the_other_target_modules(context, tmp_path):
    few = replace(context, recipe=replace(context.recipe, lora=replace(context.recipe.lora, target_modules=("query",))))
    all_of_them, _ = trained(context, tmp_path / "all")
    only_query, _ = trained(few, tmp_path / "few")
    wide = {entry["name"]: entry["realised_std"] for entry in all_of_them.initializers}
    narrow = {entry["name"]: entry["realised_std"] for entry in only_query.initializers}
    assert len(narrow) < len(wide)
    assert all(wide[name] == std for name, std in narrow.items())


def test_diverging_run_is_a_result_not_a_crash(context, tmp_path):
    hot = replace(context, recipe=replace(context.recipe, train=replace(context.recipe.train, learning_rate=1e35)))
    run, _ = trained(hot, tmp_path / "run")
    assert "not finite" in run.failure
    assert not (tmp_path / "run" / "adapter_model.safetensors").exists()
    assert (tmp_path / "run" / "trace.jsonl").read_text().count("\n") == run.steps


def test_gradient_checkpointing_trains_the_same_bits(either, tmp_path, monkeypatch):
    """As without it on padded rows: what is computed again knows of no packing."""
    monkeypatch.setattr(forward, "pack_rows", lambda *_: False)
    parts, checkpointed = [], KeyedDropout.checkpointed
    monkeypatch.setattr(KeyedDropout, "checkpointed", lambda masks: (parts.append(masks), checkpointed(masks))[1])
    kept, _ = trained(context_of(either), tmp_path / "kept")
    assert not parts
    passes, start = [], KeyedDropout.start_pass
    monkeypatch.setattr(
        KeyedDropout, "start_pass", lambda masks, *which: (passes.append(which), start(masks, *which))[1]
    )
    again, _ = trained(context_of(either, gradient_checkpointing=True), tmp_path / "again")
    assert len(parts) == 2 * len(passes) > 0, "each of the two layers in each pass"
    assert kept.witnesses["dropout"] is not None
    assert kept.witnesses == again.witnesses
    first, second = (adapter(tmp_path / name) for name in ("kept", "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_accumulated_completions_weigh_by_their_tokens(tiny_generation, tmp_path):
    large = context_of(tiny_generation, batch_size=8)
    small = context_of(tiny_generation, batch_size=2, gradient_accumulation=4)
    still = [without_attention_dropout(context, tmp_path) for context in (large, small)]
    first, _ = trained(still[0], tmp_path / "large")
    second, _ = trained(still[1], tmp_path / "small")
    assert first.steps == second.steps
    assert len(set(map(len, SAID.values()))) > 1
    for name in ("loss", "gradient_norm"):
        np.testing.assert_allclose(traced(tmp_path / "large", name), traced(tmp_path / "small", name), rtol=1e-3)


def test_half_precision_trains_a_language_model_a_little_otherwise(tiny_generation, tmp_path):
    full, _ = trained(context_of(tiny_generation), tmp_path / "full")
    half, _ = trained(context_of(tiny_generation, precision="bf16", gradient_checkpointing=True), tmp_path / "half")
    assert not half.failure
    assert half.witnesses["losses"] != full.witnesses["losses"]
    np.testing.assert_allclose(traced(tmp_path / "half"), traced(tmp_path / "full"), rtol=0.05)
    assert {tensor.dtype for tensor in adapter(tmp_path / "half").values()} == {torch.float32}


def test_all_linear_is_every_projection_of_a_decoder_but_its_output(tiny_generation, tmp_path):
    trained(context_of(tiny_generation), tmp_path / "run")
    modules = {name.split(".")[-3] for name in adapter(tmp_path / "run")}
    assert modules == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_a_language_model_learns_what_it_is_shown(tiny_generation, tmp_path):
    context = context_of(tiny_generation, epochs=12, max_steps=72)
    run, _ = trained(context, tmp_path / "run")
    assert not run.failure
    course = traced(tmp_path / "run")
    assert np.mean(course[-4:]) < 0.5 * course[0]
    scoring = context.scoring
    network = open_checkpoint(recognise(tmp_path / "run", "run"), scoring.base, (), find(scoring.task))
    evaluated = load_items(Path(scoring.eval_path), scoring.columns)
    said = find("causal-lm").predict(network, find("causal-lm").encode(evaluated, scoring), scoring, "cpu")
    right = [text == reference.strip() for text, reference in zip(said.texts, evaluated.targets, strict=True)]
    assert np.mean(right) > 0.5


def test_what_training_left_out_is_on_record(tiny_generation, tmp_path):
    context = context_of(tiny_generation)
    whole, _ = trained(context, tmp_path / "whole")
    assert whole.truncated == Truncation()
    short, _ = trained(replace(context, scoring=replace(context.scoring, max_length=12)), tmp_path / "short")
    assert short.truncated.rows > 0
    assert short.truncated.tokens >= short.truncated.rows


def test_a_model_that_cannot_recompute_is_a_mistake_of_the_recipe(tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(BertForSequenceClassification, "supports_gradient_checkpointing", False)
    with pytest.raises(UsageError, match="gradient_checkpointing: PeftModelForSequenceClassification does not"):
        trained(context_of(tiny_recipe, gradient_checkpointing=True), tmp_path / "run")
