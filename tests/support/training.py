"""What a trainer is given: made up, thirty rows of three classes; or by a recipe."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from seedband import tasks
from seedband.commands.sweep.prepare import prepare, scoring_for
from seedband.data.dataset import Items
from seedband.determinism.seeds import item_keys
from seedband.models.loading import Network
from seedband.recipe.parse import load_recipe
from seedband.recipe.scoring import Base
from seedband.recipe.sections import DataSection, EvaluatorSection, ModelSection, Recipe, TrainSection
from seedband.trainers import TrainContext
from seedband.trainers.loop import adapters

#: What configs call the dropout of attention.
RATES = ("attention_dropout", "attention_probs_dropout_prob")

#: Sizes of a classifier that is made up.
SMALL = {"vocab_size": 2000, "num_labels": 3, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
CPU = torch.device("cpu")


def make_context(**section):
    recipe = Recipe(
        model=ModelSection(base="none"),
        data=DataSection(name="d", train="t", eval="e"),
        train=TrainSection(method="head", **{"epochs": 2, "batch_size": 8, "learning_rate": 0.05, **section}),
        evaluate=(EvaluatorSection(evaluator="accuracy", primary=True),),
    )
    texts = tuple(str(row) for row in range(30))
    items = Items(Path("x"), texts, texts, ("a",) * 30, {}, "", contents=texts)
    scoring = scoring_for(recipe, Base("b", "b", "0", "0"), ("a", "b", "c"), Path("x"), Path())
    return TrainContext(recipe, scoring, items, tuple(item_keys(texts)), "cpu", "tests")


def context_of(tiny, **train):
    loaded = load_recipe(tiny.config)
    recipe = replace(loaded.recipe, train=replace(loaded.recipe.train, **{"max_steps": 4, **train}))
    prepared = prepare(loaded._replace(recipe=recipe), offline=True)
    items = prepared.train_items
    return TrainContext(recipe, prepared.scoring, items, tuple(item_keys(items.contents)), "cpu", "tests")


def without_attention_dropout(context, folder):
    """The same on a base whose attention keeps all: its masks are drawn for a batch, not for an item."""
    base = folder / "still"
    if not base.exists():
        shutil.copytree(context.scoring.base.path, base)
        config = json.loads((base / "config.json").read_text())
        (base / "config.json").write_text(json.dumps({**config, **dict.fromkeys(RATES, 0.0)}))
    return replace(context, scoring=replace(context.scoring, base=replace(context.scoring.base, path=str(base))))


def built(context):
    task = tasks.find(context.scoring.task)
    torch.manual_seed(0)
    model = adapters._with_adapter(task.load(context.scoring.base.path, context.scoring.labels), context)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return model.train(), task.encode(context.items, context.scoring)


def silent(*_):
    pass


def network_of(model):
    return Network(model, lambda batch: model(**batch).logits, (), 0.02, "sdpa")


def classifier(kind, **config):
    """A small classifier of another architecture, of which only the last layer is trained, and its head."""
    configured = AutoConfig.for_model(kind, **{**SMALL, "num_hidden_layers": 3, "pad_token_id": 0, **config})
    model = AutoModelForSequenceClassification.from_config(configured, attn_implementation="eager").train()
    for name, parameter in model.named_parameters():
        head = "classifier" in name
        parameter.requires_grad_(head or "layers.2." in name or "layer.2." in name)
        if head:
            torch.nn.init.normal_(parameter)
    return model


def without_types(model):
    """For a lesson whose tokenizer says of which text a token is, and a model that does not ask."""
    inner = model.forward
    model.forward = lambda token_type_ids=None, **batch: inner(**batch)
    return model
