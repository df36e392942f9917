"""Method `head`: the backbone is frozen and never drops out; only the classification head is trained.

A head that is one linear layer reads features that are the same for every seed and epoch: they are computed once, and
the heads of a group are trained side by side. Any other head is trained under its backbone, one seed after the other.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seedband import tasks
from seedband.models import encoded
from seedband.models.initializers import as_dicts, draw_new
from seedband.models.loading import Network, pooled, with_new_head
from seedband.models.model_folders import HEAD_WEIGHTS
from seedband.models.padding import drawn_alike, settle, version
from seedband.models.pooling import resolve_pooling
from seedband.models.speedups.head_features import FeatureRows, compute_features, on_features
from seedband.models.speedups.linear_heads import LinearHead, linear_head
from seedband.models.tensor_files import save_tensors
from seedband.storage import json_files
from seedband.tasks.cache_key import rows_key
from seedband.trainers import Report, SeedRun, TrainContext, TrainedRun
from seedband.trainers.loop.fit import Trainable, fit
from seedband.trainers.loop.forward import Forward
from seedband.trainers.loop.journal import Course, Named
from seedband.trainers.loop.stacked_heads import Drawn, Fixed, fit_stack, stack_size

#: Rows of which features are computed in one forward pass.
FEATURE_BATCH = 64


class _Trained(NamedTuple):
    """A head that was trained."""

    run: SeedRun
    course: Course
    initializers: list[dict[str, object]]
    tensors: Mapping[str, torch.Tensor]
    seconds: float | None = None


def train(context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
    """Train the heads of a group of seeds over one frozen backbone."""
    scoring, task = context.scoring, tasks.find(context.scoring.task)
    pooling = resolve_pooling(context.recipe.head.pooling, Path(scoring.base.path))
    if pooling == "model":
        network = with_new_head(task.load(scoring.base.path, scoring.labels))
    else:
        network = pooled(scoring.base.path, scoring.labels, pooling, context.recipe.head.dropout)
    context.check_base()
    network.module.to(context.device).eval()
    for name, parameter in network.module.named_parameters():
        parameter.requires_grad_(name in network.new)
    lesson = task.encode(context.items, scoring)
    for trained in _ways(context, network, lesson, pooling, report).train(runs, report):
        if not trained.course.failure:
            _save(trained.tensors, Path(trained.run.folder), context, pooling)
        course = trained.course
        told = course.failure, course.witnesses, trained.initializers, course.steps, network.attention
        padding = version(lesson, context.ways[pooling])
        yield TrainedRun(trained.run, *told, lesson.truncated, trained.seconds, padding)


def _ways(context: TrainContext, network: Network, lesson: Any, pooling: str, report: Report) -> "_Stacked | _Alone":
    """The way in which these heads are trained."""
    new = [(name, p) for name, p in network.module.named_parameters() if p.requires_grad]
    device, heads = torch.device(context.device), [parameter for _, parameter in new]
    with drawn_alike(heads):
        settle(network, lesson, device, context.ways, pooling, report)
    probe = lesson.batch(encoded.probe_rows(lesson), device)
    head = linear_head(network, probe, lambda: _set_mode(network))
    if head is None:
        _set_mode(network)
        forward = Forward(network, heads, lesson, context, report, drop_out=True, reads=pooling)
        how = forward.layout, lesson.left_padded, forward.parts
        return _Alone(context, network, new, lesson.units, forward.loss, how)
    key = [*rows_key(context.scoring, context.items), pooling]
    features = compute_features(head, lesson, FEATURE_BATCH, context.device, context.features, key, report)
    if context.recipe.train.precision == "fp32":
        return _Stacked(context, network, new, lesson.targets, head, features)
    end = on_features(network, head)
    end.module.train()
    rows = FeatureRows(lesson, features)
    return _Alone(
        context, end, new, rows.units, lambda chosen: rows.loss(end.forward(rows.batch(chosen, device)), chosen)
    )


@dataclass(frozen=True)
class _Stacked:
    """Linear heads on features, side by side."""

    context: TrainContext
    network: Network
    new: Sequence[Named]
    targets: torch.Tensor
    head: LinearHead
    features: torch.Tensor

    def train(self, runs: Sequence[SeedRun], report: Report) -> Iterator[_Trained]:
        fixed = Fixed(
            self.features, self.targets.to(self.features.device), self.head.name, self.head.dropout, self.head.rate
        )
        layer, section = self.head.layer, self.context.recipe.train
        size = stack_size(layer.weight, section, len(self.targets), biased=layer.bias is not None)
        for start in range(0, len(runs), size):
            started, stack = time.monotonic(), runs[start : start + size]
            initializers, heads = {}, []
            for run in stack:
                initializers[run.seed] = _draw(self.new, run, self.context, self.network)
                bias = None if layer.bias is None else layer.bias.detach().clone()
                heads.append(Drawn(run, layer.weight.detach().clone(), bias))
            fitted = list(fit_stack(self.context, fixed, heads, report))
            seconds = (time.monotonic() - started) / len(stack)
            for done in fitted:
                yield _Trained(done.run, done.course, initializers[done.run.seed], done.tensors, seconds)


@dataclass(frozen=True)
class _Alone:
    """Heads of any kind, one after the other."""

    context: TrainContext
    network: Network
    new: Sequence[Named]
    units: Callable[[Sequence[int]], int]
    loss: Callable[[Sequence[int]], torch.Tensor]
    how: tuple[Any, ...] = ()

    def train(self, runs: Sequence[SeedRun], report: Report) -> Iterator[_Trained]:
        for run in runs:
            initializers = _draw(self.new, run, self.context, self.network)
            trainable = Trainable(self.network.module, self.loss, self.units, self.new, self.new, *self.how)
            course = fit(self.context, trainable, run, report)
            yield _Trained(run, course, initializers, dict(self.new))


def _draw(new: Sequence[Named], run: SeedRun, context: TrainContext, network: Network) -> list[dict[str, object]]:
    init = context.recipe.init
    return as_dicts(draw_new(new, run.streams["init"], init.lora, init.head, network.head_std, network.replaced))


def _set_mode(network: Network) -> None:
    """Set the mode: what is beside the backbone is the head, and only that drops out."""
    module: Any = network.module
    for name, child in module.named_children():
        child.train(mode=name != getattr(module, "base_model_prefix", "backbone"))


def _save(tensors: Mapping[str, torch.Tensor], folder: Path, context: TrainContext, pooling: str) -> None:
    """The new tensors only, and what it takes to put them back on their base."""
    save_tensors(folder / HEAD_WEIGHTS, tensors)
    content = {
        "base": context.scoring.base.reference,
        "base_sha256": context.scoring.base.sha256,
        "pooling": pooling,
        "labels": list(context.scoring.labels),
    }
    json_files.write_json(folder / "head.json", "head", content)
