"""Stacked heads: each is trained as it would be alone, bit for bit, and as the shared loop trains it."""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional
from training import make_context

from seedband.determinism.seeds import streams
from seedband.trainers import SeedRun
from seedband.trainers.loop import stacked_heads
from seedband.trainers.loop.fit import Trainable, fit
from seedband.trainers.loop.stacked_heads import MAX_STACK, Drawn, Fixed, fit_stack, stack_size

ROWS, ALL = 30, ["init", "order", "dropout"]


def fixed(classes, width, rate=0.25):
    features = torch.linspace(-3, 3, ROWS * width).sin().reshape(ROWS, width)
    return Fixed(features, torch.arange(ROWS) % classes, "classifier", "dropout" if rate else "", rate)


def drawn(seed, classes, width, folder, *, bias=True):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(classes, width, generator=generator)
    folder.mkdir(parents=True, exist_ok=True)
    return Drawn(SeedRun(seed, streams(seed, ALL), str(folder)), weight, torch.zeros(classes) if bias else None)


def stacked(context, given, seeds, folder, **how):
    classes, width = int(given.targets.max()) + 1, given.features.shape[1]
    heads = [drawn(seed, classes, width, folder / f"seed-{seed}", **how) for seed in seeds]
    return {done.run.seed: done for done in fit_stack(context, given, heads, lambda *_: None)}


@pytest.mark.parametrize(("classes", "width"), [(2, 4), (3, 33), (12, 64), (77, 384)])
def test_a_seed_alone_equals_the_same_seed_in_a_stack(tmp_path, classes, width):
    context, given = make_context(weight_decay=0.1, max_grad_norm=0.5), fixed(classes, width)
    together = stacked(context, given, range(MAX_STACK + 3), tmp_path / "together")
    for seed in (0, 7, MAX_STACK + 2):
        alone = stacked(context, given, [seed], tmp_path / "alone")[seed]
        assert alone.course == together[seed].course
        for name, tensor in alone.tensors.items():
            assert torch.equal(tensor, together[seed].tensors[name])
        traces = [tmp_path / place / f"seed-{seed}" / "trace.jsonl" for place in ("alone", "together")]
        assert traces[0].read_bytes() == traces[1].read_bytes()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("section", [{}, {"gradient_accumulation": 2}, {"schedule": "cosine", "warmup_ratio": 0.3}])
def test_a_stack_trains_as_the_shared_loop_does(tmp_path, bias, section):
    context, given = make_context(weight_decay=0.1, max_grad_norm=0.5, **section), fixed(3, 4)
    ours = stacked(context, given, [5], tmp_path / "stack", bias=bias)[5]
    head = drawn(5, 3, 4, tmp_path / "loop", bias=bias)
    model = nn.ModuleDict({"dropout": nn.Dropout(given.rate), "classifier": nn.Linear(4, 3, bias=bias)})
    with torch.no_grad():
        model["classifier"].weight.copy_(head.weight)
        if bias:
            model["classifier"].bias.zero_()

    def loss(rows):
        logits = model["classifier"](model["dropout"](given.features[list(rows)]))
        return functional.cross_entropy(logits, given.targets[list(rows)], reduction="sum")

    named = list(model.named_parameters())
    course = fit(context, Trainable(model, loss, len, named, named), head.run, lambda *_: None)
    assert ours.course.steps == course.steps
    for witness in ("init", "order", "dropout"):
        assert ours.course.witnesses[witness] == course.witnesses[witness]
    for name, parameter in named:
        assert torch.allclose(ours.tensors[name], parameter, atol=1e-5)
    assert losses(tmp_path / "stack" / "seed-5") == pytest.approx(losses(tmp_path / "loop"), abs=1e-4)


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "trace.jsonl").read_text(encoding="utf-8").splitlines()]


def size_of(classes, width, **section):
    context = make_context(**section)
    return stack_size(torch.zeros(classes, width), biased=True, section=context.recipe.train, n_rows=ROWS)


def test_heads_are_stacked_as_far_as_memory_goes(monkeypatch):
    assert size_of(12, 64) == MAX_STACK
    monkeypatch.setattr(stacked_heads, "MAX_STACK_BYTES", 5 * 16 * 12 * 64)
    assert size_of(12, 64) == 5
    monkeypatch.setattr(stacked_heads, "MAX_STACK_BYTES", 2 * 16 * 12 * 64)
    assert size_of(12, 64) == 2
    monkeypatch.setattr(stacked_heads, "MAX_STACK_BYTES", 1)
    assert size_of(12, 64) == 1


@pytest.mark.parametrize("seeds", [range(2, 99), [2], [MAX_STACK]])
def test_where_products_of_many_seeds_round_otherwise_than_those_of_one_none_are_stacked(monkeypatch, seeds):
    """As a library may that shares batched products out among threads, whatever torch says of threads."""
    batched = torch.baddbmm
    off = torch.tensor(1 + 2**-20)
    monkeypatch.setattr(torch, "baddbmm", lambda *given: batched(*given) * (off if len(given[1]) in seeds else 1.0))
    assert size_of(12, 64) == 1


def test_with_several_threads_none_are_stacked(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert size_of(12, 64) == 1


def test_without_dropout_there_is_no_dropout_witness(tmp_path):
    done = stacked(make_context(), fixed(3, 4, rate=0.0), [0], tmp_path)
    assert done[0].course.witnesses["dropout"] is None


def test_a_seed_that_fails_leaves_the_others_as_they_are(tmp_path):
    context, given = make_context(), fixed(3, 4)
    whole = stacked(context, given, [0, 1, 2], tmp_path / "whole")
    heads = [drawn(seed, 3, 4, tmp_path / "broken" / f"seed-{seed}") for seed in range(3)]
    heads[1].weight[0, 0] = float("inf")
    done = {entry.run.seed: entry for entry in fit_stack(context, given, heads, lambda *_: None)}
    assert "not finite at step 0" in done[1].course.failure
    assert done[1].course.steps == 1
    for seed in (0, 2):
        assert done[seed].course == whole[seed].course
    assert json.loads((tmp_path / "broken" / "seed-1" / "trace.jsonl").read_text())["loss"] in ("nan", "inf")


class Killed(Exception):
    pass


def test_a_stack_that_was_killed_goes_on_to_the_same_bits(tmp_path):
    context, given = make_context(save_steps=3), fixed(3, 4)
    whole = stacked(context, given, [0, 1, 2], tmp_path / "whole")
    folder = tmp_path / "killed"

    def kill(kind, seed, content):
        if kind == "step" and content["step"] == 6 and seed == 1:  # seed 2 has not kept this step yet
            raise Killed

    heads = [drawn(seed, 3, 4, folder / f"seed-{seed}") for seed in range(3)]
    with pytest.raises(Killed):
        list(fit_stack(context, given, heads, kill))
    told = []
    heads = [drawn(seed, 3, 4, folder / f"seed-{seed}") for seed in range(3)]
    done = list(fit_stack(context, given, heads, lambda kind, seed, content: told.append((kind, seed, content))))
    assert {content["text"] for kind, _, content in told if kind == "note"} == {
        "seed 0 goes on from step 6 of 8",
        "seed 1 goes on from step 6 of 8",
        "seed 2 goes on from step 3 of 8",
    }
    for entry in done:
        assert entry.course == whole[entry.run.seed].course
