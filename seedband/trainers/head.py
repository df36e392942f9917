"""Method `head`: the backbone is frozen and never drops out; only the classification head is trained.

With the embedding model's own pooling the pooled features are computed once for all seeds of the group and all
epochs. With the architecture's own head the whole model runs, its backbone in eval mode.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from seedband import store, tasks
from seedband.initializers import as_dicts, draw_new
from seedband.models import HEAD_WEIGHTS, resolve_pooling, save_tensors
from seedband.networks import Network, pool, pooled
from seedband.records import SeedRun
from seedband.trainers import Report, TrainContext, TrainedRun
from seedband.trainers.loop import Trainable, fit

FEATURE_BATCH = 64
Logits = Callable[[Sequence[int]], torch.Tensor]


def train(context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
    """Train the heads of a group of seeds over one frozen backbone."""
    scoring, dropout = context.scoring, context.recipe.head.dropout
    task = tasks.find(scoring.task)
    pooling = resolve_pooling(context.recipe.head.pooling, Path(scoring.base.path))
    network = (
        task.load(scoring.base.path, scoring.labels)
        if pooling == "model"
        else pooled(scoring.base.path, scoring.labels, pooling, dropout)
    )
    module = network.module.to(context.device).eval()
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in network.new)
    new = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    lesson = task.encode(context.items, scoring)
    logits = (_architecture_head if pooling == "model" else _pooled_head)(network, lesson, context, pooling)

    def loss(rows: Sequence[int]) -> torch.Tensor:
        summed: torch.Tensor = lesson.loss(logits(rows), rows)
        return summed

    for run in runs:
        init = context.recipe.init
        records = draw_new(new, run.streams["init"], init.lora, init.head, network.head_std)
        course = fit(context, Trainable(module, loss, lesson.units, new, new), run, report)
        if not course.failure:
            _save(new, Path(run.folder), context, pooling)
        told = course.failure, course.witnesses, as_dicts(records), course.steps, network.attention
        yield TrainedRun(run, *told, lesson.truncated)


def _pooled_head(network: Network, lesson: Any, context: TrainContext, pooling: Any) -> Logits:
    """Logits from features that are computed once: the backbone gives the same for every seed and epoch."""
    modules: Any = network.module
    features = _features(modules["backbone"], lesson, context, pooling)
    modules["dropout"].train()
    return lambda rows: modules["classifier"](modules["dropout"](features[list(rows)]))


def _features(backbone: torch.nn.Module, lesson: Any, context: TrainContext, pooling: Any) -> torch.Tensor:
    """Pooled output of every training row, shape (n_rows, width)."""
    order, width = lesson.by_length, backbone.config.hidden_size  # type: ignore[union-attr]
    features = torch.empty(len(order), width, device=context.device)  # type: ignore[arg-type]
    with torch.no_grad():
        for start in range(0, len(order), FEATURE_BATCH):
            chosen = order[start : start + FEATURE_BATCH]
            batch = lesson.batch(chosen, features.device)
            features[chosen] = pool(backbone(**batch).last_hidden_state, batch.get("attention_mask"), pooling)
    return features


def _architecture_head(network: Network, lesson: Any, context: TrainContext, _: Any) -> Logits:
    """Logits of the whole model; what lies beside its backbone is the head, and only that drops out."""
    model: Any = network.module
    for name, child in model.named_children():
        child.train(mode=name != model.base_model_prefix)
    return lambda rows: network.forward(lesson.batch(rows, torch.device(context.device)))


def _save(new: Sequence[tuple[str, torch.nn.Parameter]], folder: Path, context: TrainContext, pooling: str) -> None:
    """The new tensors only, and what it takes to put them back on their base."""
    save_tensors(folder / HEAD_WEIGHTS, dict(new))
    content = {
        "base": context.scoring.base.reference,
        "base_sha256": context.scoring.base.sha256,
        "pooling": pooling,
        "labels": list(context.scoring.labels),
    }
    store.write_json(folder / "head.json", "head", content)
