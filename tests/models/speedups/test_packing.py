"""Packing: no token is lost, none is computed for nothing, and training is that of padded rows."""

from dataclasses import replace
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.functional import scaled_dot_product_attention
from training import CPU, built, classifier, context_of, network_of, without_attention_dropout
from transformers import AutoConfig, AutoModelForCausalLM

from seedband.determinism.seeds import streams
from seedband.models.speedups.packing import (
    OVERHEAD,
    Layout,
    _GroupedAttention,
    _of_group,
    _read,
    group_sizes,
    pack_rows,
)
from seedband.trainers import SeedRun
from seedband.trainers.loop import adapters, forward

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def mask_of(lengths, *, left_padded):
    tokens = torch.arange(max(lengths)).expand(len(lengths), -1)
    mask = (tokens < torch.tensor(lengths)[:, None]).long()
    return mask.flip(1) if left_padded else mask


def taken(lengths, *, left_padded=False):
    layout = Layout()
    layout.take(mask_of(lengths, left_padded=left_padded))
    return layout


@given(LENGTHS)
def test_groups_hold_every_row_and_never_cost_more(lengths):
    lengths.sort()
    sizes = group_sizes(lengths)
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    assert sum(sizes) == len(lengths)
    cost = sum(n * lengths[end - 1] ** 2 + OVERHEAD for n, end in zip(sizes, ends, strict=True))
    assert cost <= len(lengths) * lengths[-1] ** 2 + OVERHEAD


@given(LENGTHS.filter(lambda lengths: len(set(lengths)) > 1), st.booleans())
def test_states_are_packed_without_padding_and_unpacked_into_their_places(lengths, left_padded):
    layout, mask = taken(lengths, left_padded=left_padded), mask_of(lengths, left_padded=left_padded)
    states = torch.arange(mask.numel() * 2.0).add(1).view(*mask.shape, 2)
    packed = layout.pack(states)
    assert packed.shape == (1, sum(lengths), 2)
    assert layout.is_packed(packed)
    assert torch.equal(layout.unpack(packed), states * mask[..., None])
    assert layout.lengths == sorted(lengths)
    own = [state[row.bool()] for state, row in zip(states, mask, strict=True)]
    assert torch.equal(packed[0], torch.cat([own[row] for row in layout.order]))
    assert torch.equal(layout.first(packed)[:, 0], torch.stack([state[0] for state in own]))


@given(LENGTHS.filter(lambda lengths: len(set(lengths)) > 1), st.booleans())
def test_groups_pad_their_own_tokens_and_take_them_back(lengths, left_padded):
    layout = taken(lengths, left_padded=left_padded)
    heads = torch.randn(1, 2, sum(lengths), 3)
    back = torch.cat([group.pack(group.pad(heads)) for group in layout.groups], dim=2)
    assert torch.equal(back, heads)
    assert sorted(row for group in layout.groups for row in group.rows) == list(range(len(lengths)))
    for group in layout.groups:
        padded, mask = group.pad(heads), mask_of(lengths, left_padded=left_padded)[list(group.rows), group.seen]
        assert padded.shape == (len(group.rows), 2, group.longest, 3)
        assert bool((padded.abs().sum((1, 3)) > 0).long().eq(mask).all())


def test_rows_of_one_length_are_left_alone():
    layout = taken([7, 7, 7])
    assert layout.order == layout.groups == []
    assert not layout.is_packed(torch.ones(1, 21, 2))


@pytest.fixture(params=["tiny_recipe", "tiny_generation"])
def context(request):
    """An encoder padded on the right, or a decoder padded on the left."""
    return context_of(request.getfixturevalue(request.param))


def test_packed_rows_say_what_padded_rows_say(context):
    model, lesson = built(context)
    rows, layout = list(range(12)), Layout()
    batch = lesson.batch(rows, CPU)
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        whole = model.eval()(**batch).logits
        assert pack_rows(network_of(model), lesson, CPU, layout)
        seen = []
        watched = next(module for name, module in model.named_modules() if name.endswith(("query", "q_proj")))
        watched.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[:2]))
        packed = model(**batch).logits
    if packed.dim() == 3:
        last = real[:, -packed.shape[1] :]
        packed, whole = packed[last], whole[last]
    assert torch.allclose(packed, whole, atol=2e-5)
    assert seen[-1] == (1, int(real.sum()))
    assert layout.order == []


def test_a_batch_that_fails_leaves_nothing_packed(context):
    model, lesson = built(context)
    layout = Layout()
    assert pack_rows(network_of(model), lesson, CPU, layout)
    batch = lesson.batch([0, 1, 2, 3], CPU)
    with pytest.raises(IndexError):
        model(**batch | {"input_ids": batch["input_ids"] + 10**6})
    assert layout.order == []
    assert len(torch.overrides._get_current_function_mode_stack()) == 0


def test_attention_that_would_see_all_rows_at_once_is_not_packed(context):
    model, lesson = built(context)
    model.set_attn_implementation("eager")
    batch = lesson.batch([0, 1, 2, 3], CPU)
    with torch.no_grad():
        before = model.eval()(**batch).logits
        assert not pack_rows(network_of(model), lesson, CPU, Layout())
        assert torch.equal(model(**batch).logits, before)


def test_a_head_that_says_nothing_of_the_rows_proves_nothing(tiny_recipe):
    model, lesson = built(context_of(tiny_recipe))
    for name, parameter in model.named_parameters():
        if "classifier.modules_to_save" in name:
            torch.nn.init.zeros_(parameter)
    assert not pack_rows(network_of(model), lesson, CPU, Layout())


def test_training_on_packed_rows_is_training_on_padded_rows(context, tmp_path, monkeypatch):
    """Masks, too: every item keeps its own. Only sums are rounded otherwise."""
    still = without_attention_dropout(context, tmp_path)
    given = replace(still, recipe=replace(still.recipe, lora=replace(still.recipe.lora, dropout=0.1)))
    tensors, packed = {}, []
    for name in ("packed", "padded"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "padded":
            monkeypatch.setattr(forward, "pack_rows", lambda *_: None)
        else:
            monkeypatch.setattr(forward, "pack_rows", lambda *how: packed.append(pack_rows(*how)))
        list(
            adapters.train(given, [SeedRun(0, streams(0, ["init", "order", "dropout"]), str(folder))], lambda *_: None)
        )
        tensors[name] = load_file(folder / "adapter_model.safetensors")
    assert packed == [True]
    for name, tensor in tensors["padded"].items():
        assert torch.allclose(tensors["packed"][name], tensor, atol=1e-4), name


@pytest.mark.parametrize("shape", ["each", "keys"])
@pytest.mark.parametrize("left_padded", [False, True])
def test_a_group_sees_its_part_of_the_mask(left_padded, shape):
    lengths = [3, 40, 5, 41]
    layout, mask = taken(lengths, left_padded=left_padded), mask_of(lengths, left_padded=left_padded).bool()
    seen = mask[:, None, None, :]
    whole = seen.expand(-1, -1, 41, -1) if shape == "each" else seen
    assert len(layout.groups) == 2
    for group in layout.groups:
        own = _of_group(whole, group).expand(-1, -1, group.longest, -1)
        assert torch.equal(own[:, 0, 0], mask[list(group.rows), group.seen])


@pytest.mark.parametrize("left_padded", [False, True])
def test_a_mask_of_one_kind_stands_for_all_rows_and_for_all_tokens(left_padded):
    layout = Layout()
    layout.overhead = 0
    layout.take(mask_of([1, 2], left_padded=left_padded))
    assert [group.longest for group in layout.groups] == [1, 2]
    causal = torch.ones(2, 2).tril().bool()[None, None]
    for group in layout.groups:
        assert torch.equal(_of_group(causal, group), causal[:, :, group.seen, group.seen])
        for shape in ((2, 1, 1, 2), (2, 1, 2, 1), (2, 1, 1, 1), (2, 1, 2, 2)):
            mask = torch.arange(8.0)[: prod(shape)].view(shape)
            sizes = tuple(1 if size == 1 else group.longest for size in shape[2:])
            assert _of_group(mask, group).shape == (1, 1, *sizes)
            whole = mask.expand(2, 1, 2, 2)[list(group.rows)][:, :, group.seen, group.seen]
            assert torch.equal(_of_group(mask, group).expand_as(whole), whole)


@pytest.mark.parametrize("kind", ["falcon", "bloom"])
def test_layers_of_another_form_are_not_packed(tiny_generation, kind):
    _, lesson = built(context_of(tiny_generation))
    config = AutoConfig.for_model(kind, vocab_size=2000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2)
    model = AutoModelForCausalLM.from_config(config).train()
    batch = {name: value for name, value in lesson.batch([0, 1, 2, 3], CPU).items() if name != "position_ids"}
    plain = lesson.batch
    lesson.batch = lambda *which: {name: value for name, value in plain(*which).items() if name != "position_ids"}
    with torch.no_grad():
        before = model.eval()(**batch).logits
        assert not pack_rows(network_of(model), lesson, CPU, Layout())
        assert torch.equal(model(**batch).logits, before)


def test_a_network_that_leaves_layers_out_in_training_is_not_packed(tiny_recipe):
    _, lesson = built(context_of(tiny_recipe))
    model = classifier("roberta")
    model.roberta.encoder.layerdrop = 0.1
    assert not pack_rows(network_of(model), lesson, CPU, Layout())


@pytest.mark.parametrize("given", [(None, 0.0, True), (None, 0.0), (None,), ()])
def test_attention_is_that_of_each_row_by_itself_however_its_arguments_are_given(given):
    layout = taken([40, 2, 3])
    assert len(layout.groups) == 2
    states = torch.randn(3, 1, 2, 45, 3)
    named = dict([("attn_mask", None), ("dropout_p", 0.0), ("is_causal", True)][len(given) :])
    with _GroupedAttention(layout):
        packed = scaled_dot_product_attention(*states, *given, **named)
    own = zip(*(state.split(layout.lengths, dim=2) for state in states), strict=True)
    alone = [scaled_dot_product_attention(*row, is_causal=True) for row in own]
    assert torch.allclose(packed, torch.cat(alone, dim=2), atol=1e-6)


def test_rows_of_which_none_is_padded_are_not_packed(tiny_recipe):
    model, lesson = built(context_of(tiny_recipe))
    plain = lesson.batch
    for change in (lambda mask: mask.fill_(1), lambda _: None):
        lesson.batch = lambda *which, change=change: {
            **(batch := plain(*which)),
            "attention_mask": change(batch["attention_mask"]),
        }
        assert pack_rows(network_of(model), lesson, CPU, Layout()) is False


def test_logits_of_padding_are_not_compared_and_those_of_rows_all_are():
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    tokens = torch.arange(12.0).reshape(2, 3, 2)
    assert torch.equal(_read(tokens, mask), tokens[mask.bool()])
    rows = torch.arange(4.0).reshape(2, 2)
    assert torch.equal(_read(rows, mask), rows)
