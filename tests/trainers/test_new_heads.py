"""A base that brings a classifier of its own: every seed draws a new one, with either method."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny import Tiny, recipe_text, run_cli
from training import context_of
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    SiglipConfig,
    SiglipForImageClassification,
)

from seedband.bands.comparability import of_training
from seedband.determinism.seeds import streams
from seedband.errors import UsageError
from seedband.models.checkpoints import open_checkpoint
from seedband.models.loading import network, with_new_head
from seedband.models.recognise import recognise
from seedband.recipe.identity import REPLACED
from seedband.tasks import find
from seedband.trainers import SeedRun
from seedband.trainers.loop import adapters, heads

SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


def with_classifier(base, n_labels):
    """Give a base a classifier that was learnt, and a pooler."""
    names = ["river", "metal", "fruit", "other"][:n_labels]
    config = BertConfig.from_pretrained(
        base, id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)}
    )
    torch.manual_seed(7)
    model = BertForSequenceClassification.from_pretrained(base, config=config)
    with torch.no_grad():
        model.classifier.weight.normal_(0, 3)
        model.classifier.bias.fill_(5)
    model.save_pretrained(base)
    return base


def context_on(tiny, folder, n_labels, **train):
    context = context_of(tiny, **train)
    base = with_classifier(shutil.copytree(context.scoring.base.path, folder / "base"), n_labels)
    return replace(context, scoring=replace(context.scoring, base=replace(context.scoring.base, path=str(base))))


def trained(method, context, folder, *seeds):
    runs = []
    for seed in seeds:
        (folder / str(seed)).mkdir()
        runs.append(SeedRun(seed, streams(seed, ["init", "order", "dropout"]), str(folder / str(seed))))
    return list(method.train(context, runs, lambda *_: None))


def drawn(run):
    return {record["name"]: record for record in run.initializers}


@pytest.mark.parametrize("n_labels", [3, 2])
def test_an_adapter_draws_its_head_by_seed_and_not_from_the_bases(tiny_recipe, tmp_path, n_labels):
    context = context_on(tiny_recipe, tmp_path, n_labels, max_steps=1, learning_rate=1e-6)
    first, second = (drawn(run) for run in trained(adapters, context, tmp_path, 0, 1))
    assert {"classifier.weight", "classifier.bias"} <= set(first)
    assert "bert.pooler.dense.weight" not in first
    assert first["classifier.weight"]["distribution"].endswith(REPLACED) == (n_labels == 3)
    assert first["classifier.weight"]["realised_std"] != second["classifier.weight"]["realised_std"]
    weights = load_file(tmp_path / "0" / "adapter_model.safetensors")
    assert float(weights["base_model.model.classifier.weight"].std()) < 1
    assert float(weights["base_model.model.classifier.bias"].abs().max()) < 0.1


def test_the_saved_adapter_gives_the_logits_of_plain_peft(tiny_recipe, tmp_path):
    context = context_on(tiny_recipe, tmp_path, 3)
    trained(adapters, context, tmp_path, 0)
    scoring = context.scoring
    ours = open_checkpoint(recognise(tmp_path / "0", "ours"), scoring.base, scoring.labels, find(scoring.task))
    plain = AutoModelForSequenceClassification.from_pretrained(scoring.base.path)
    plain = PeftModel.from_pretrained(plain, str(tmp_path / "0")).eval()
    batch = find("text-classification").encode(context.items, scoring).batch(range(8), torch.device("cpu"))
    with torch.no_grad():
        np.testing.assert_allclose(ours.forward(batch), plain(**batch).logits, atol=1e-5)


@pytest.mark.parametrize("n_labels", [3, 2])
def test_a_head_under_its_architecture_is_new_and_opens(tiny_recipe, tmp_path, n_labels):
    context = context_on(tiny_recipe, tmp_path, n_labels)
    section = replace(context.recipe.head, pooling="model")
    context = replace(context, recipe=replace(context.recipe, head=section))
    runs = trained(heads, context, tmp_path, 0, 1)
    assert {"classifier.weight", "classifier.bias"} == set(drawn(runs[0]))
    scoring, opened = context.scoring, {}
    for seed in (0, 1):
        files = recognise(tmp_path / str(seed), "ours")
        found = open_checkpoint(files, scoring.base, scoring.labels, find(scoring.task), opened)
        saved = load_file(tmp_path / str(seed) / "head.safetensors")
        torch.testing.assert_close(found.module.classifier.weight.detach(), saved["classifier.weight"])


def test_an_order_of_labels_that_the_base_has_learnt_is_not_compared_with_a_new_one(tiny_recipe, tmp_path):
    context = context_on(tiny_recipe, tmp_path, 3, max_steps=1)
    (run,) = trained(adapters, context, tmp_path, 0)
    assert of_training(context.recipe)["initializers"]["head"] == "normal"
    assert of_training(context.recipe, 1, run.initializers)["initializers"]["head"] == "normal" + REPLACED


def test_what_lies_in_the_body_stays_loaded(tiny_recipe, tmp_path):
    base = with_classifier(shutil.copytree(tiny_recipe.folder / "base", tmp_path / "base"), 3)
    model, info = AutoModelForSequenceClassification.from_pretrained(base, output_loading_info=True)
    found = with_new_head(network(model, info))
    assert found.new == found.replaced == ("classifier.bias", "classifier.weight")


def test_a_head_that_lies_in_its_body_is_new_too():
    config = SiglipConfig(vision_config={**SMALL, "image_size": 16, "patch_size": 8}, text_config=SMALL, num_labels=3)
    model = SiglipForImageClassification(config)
    assert model.base_model is model
    found = with_new_head(network(model, {"missing_keys": [], "mismatched_keys": []}))
    assert found.new == found.replaced == ("classifier.bias", "classifier.weight")


def test_a_model_without_a_head_has_none_that_could_be_new(tiny_recipe):
    model, info = AutoModel.from_pretrained(tiny_recipe.folder / "base", output_loading_info=True)
    with pytest.raises(UsageError, match="a model of type bert has no classifier that could be new"):
        with_new_head(network(model, {**info, "missing_keys": []}))


@pytest.mark.slow
@pytest.mark.parametrize(("method", "n_labels"), [("head", 3), ("head", 2), ("lora", 2)])
def test_a_sweep_on_a_base_with_a_classifier_makes_a_band(tiny_recipe, tmp_path, method, n_labels):
    tiny = Tiny(shutil.copytree(tiny_recipe.folder, tmp_path / "tiny"))
    with_classifier(tiny.folder / "base", n_labels)
    tiny.config.write_text(recipe_text(train_method=f'"{method}"', head_pooling='"model"'))
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 0, done.err
