"""Head training: groups, pooling, and the small folder it leaves."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny import recipe_text, run_cli
from training import context_of
from transformers.models.bert.modeling_bert import BertLayer

from seedband import load_band
from seedband.determinism.seeds import streams
from seedband.runs.run_file import read_run
from seedband.trainers import SeedRun
from seedband.trainers.loop import forward, heads, stacked_heads


def test_head_folder_holds_the_new_tensors_only(tiny_heads):
    folder = tiny_heads.runs / "seed-0"
    assert set(load_file(folder / "head.safetensors")) == {"classifier.weight", "classifier.bias"}
    record = json.loads((folder / "head.json").read_text())
    assert record["pooling"] == "mean"
    assert record["labels"] == ["fruit", "metal", "river"]
    assert not (folder / "model.safetensors").exists()


def test_every_seed_of_a_group_has_its_own_record_and_draws(tiny_heads):
    runs = [read_run(tiny_heads.runs / f"seed-{seed}") for seed in range(3)]
    for name in ("init", "order", "dropout", "final"):
        assert len({run.witnesses[name] for run in runs}) == 3
    assert load_band(tiny_heads.band).metrics["accuracy"].spread > 0


def test_a_seed_alone_equals_the_same_seed_in_a_group(tiny_heads, tmp_path):
    done = run_cli("sweep", "--seeds", "2,", "--no-band", "--out", tmp_path / "alone", cwd=tiny_heads.folder)
    assert done.code == 0, done.err
    alone, grouped = read_run(tmp_path / "alone" / "seed-2"), read_run(tiny_heads.runs / "seed-2")
    assert alone.witnesses == grouped.witnesses
    assert alone.evaluations == grouped.evaluations


def test_heads_are_kept_as_soon_as_those_of_their_stack_are_trained(tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(stacked_heads, "MAX_STACK", 2)
    runs = []
    for seed in range(4):
        (tmp_path / str(seed)).mkdir()
        runs.append(SeedRun(seed, streams(seed, ["init", "order", "dropout"]), str(tmp_path / str(seed))))
    trained = heads.train(context_of(tiny_recipe, method="head"), runs, lambda *_: None)
    assert [next(trained).run.seed for _ in range(2)] == [0, 1]
    assert [(tmp_path / str(seed) / "head.safetensors").exists() for seed in range(4)] == [True, True, False, False]
    assert not any((tmp_path / "2").iterdir())
    assert [done.run.seed for done in trained] == [2, 3]


def test_head_is_checked_like_any_checkpoint(tiny_heads):
    band = load_band(tiny_heads.band)
    seed = band.metrics["accuracy"].median_seed
    done = run_cli("check", tiny_heads.runs / f"seed-{seed}", "--band", tiny_heads.band)
    assert done.code == 0, done.err


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["cls", "model"])
def test_other_poolings_train_and_are_scored_from_their_folder(tiny, pooling):
    text = recipe_text(train_method='"head"', head_pooling=f'"{pooling}"', train_epochs="4", train_learning_rate="5e-2")
    tiny.config.write_text(text)
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 0, done.err
    assert json.loads((tiny.runs / "seed-0" / "head.json").read_text())["pooling"] == pooling
    again = run_cli("check", "runs", "--json", cwd=tiny.folder)
    assert again.code == 0, again.err
    assert (
        tuple(json.loads(again.out)["metrics"]["accuracy"]["scores"]) == load_band(tiny.band).metrics["accuracy"].scores
    )


def test_a_head_of_another_kind_is_trained_on_what_its_backbone_always_says(tiny_recipe, tmp_path, monkeypatch):
    context = context_of(tiny_recipe, method="head")
    context = replace(context, recipe=replace(context.recipe, head=replace(context.recipe.head, pooling="model")))
    monkeypatch.setattr(heads, "linear_head", lambda *_: None)
    runs_of_a_layer, tensors = {}, {}
    for name in ("known", "computed"):
        (tmp_path / name).mkdir()
        runs = [SeedRun(0, streams(0, ["init", "order", "dropout"]), str(tmp_path / name))]
        with counting(BertLayer) as called:
            assert not next(iter(heads.train(context, runs, lambda *_: None))).failure
        runs_of_a_layer[name] = len(called)
        tensors[name] = load_file(tmp_path / name / "head.safetensors")
        for lever in ("keep_first_token", "freeze_prefix", "pack_rows"):
            monkeypatch.setattr(forward, lever, lambda *_, **__: None)
    assert runs_of_a_layer["known"] == 4, "only the last layer"
    assert runs_of_a_layer["computed"] == 8, "two layers in each of four steps"
    for name, tensor in tensors["computed"].items():
        assert torch.allclose(tensors["known"][name], tensor, atol=1e-5), name


@contextmanager
def counting(kind):
    """Calls of modules of a kind that are trained on: those under gradients."""
    called, forward_of = [], kind.forward

    def watched(module, *given, **how):
        if torch.is_grad_enabled():
            called.append(module)
        return forward_of(module, *given, **how)

    kind.forward = watched
    try:
        yield called
    finally:
        kind.forward = forward_of
