"""Method `head`: the backbone is frozen and never drops out; only the classification head is trained.

With the embedding model's own pooling the pooled features are computed once for all seeds of the group and all
epochs. With the architecture's own head the whole model runs, its backbone in eval mode.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from seedband import store
from seedband.classifiers import Classifier, load_classifier, load_pooled, load_tokenizer, pool
from seedband.dataset import collate, encode
from seedband.initializers import as_dicts, draw_new
from seedband.models import HEAD_WEIGHTS, resolve_pooling, save_tensors
from seedband.records import SeedRun
from seedband.trainers import Report, TrainContext, TrainedRun
from seedband.trainers.loop import Trainable, fit

FEATURE_BATCH = 64


def train(context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
    """Train the heads of a group of seeds over one frozen backbone."""
    pooling = resolve_pooling(context.recipe.head.pooling, Path(context.base.path))
    classifier = (
        load_classifier(context.base.path, context.labels)
        if pooling == "model"
        else load_pooled(context.base.path, context.labels, pooling, context.recipe.head.dropout)
    )
    module = classifier.module.to(context.device).eval()
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in classifier.new)
    new = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    logits = (
        _architecture_head(classifier, context) if pooling == "model" else _pooled_head(classifier, context, pooling)
    )
    for run in runs:
        init = context.recipe.init
        records = draw_new(new, run.streams["init"], init.lora, init.head, classifier.head_std)
        course = fit(context, Trainable(module, logits, new, new), run, report)
        if not course.failure:
            _save(new, Path(run.folder), context, pooling)
        yield TrainedRun(run, course.failure, course.witnesses, as_dicts(records), course.steps, classifier.attention)


def _pooled_head(
    classifier: Classifier, context: TrainContext, pooling: Any
) -> Callable[[Sequence[int]], torch.Tensor]:
    """Logits from features that are computed once: the backbone gives the same for every seed and epoch."""
    modules: Any = classifier.module
    features = _features(modules["backbone"], context, pooling)
    modules["dropout"].train()
    return lambda rows: modules["classifier"](modules["dropout"](features[list(rows)]))


def _features(backbone: torch.nn.Module, context: TrainContext, pooling: Any) -> torch.Tensor:
    """Pooled output of every training text, shape (n_texts, width)."""
    tokenizer = load_tokenizer(context.base.path)
    rows = encode(tokenizer, context.texts, context.recipe.model.max_length)
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]["input_ids"]))
    features = torch.empty(len(rows), backbone.config.hidden_size, device=context.device)  # type: ignore[union-attr, arg-type]
    with torch.no_grad():
        for start in range(0, len(order), FEATURE_BATCH):
            chosen = order[start : start + FEATURE_BATCH]
            batch = collate(tokenizer, [rows[row] for row in chosen], features.device)
            features[chosen] = pool(backbone(**batch).last_hidden_state, batch["attention_mask"], pooling)
    return features


def _architecture_head(classifier: Classifier, context: TrainContext) -> Callable[[Sequence[int]], torch.Tensor]:
    """Logits of the whole model; what lies beside its backbone is the head, and only that drops out."""
    model: Any = classifier.module
    tokenizer = load_tokenizer(context.base.path)
    rows = encode(tokenizer, context.texts, context.recipe.model.max_length)
    for name, child in model.named_children():
        child.train(mode=name != model.base_model_prefix)

    def logits(chosen: Sequence[int]) -> torch.Tensor:
        batch = collate(tokenizer, [rows[row] for row in chosen], torch.device(context.device))
        return classifier.logits(batch)

    return logits


def _save(new: Sequence[tuple[str, torch.nn.Parameter]], folder: Path, context: TrainContext, pooling: str) -> None:
    """The new tensors only, and what it takes to put them back on their base."""
    save_tensors(folder / HEAD_WEIGHTS, dict(new))
    content = {
        "base": context.base.reference,
        "base_sha256": context.base.sha256,
        "pooling": pooling,
        "labels": list(context.labels),
    }
    store.write_json(folder / "head.json", "head", content)
