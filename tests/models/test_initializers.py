"""Initializers: each new tensor is drawn from what its record says, and from nothing else."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from seedband.models.initializers import LORA, as_dicts, draw_new, is_lora, plain_name

A, B, HEAD_W, HEAD_B = "encoder.q.lora_A.weight", "encoder.q.lora_B.weight", "classifier.weight", "classifier.bias"
SHAPES = {A: (8, 64), B: (64, 8), HEAD_W: (3, 64), HEAD_B: (3,)}


def parameter(*shape, dtype=torch.float32):
    return torch.nn.Parameter(torch.full(shape, 7.0, dtype=dtype))


def drawn(names=tuple(SHAPES), seed=0, lora="kaiming", head_std=0.02, **shapes):
    """Values and records by name."""
    parameters = {name: parameter(*{**SHAPES, **shapes}[name]) for name in names}
    records = draw_new(parameters.items(), seed, lora, "normal", head_std)
    return {name: tensor.detach() for name, tensor in parameters.items()}, {record.name: record for record in records}


def peft_model(initializer):
    network = torch.nn.Sequential()
    network.add_module("q", torch.nn.Linear(48, 512))
    init = LORA[initializer].init_lora_weights
    return get_peft_model(network, LoraConfig(r=512, target_modules=["q"], init_lora_weights=init))


@pytest.mark.parametrize("initializer", ["kaiming", "gaussian"])
def test_draws_a_as_peft_does(initializer):
    torch.manual_seed(0)
    model = peft_model(initializer)
    ours = model.base_model.model.q.lora_A["default"].weight.detach()
    theirs = ours.clone()
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    records = draw_new(trained, 0, initializer, "normal", 0.02)
    assert [record.name for record in records] == ["q.lora_A.weight", "q.lora_B.weight"]
    assert not torch.equal(ours, theirs)
    assert records[0].target_std == pytest.approx(float(theirs.std()), rel=0.02)
    assert records[0].realised_std == pytest.approx(float(theirs.std()), rel=0.02)
    if initializer == "kaiming":
        bound = torch.nn.init.calculate_gain("leaky_relu", math.sqrt(5)) * math.sqrt(3 / 48)
        assert bound == pytest.approx(1 / math.sqrt(48))
        for values in (ours, theirs):
            assert 0.999 * bound < float(values.abs().max()) <= bound


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_gaussian_std_is_one_over_rank(rank):
    values, records = drawn([A], lora="gaussian", **{A: (rank, 40_000)})
    assert records[A].target_std == 1 / rank
    assert float(values[A].std()) == pytest.approx(1 / rank, rel=0.03)


def test_realised_std_is_near_its_target_for_a_big_tensor():
    values, records = drawn([A, HEAD_W], head_std=0.05, **{A: (64, 4000), HEAD_W: (64, 4000)})
    for name in (A, HEAD_W):
        assert records[name].realised_std == pytest.approx(records[name].target_std, rel=0.01)
        assert records[name].realised_std == pytest.approx(float(values[name].std(unbiased=False)))
        assert abs(float(values[name].mean())) < 0.01 * records[name].target_std * 2
    assert float(values[A].abs().max()) <= 1 / math.sqrt(4000)
    assert (records[HEAD_W].target_std, records[HEAD_W].distribution) == (0.05, "normal(0, 0.05)")


def test_lora_b_and_biases_are_zero():
    values, records = drawn()
    for name in (B, HEAD_B):
        assert not values[name].any()
        assert (records[name].distribution, records[name].target_std, records[name].realised_std) == ("zeros", 0.0, 0.0)
    assert values[A].all()
    assert values[HEAD_W].all()


def test_records_say_how_every_tensor_was_drawn():
    records = draw_new([(name, parameter(*SHAPES[name])) for name in SHAPES], 0, "kaiming", "normal", 0.02)
    assert [record.name for record in records] == sorted(SHAPES)
    [first, *_] = [entry for entry in as_dicts(records) if entry["name"] == A]
    assert (first["shape"], first["fan_in"], first["distribution"]) == ((8, 64), 64, "uniform(-0.125, 0.125)")


@pytest.mark.parametrize("name", SHAPES)
def test_a_draw_depends_on_no_other_tensor(name):
    together, alone = drawn()[0], drawn([name])[0]
    backwards = drawn(tuple(SHAPES)[::-1])[0]
    assert torch.equal(together[name], alone[name])
    assert torch.equal(together[name], backwards[name])


def test_a_draw_neither_reads_nor_moves_the_global_generator():
    torch.manual_seed(1)
    first = drawn()[0]
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = drawn()[0]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in SHAPES)


def test_a_draw_depends_on_seed_and_name():
    one, other = drawn(seed=1)[0], drawn(seed=2)[0]
    assert not torch.equal(one[A], other[A])
    assert not torch.equal(one[HEAD_W], other[HEAD_W])
    values = drawn(["k.lora_A.weight", "v.lora_A.weight"], **{f"{n}.lora_A.weight": (8, 64) for n in "kv"})[0]
    assert not torch.equal(*values.values())


def test_a_wrapped_tensor_is_drawn_as_a_plain_one():
    wrapped = "base_model.model.encoder.q.lora_A.default.weight"
    values, records = drawn([wrapped], **{wrapped: SHAPES[A]})
    assert torch.equal(values[wrapped], drawn([A])[0][A])
    assert list(records) == [A]


def test_half_precision_gets_the_rounded_draw():
    half = parameter(*SHAPES[A], dtype=torch.bfloat16)
    draw_new([(A, half)], 0, "kaiming", "normal", 0.02)
    assert torch.equal(half.detach(), drawn([A])[0][A].bfloat16())


@pytest.mark.parametrize("initializer", ["olora", "pissa"])
def test_leaves_to_peft_what_peft_computes_from_the_base(initializer):
    first, records = drawn(lora=initializer, seed=1)
    assert (first[A] == 7).all()
    assert (first[B] == 7).all()
    assert records[A].distribution == f"{initializer}, computed by PEFT from the base weights"
    assert (records[A].target_std, records[A].realised_std) == (None, 0.0)
    assert records[HEAD_W].distribution == "normal(0, 0.02)"
    assert LORA[initializer].changes_base
    assert LORA[initializer].init_lora_weights == initializer


@pytest.mark.parametrize(
    ("name", "plain", "lora"),
    [
        ("base_model.model.bert.layer.0.query.lora_A.default.weight", "bert.layer.0.query.lora_A.weight", True),
        ("base_model.model.classifier.modules_to_save.default.bias", "classifier.bias", False),
        ("base_model.model.score.modules_to_save.default.dense.weight", "score.dense.weight", False),
        ("bert.layer.0.query.weight", "bert.layer.0.query.weight", False),
    ],
)
def test_plain_name_is_free_of_wrappers(name, plain, lora):
    assert plain_name(name) == plain_name(plain) == plain
    assert is_lora(name) is lora


def test_embeddings_start_at_zero_by_a_not_by_b():
    a, b = nn.Parameter(torch.ones(4, 10)), nn.Parameter(torch.zeros(16, 4))
    names = [f"base_model.model.bert.words.lora_embedding_{part}.default" for part in "AB"]
    records = draw_new(list(zip(names, (a, b), strict=True)), 1, "kaiming", "normal", 0.02)
    assert [record.name for record in records] == ["bert.words.lora_embedding_A", "bert.words.lora_embedding_B"]
    assert not a.any()
    assert b.std() > 0.5


def test_new_norms_start_at_one():
    scale = nn.Parameter(torch.zeros(8))
    draw_new([("classifier.norm.weight", scale)], 1, "kaiming", "normal", 0.02)
    assert torch.equal(scale.data, torch.ones(8))
