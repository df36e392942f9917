"""A run that is killed goes on from its training checkpoint, bit for bit."""

import json

import pytest
import torch
from holding import Held
from tiny import recipe_text, run_cli

from seedband.runs.layout import TRAINING
from seedband.trainers.loop import resume
from seedband.trainers.loop.steps import Step
from seedband.trainers.loop.trace import Trace

TRACE = '{"step": 0}\n{"step": 1}\n'


def parameters(seed):
    generator = torch.Generator().manual_seed(seed)
    return [(name, torch.nn.Parameter(torch.randn(3, 4, generator=generator))) for name in ("a", "b")]


def stepped(seed, steps):
    named = parameters(seed)
    optimizer = torch.optim.AdamW([p for _, p in named], lr=0.1)
    for _ in range(steps):
        sum((p**2).sum() for _, p in named).backward()
        optimizer.step()
        optimizer.zero_grad()
    return named, optimizer


def test_weights_and_optimizer_come_back_to_the_bit(tmp_path):
    named, optimizer = stepped(1, 5)
    (tmp_path / "trace.jsonl").write_text(TRACE)
    progress = resume.Progress(5, ("0.5",) * 5, {"init": "x", "dropout": None}, len(TRACE))
    resume.save(tmp_path, named, optimizer, progress, "recipe")
    again, other = stepped(2, 0)
    assert resume.load(tmp_path, again, other, {"init": "x"}, "recipe") == progress
    for (_, p), (_, q) in zip(named, again, strict=True):
        assert torch.equal(p, q)
        assert all(torch.equal(optimizer.state[p][key], other.state[q][key]) for key in resume.MOMENTS)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("identity", "is of another recipe, data, base, version or machine"),
        ("witness", "began from other draws"),
        ("tensors", "is damaged: its files do not fit their hashes"),
        ("state", "is damaged: "),
        ("shape", "is damaged: 'b'"),
        ("trace", "is damaged: its files do not fit their hashes"),
        ("no trace", "is damaged: "),
    ],
)
def test_what_does_not_hold_together_changes_nothing_and_is_told(tmp_path, spoil, told):
    named, optimizer = stepped(1, 2)
    (tmp_path / "trace.jsonl").write_text(TRACE)
    resume.save(tmp_path, named, optimizer, resume.Progress(2, ("0.5",) * 2, {"init": "x"}, len(TRACE)), "recipe")
    if spoil == "trace":
        (tmp_path / "trace.jsonl").write_text(TRACE[:-2])
    if spoil == "no trace":
        (tmp_path / "trace.jsonl").unlink()
    if spoil == "tensors":
        (tmp_path / "training-2.safetensors").write_bytes(b"half")
    if spoil == "state":
        (tmp_path / TRAINING).write_text("{")
    again = (
        parameters(2)
        if spoil != "shape"
        else [("a", torch.nn.Parameter(torch.zeros(3, 4))), ("b", torch.nn.Parameter(torch.zeros(9)))]
    )
    before = [p.detach().clone() for _, p in again]
    other = torch.optim.AdamW([p for _, p in again], lr=0.1)
    known = {"init": "y" if spoil == "witness" else "x"}
    found = resume.load(tmp_path, again, other, known, "other" if spoil == "identity" else "recipe")
    assert isinstance(found, str)
    assert found.startswith(told)
    assert all(torch.equal(p, q) for (_, p), q in zip(again, before, strict=True))
    assert not other.state


def test_where_nothing_was_left_there_is_nothing_to_tell(tmp_path):
    named = parameters(1)
    assert resume.load(tmp_path, named, torch.optim.AdamW([p for _, p in named]), {}, "recipe") == ""


def test_a_parameter_that_never_had_a_gradient_is_kept_without_moments(tmp_path):
    named = [*parameters(1), ("idle", torch.nn.Parameter(torch.ones(2)))]
    optimizer = torch.optim.AdamW([p for _, p in named], lr=0.1)
    sum((p**2).sum() for _, p in named[:2]).backward()
    optimizer.step()
    (tmp_path / "trace.jsonl").write_text(TRACE)
    progress = resume.Progress(1, ("0.5",), {"init": "x"}, len(TRACE))
    resume.save(tmp_path, named, optimizer, progress, "recipe")
    again = [*parameters(2), ("idle", torch.nn.Parameter(torch.zeros(2)))]
    other = torch.optim.AdamW([p for _, p in again], lr=0.1)
    assert resume.load(tmp_path, again, other, {"init": "x"}, "recipe") == progress
    assert torch.equal(again[2][1], torch.ones(2))
    assert len(other.state) == 2


def test_steps_that_were_done_stay_in_the_trace_while_it_goes_on(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_text(TRACE + '{"step": 2}\n{"st')
    trace = Trace(tmp_path, len(TRACE))
    assert path.read_text() == TRACE
    trace.write(Step(2, 0, [[0]]), 0.5, 0.1, 1.0)
    assert trace.flushed() == path.stat().st_size
    trace.close()
    again = path.read_text()
    assert again.startswith(TRACE)
    assert json.loads(again.removeprefix(TRACE))["step"] == 2
    Trace(tmp_path).close()
    assert path.read_text() == ""


@pytest.mark.slow
def test_killed_sweep_goes_on_to_the_same_bits(tiny):
    text = recipe_text(train_save_steps="10", train_warmup_ratio="0.2", train_schedule='"cosine"')
    tiny.config.write_text(text, encoding="utf-8")
    sweep = ["sweep", "--seeds", "1", "--no-band", "-q", "--out"]
    done = run_cli(*sweep, "whole", cwd=tiny.folder)
    assert done.code == 0, done.err
    run = tiny.folder / "cut" / "seed-0"
    killed = Held(tiny.folder, *sweep, "cut", moved="*/training-30.safetensors")
    killed.pid()
    killed.process.kill()
    killed.process.communicate()
    assert not (run / "run.json").is_file()
    done = run_cli("sweep", "--seeds", "1", "--no-band", "--out", "cut", cwd=tiny.folder)
    assert done.code == 0, done.err
    assert "goes on from step 20 of 120" in done.err  # of step 30 the weights were there alone
    whole, cut = (json.loads((tiny.folder / name / "seed-0" / "run.json").read_text()) for name in ("whole", "cut"))
    for key in ("witnesses", "checkpoint_sha256", "evaluations", "steps"):
        assert whole[key] == cut[key]
    traces = [(tiny.folder / name / "seed-0" / "trace.jsonl").read_text() for name in ("whole", "cut")]
    assert traces[0] == traces[1]
    assert not list(run.glob("training*"))
