"""A frozen prefix: what is replayed is what the layers would have said, and only where they always say the same."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from training import context_of

from seedband import tasks
from seedband.feature_cache import FeatureCache
from seedband.prefix import freeze_prefix
from seedband.records import SeedRun
from seedband.seeding import streams
from seedband.trainers import forward, lora

UPPER = {
    "tiny_recipe": ("layer.1.attention.self.query", "layer.1.attention.self.value"),
    "tiny_generation": ("layers.1.self_attn.q_proj",),
}
CPU = torch.device("cpu")


@pytest.fixture(params=list(UPPER))
def context(request):
    """An encoder padded on the right, or a decoder padded on the left; the adapter is on the upper of two layers."""
    found = context_of(request.getfixturevalue(request.param))
    return with_targets(found, UPPER[request.param])


def with_targets(context, targets):
    return replace(
        context, recipe=replace(context.recipe, lora=replace(context.recipe.lora, target_modules=targets, dropout=0.0))
    )


def without_dropout(context):
    return replace(context, recipe=replace(context.recipe, train=replace(context.recipe.train, frozen_dropout=False)))


def built(context):
    task = tasks.find(context.scoring.task)
    torch.manual_seed(0)
    model = lora._with_adapter(task.load(context.scoring.base.path, context.scoring.labels), context)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return model.train(), task.encode(context.items, context.scoring)


def frozen(model, lesson, *, drop_out=False):
    return freeze_prefix(model, lesson, CPU, FeatureCache(), ["key"], drop_out=drop_out)


def test_replayed_layers_say_what_the_layers_say(context):
    model, lesson = built(context)
    rows = list(range(12))
    batch = lesson.batch(rows, CPU)
    assert len({lesson.lengths[row] for row in rows}) > 1
    with torch.no_grad():
        whole = model.eval()(**batch).logits
    prefix = frozen(model.train(), lesson)
    assert prefix is not None
    prefix.batch(rows, CPU)
    replayed = model.eval()(**batch).logits
    assert torch.allclose(replayed, whole, atol=2e-6)
    lesson.loss(replayed, rows).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters() if p.requires_grad)


def test_layers_that_drop_out_are_run_each_time_unless_the_recipe_says_otherwise(tiny_recipe):
    context = with_targets(context_of(tiny_recipe), UPPER["tiny_recipe"])
    model, lesson = built(context)
    assert frozen(model, lesson, drop_out=True) is None
    assert all(module.training for module in model.modules())
    assert frozen(model, lesson, drop_out=False) is not None


@pytest.mark.parametrize("target", ["layer.0.attention.self.query", "embeddings.word_embeddings"])
def test_nothing_is_replayed_below_which_something_is_trained(tiny_recipe, target):
    model, lesson = built(with_targets(context_of(tiny_recipe), (target, "layer.1.attention.self.query")))
    assert frozen(model, lesson) is None


def test_training_is_the_same_whether_states_are_computed_or_read(context, tmp_path):
    runs = {}
    for name in ("computed", "read", "nowhere"):
        folder = tmp_path / name
        folder.mkdir()
        cache = FeatureCache(tmp_path / "cache" / "features", "here") if name != "nowhere" else FeatureCache()
        given = replace(without_dropout(context), features=cache)
        run = SeedRun(0, streams(0, ["init", "order", "dropout"]), str(folder))
        runs[name] = next(iter(lora.train(given, [run], lambda *_: None)))
    assert runs["computed"].witnesses == runs["read"].witnesses == runs["nowhere"].witnesses
    assert any((tmp_path / "cache" / "features").iterdir())


def test_training_on_a_replayed_prefix_is_training_on_the_whole_model(context, tmp_path, monkeypatch):
    """But for the last digits: rows are computed in other batches."""
    given, tensors = without_dropout(context), {}
    for name in ("replayed", "whole"):
        folder = tmp_path / name
        folder.mkdir()
        run = SeedRun(0, streams(0, ["init", "order", "dropout"]), str(folder))
        list(lora.train(given, [run], lambda *_: None))
        tensors[name] = load_file(folder / "adapter_model.safetensors")
        monkeypatch.setattr(forward, "freeze_prefix", calmed)
    for name, tensor in tensors["whole"].items():
        assert torch.allclose(tensors["replayed"][name], tensor, atol=1e-4), name


def calmed(model, *given, **how):
    """Frozen layers in eval mode, and run each time."""
    prefix = freeze_prefix(model, *given, **how)
    assert prefix is not None
    prefix.restore()
