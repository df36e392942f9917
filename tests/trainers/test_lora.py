"""LoRA training in this process, where its inside can be seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from seedband.checkpoints import open_checkpoint
from seedband.models import recognise
from seedband.preflight import prepare
from seedband.recipe import load_recipe
from seedband.records import SeedRun
from seedband.seeding import item_keys, streams
from seedband.tasks.text_classification import encode, predict
from seedband.trainers import TrainContext, lora


@pytest.fixture
def context(tiny_recipe):
    loaded = load_recipe(tiny_recipe.config)
    recipe = replace(loaded.recipe, train=replace(loaded.recipe.train, max_steps=4))
    prepared = prepare(loaded._replace(recipe=recipe), offline=True)
    items = prepared.train_items
    return TrainContext(recipe, prepared.scoring, items, tuple(item_keys(items.contents)), "cpu", "tests")


def trained(context, folder, seed=0, monkeypatch=None):
    """Train one seed; with monkeypatch, also the logits that the live model gives to the first texts."""
    folder.mkdir()
    seen = {}
    if monkeypatch is not None:
        fit = lora.fit

        def spy(context, trainable, run, report):
            course = fit(context, trainable, run, report)
            trainable.module.eval()
            with torch.no_grad():
                batch = encode(context.items, context.scoring).batch(range(8), torch.device("cpu"))
                seen["logits"] = trainable.module(**batch).logits.double().numpy()
            return course

        monkeypatch.setattr(lora, "fit", spy)
    (run,) = lora.train(
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
    network = open_checkpoint(files, scoring.base, scoring.labels, scoring.task)
    first = replace(
        context.items, ids=context.items.ids[:8], inputs=context.items.inputs[:8], targets=context.items.targets[:8]
    )
    np.testing.assert_allclose(predict(network, first, scoring, "cpu").logits, live, atol=2e-5)


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
        (run,) = lora.train(context, [SeedRun(seed, streams(seed, [stream]), str(folder))], lambda *_: None)
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
