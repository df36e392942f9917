"""A frozen prefix: what is replayed is what the layers would have said, and only where they always say the same."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from training import CPU, built, classifier, context_of, network_of, silent, without_types

from seedband.determinism.seeds import streams
from seedband.errors import UsageError
from seedband.models.loading import pooled
from seedband.models.speedups.feature_cache import DROPPED, FeatureCache, _write
from seedband.models.speedups.frozen_layers import Prefix, freeze_prefix, still_prefix
from seedband.models.speedups.layers import layers_of
from seedband.tasks.cache_key import rows_key
from seedband.trainers import SeedRun
from seedband.trainers.loop import adapters, forward

UPPER = {
    "tiny_recipe": ("layer.1.attention.self.query", "layer.1.attention.self.value"),
    "tiny_generation": ("layers.1.self_attn.q_proj",),
}


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


def frozen(model, lesson, *, drop_out=False, cache=None, emit=silent):
    if not drop_out:
        still_prefix(network_of(model), lesson, CPU)
    return freeze_prefix(network_of(model), lesson, CPU, cache or FeatureCache(), ["key"], emit)


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


@pytest.mark.parametrize(
    ("targets", "still"),
    [
        (("layer.1.attention.self.query",), {"embeddings", "layer.0"}),
        (("layer.0.attention.self.query", "layer.1.attention.self.query"), {"embeddings"}),
        (("pooler.dense",), {"embeddings", "layer.0", "layer.1"}),
        (("word_embeddings",), set()),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_below_the_first_trained_layer_is_as_in_scoring_where_the_recipe_says_so(
    tiny_recipe, tmp_path, monkeypatch, targets, still, precision
):
    """In every precision, and whether or not there is a layer to replay."""
    given = without_dropout(with_targets(context_of(tiny_recipe), targets))
    given = replace(given, recipe=replace(given.recipe, train=replace(given.recipe.train, precision=precision)))
    seen = []
    monkeypatch.setattr(adapters, "fit", lambda _, trainable, *rest: seen.append(trainable.module))
    run = SeedRun(0, streams(0, ["init", "order", "dropout"]), str(tmp_path))
    with pytest.raises(AttributeError):  # nothing was trained
        next(iter(adapters.train(given, [run], silent)))
    for name, module in seen[0].named_modules():
        if isinstance(module, torch.nn.Dropout):
            below = any(f"{place}." in name for place in still)
            assert module.training != below, name


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
        runs[name] = next(iter(adapters.train(given, [run], lambda *_: None)))
    assert runs["computed"].witnesses == runs["read"].witnesses == runs["nowhere"].witnesses
    assert any((tmp_path / "cache" / "features").iterdir())


def test_training_on_a_replayed_prefix_is_training_on_the_whole_model(context, tmp_path, monkeypatch):
    """But for the last digits: rows are computed in other batches."""
    given, tensors = without_dropout(context), {}
    for name in ("replayed", "whole"):
        folder = tmp_path / name
        folder.mkdir()
        run = SeedRun(0, streams(0, ["init", "order", "dropout"]), str(folder))
        list(adapters.train(given, [run], lambda *_: None))
        tensors[name] = load_file(folder / "adapter_model.safetensors")
        monkeypatch.setattr(forward, "freeze_prefix", calmed)
    for name, tensor in tensors["whole"].items():
        assert torch.allclose(tensors["replayed"][name], tensor, atol=1e-4), name


def calmed(*given):
    """Frozen layers in eval mode, and run each time."""
    prefix = freeze_prefix(*given)
    assert prefix is not None
    prefix.restore()


@pytest.mark.parametrize("kind", ["roberta", "modernbert", "deberta-v2", "convbert", "rembert"])
def test_another_architecture_is_replayed_or_left_as_it_is(tiny_recipe, kind):
    _, lesson = built(context_of(tiny_recipe))
    model = without_types(classifier(kind, num_hidden_layers=3))
    rows = list(range(12))
    with torch.no_grad():
        whole = model.eval()(**lesson.batch(rows, CPU)).logits
        prefix = frozen(model.train(), lesson)
        said = model.eval()(**(prefix or lesson).batch(rows, CPU)).logits
    assert (prefix is not None) == (kind in {"roberta", "modernbert"})
    assert torch.allclose(said, whole, atol=1e-5)


def test_what_is_trained_may_be_read_without_its_module_being_called(tiny_recipe):
    _, lesson = built(context_of(tiny_recipe))
    model = classifier("roberta")
    model.roberta.beside = torch.nn.Embedding(2, 32)
    assert frozen(model, lesson) is None


def test_of_a_network_that_leaves_layers_out_in_training_nothing_is_replayed_and_nothing_is_known_to_lie_below(
    tiny_recipe,
):
    _, lesson = built(context_of(tiny_recipe))
    model = classifier("roberta", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    assert frozen(model, lesson, drop_out=True) is not None
    dropping = classifier("roberta", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    dropping.roberta.encoder.layerdrop = 0.1
    assert frozen(dropping, lesson, drop_out=True) is None
    with pytest.raises(UsageError, match=r"train\.frozen_dropout") as refused:
        still_prefix(network_of(dropping), lesson, CPU)
    assert refused.value.hint == "leave frozen_dropout out: all layers drop out then"


def test_states_that_would_take_too_much_are_computed_each_time_and_that_is_told(context, monkeypatch):
    told = []
    monkeypatch.setattr("seedband.models.speedups.frozen_layers.MAX_BYTES", 1000)
    assert frozen(*built(context), emit=lambda *event: told.append(event)) is None
    ((kind, seed, content),) = told
    assert (kind, seed) == ("warning", None)
    assert content["text"].startswith("what enters layer 1 takes 0.0 GiB, and 0 GiB at most is kept")


def test_a_pooled_backbone_is_replayed(tiny_recipe):
    context = context_of(tiny_recipe)
    _, lesson = built(context)
    network = pooled(context.scoring.base.path, context.scoring.labels, "mean", 0.0)
    network.module.requires_grad_(requires_grad=False)
    rows = list(range(12))
    with torch.no_grad():
        whole = network.forward(lesson.batch(rows, CPU))
        prefix = freeze_prefix(network, lesson, CPU, FeatureCache(), [], silent)
        assert prefix is not None
        assert torch.allclose(network.forward(prefix.batch(rows, CPU)), whole, atol=1e-5)


def test_states_of_other_rows_are_never_taken_for_these(context, tmp_path):
    cache = FeatureCache(tmp_path / "features", "here")
    model, lesson = built(context)
    own = frozen(model, lesson, cache=cache).states
    files = list((tmp_path / "features").rglob("*.safetensors"))
    assert files
    for file in files:
        tensors = load_file(file)
        _write(file, [tensors[str(number)].flip(0) for number in range(len(tensors))])  # with a hash that is right
    model, lesson = built(context)
    states = frozen(model, lesson, cache=cache).states
    assert all(torch.equal(states[row], state) for row, state in own.items())


@pytest.mark.parametrize("what", ["contents", "targets"])
def test_rows_are_known_by_all_that_a_network_may_read_of_them(tiny_generation, what):
    context = context_of(tiny_generation)
    others = (*getattr(context.items, what)[1:], "another")
    assert rows_key(context.scoring, context.items) == rows_key(context.scoring, replace(context.items))
    assert rows_key(context.scoring, context.items) != rows_key(
        context.scoring, replace(context.items, **{what: others})
    )


def test_states_that_another_base_left_are_dropped_and_that_is_told_once(context, tmp_path):
    cache, told = FeatureCache(tmp_path / "features", "here"), []
    model, lesson = built(context)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 if parameter.requires_grad else 1.01)
    frozen(model, lesson, cache=cache)
    for _ in range(2):
        model, lesson = built(context)
        own = frozen(built(context)[0], lesson).states
        states = frozen(model, lesson, cache=cache, emit=lambda *event: told.append(event)).states
        assert all(torch.allclose(states[row], state, atol=1e-4) for row, state in own.items())
    assert told == [("warning", None, {"text": DROPPED})]


class DropsOut(torch.nn.Module):
    """Dropout that hits something in every second pass only."""

    passes = 0

    def forward(self, states):
        self.passes += self.training
        return states * (1 + self.passes % 2)


@pytest.mark.parametrize("first", [0, 1])
def test_layers_that_drop_out_in_some_passes_only_are_run_each_time(tiny_recipe, first):
    _, lesson = built(context_of(tiny_recipe))
    model = classifier("roberta", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model.roberta.embeddings.dropout = DropsOut()
    model.roberta.embeddings.dropout.passes = first
    assert frozen(model, lesson, drop_out=True) is None


def test_states_that_take_all_that_is_allowed_are_kept(context, monkeypatch):
    model, lesson = built(context)
    tokens = sum(lesson.lengths)
    assert tokens < len(lesson.lengths) * max(lesson.lengths)
    takes = tokens * model.config.hidden_size * 4
    monkeypatch.setattr("seedband.models.speedups.frozen_layers.MAX_BYTES", takes)
    assert frozen(model, lesson) is not None
    model, lesson = built(context)
    monkeypatch.setattr("seedband.models.speedups.frozen_layers.MAX_BYTES", takes - 1)
    assert frozen(model, lesson) is None


def test_a_row_by_itself_is_replayed_as_it_is(context):
    model, lesson = built(context)
    prefix = Prefix(layers_of(model), 1, lesson)
    prefix.states = {3: torch.arange(6.0).reshape(3, 2)}
    batch = prefix.batch([3], CPU)
    assert torch.equal(prefix.entering, prefix.states[3][None])
    assert batch
