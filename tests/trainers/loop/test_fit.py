"""The shared loop: plan, order, optimizer and schedule, against torch and transformers themselves."""

import json
import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from training import make_context
from transformers import get_scheduler

from seedband.determinism.seeds import epoch_order, streams
from seedband.errors import UsageError
from seedband.trainers import SeedRun
from seedband.trainers.loop.fit import Trainable, fit

FEATURES = torch.linspace(-1, 1, 30 * 4).sin().reshape(30, 4)
TARGETS = tuple(row % 3 for row in range(30))


def linear():
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.copy_(torch.linspace(-0.1, 0.1, 12).reshape(3, 4))
        model.bias.zero_()
    return model


def train(context, folder, model, seed=0):
    named = list(model.named_parameters())

    def loss(rows):
        targets = torch.tensor([TARGETS[row] for row in rows])
        return functional.cross_entropy(model(FEATURES[list(rows)]), targets, reduction="sum")

    trainable = Trainable(model, loss, len, named, named)
    told = []
    run = SeedRun(seed, streams(seed, ["order"]), str(folder))
    return fit(context, trainable, run, lambda kind, _, content: told.append((kind, content))), told


def test_loop_is_plain_adamw_with_a_schedule_and_clipping(tmp_path):
    context = make_context(weight_decay=0.1, warmup_ratio=0.25, max_grad_norm=0.05)
    ours = linear()
    course, _ = train(context, tmp_path, ours)
    theirs = linear()
    decayed = [{"params": [theirs.weight], "weight_decay": 0.1}, {"params": [theirs.bias], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(decayed, lr=0.05)
    schedule = get_scheduler("linear", optimizer, 2, 8)
    for epoch in range(2):
        order = epoch_order(streams(0, [])["order"], epoch, context.item_keys)
        for start in range(0, 30, 8):
            rows = order[start : start + 8]
            functional.cross_entropy(theirs(FEATURES[rows]), torch.tensor([TARGETS[row] for row in rows])).backward()
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.05)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    assert course.steps == 8
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-6)


def test_accumulated_passes_are_one_large_batch(tmp_path):
    large, small = linear(), linear()
    train(make_context(batch_size=10), tmp_path, large)
    train(make_context(batch_size=5, gradient_accumulation=2), tmp_path, small)
    assert torch.allclose(large.weight, small.weight, atol=1e-6)


@pytest.mark.parametrize(
    ("section", "items", "steps"),
    [({}, 30, 8), ({"batch_size": 30}, 30, 2), ({"gradient_accumulation": 3}, 30, 4), ({"max_steps": 3}, 30, 3)],
)
def test_planned_steps_are_the_steps_taken(section, items, steps, tmp_path):
    context = make_context(**section)
    assert context.recipe.train.planned_steps(items) == steps
    assert train(context, tmp_path, linear())[0].steps == steps


def test_trace_holds_a_line_a_step(tmp_path):
    course, told = train(make_context(), tmp_path, linear())
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(course.steps))
    assert lines[-1]["epoch"] == 1
    assert lines[0]["learning_rate"] == 0.05
    assert all(math.isfinite(line["loss"]) and line["gradient_norm"] > 0 for line in lines)
    assert [kind for kind, _ in told][:2] == ["witness", "step"]


def test_loss_that_is_not_finite_ends_the_run_as_a_failure(tmp_path):
    model = linear()
    with torch.no_grad():
        model.weight[0, 0] = float("inf")
    course, _ = train(make_context(), tmp_path, model)
    assert "not finite at step 0" in course.failure
    assert json.loads((tmp_path / "trace.jsonl").read_text())["loss"] in ("nan", "inf")


def test_no_dropout_no_dropout_witness(tmp_path):
    assert train(make_context(), tmp_path, linear())[0].witnesses["dropout"] is None


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_every_schedule_runs(tmp_path, schedule):
    assert train(make_context(schedule=schedule, warmup_ratio=0.1), tmp_path, linear())[0].steps == 8


def test_bf16_runs_and_differs(tmp_path):
    full, _ = train(make_context(), tmp_path, linear())
    half, _ = train(make_context(precision="bf16"), tmp_path, linear())
    assert not half.failure
    assert half.witnesses["losses"] != full.witnesses["losses"]


def test_a_module_that_cannot_compute_again_is_told_by_its_key(tmp_path):
    with pytest.raises(UsageError, match=r"train\.gradient_checkpointing: Linear does not support it"):
        train(make_context(gradient_checkpointing=True), tmp_path, linear())
