"""Checkpoints scored: what an adapter brings, and layers below it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from training import context_of

from seedband.data.dataset import load_items
from seedband.determinism.seeds import streams
from seedband.jobs.score import Scorer
from seedband.models.checkpoints import open_checkpoint
from seedband.models.recognise import recognise
from seedband.models.speedups.feature_cache import FeatureCache
from seedband.tasks import find
from seedband.trainers import SeedRun
from seedband.trainers.loop import adapters


def adapter_on(context, module, folder):
    """An adapter trained on one module."""
    section = replace(context.recipe.lora, target_modules=(module,))
    folder.mkdir()
    run = SeedRun(0, streams(0, ["init", "order", "dropout"]), str(folder))
    list(adapters.train(replace(context, recipe=replace(context.recipe, lora=section)), [run], lambda *_: None))
    return recognise(folder, "run")


def scorer_of(context):
    return Scorer(context.scoring, "cpu", {}, FeatureCache(), lambda *_: None)


def logits_of(context, files):
    """What the whole network of a checkpoint says."""
    scoring = context.scoring
    lesson = find("text-classification").encode(load_items(Path(scoring.eval_path), scoring.columns), scoring)
    network = open_checkpoint(files, scoring.base, scoring.labels, find(scoring.task))
    return find("text-classification").predict(network, lesson, scoring, "cpu").logits


@pytest.mark.parametrize(("layer", "known"), [(1, True), (0, False)])
def test_layers_below_an_adapter_are_replayed_in_scoring(tiny_recipe, tmp_path, layer, known):
    context = context_of(tiny_recipe)
    files = adapter_on(context, f"layer.{layer}.attention.self.query", tmp_path / "run")
    scoring, scorer = context.scoring, scorer_of(context)
    network = open_checkpoint(files, scoring.base, scoring.labels, find(scoring.task))
    assert (scorer._above_the_base(files, network) is not None) == known
    np.testing.assert_allclose(scorer._predict(files).logits, logits_of(context, files), atol=1e-5)


def test_what_an_adapter_brings_along_is_never_taken_from_the_base(tiny_recipe, tmp_path):
    context = context_of(tiny_recipe)
    files = adapter_on(context, "layer.1.attention.self.query", tmp_path / "run")
    weights = Path(files.path) / "adapter_model.safetensors"
    before, tensors = logits_of(context, files), load_file(weights)
    name = "bert.encoder.layer.0.output.dense.weight"
    base = load_file(Path(context.scoring.base.path) / "model.safetensors")
    found = next(base[key] for key in base if key.endswith(name.removeprefix("bert.")))
    save_file({**tensors, f"base_model.model.{name}": found * 3}, weights, metadata={"format": "pt"})
    after = logits_of(context, files)
    assert abs(after - before).max() > 0.01
    np.testing.assert_allclose(scorer_of(context)._predict(files).logits, after, atol=1e-5)
