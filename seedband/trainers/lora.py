"""Method `lora`: a PEFT adapter, and with it every tensor that the base lacks."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model

from seedband import store
from seedband.dataset import collate, encode
from seedband.initializers import LORA, as_dicts, draw_new, is_lora, plain_name
from seedband.models import ADAPTER_WEIGHTS, Classifier, load_classifier, load_tokenizer
from seedband.records import LoraSection, SeedRun
from seedband.trainers import Report, TrainedRun, TrainTask
from seedband.trainers.loop import Trainable, fit

#: What PEFT trains and saves of a sequence classifier without being told.
ADDED_BY_PEFT = {"classifier", "score"}


def train(task: TrainTask, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
    """Train one adapter after the other, each on a base loaded anew."""
    tokenizer = load_tokenizer(task.base.path)
    rows = encode(tokenizer, task.texts, task.recipe.model.max_length)
    for run in runs:
        classifier = load_classifier(task.base.path, task.labels)
        model = _with_adapter(classifier, task)
        trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        new = [(name, p) for name, p in trainable if is_lora(name) or plain_name(name) in classifier.new]
        records = draw_new(new, run.streams["init"], task.recipe.init.lora, task.recipe.init.head, classifier.head_std)
        model.to(task.device).train()
        device = torch.device(task.device)

        def logits(chosen: Sequence[int], model: Any = model, device: torch.device = device) -> torch.Tensor:
            out: torch.Tensor = model(**collate(tokenizer, [rows[row] for row in chosen], device)).logits
            return out

        with _kept_start(model, task.recipe.init.lora) as start:
            course = fit(task, Trainable(model, logits, trainable, new), run, report)
            if not course.failure:
                _save(model, Path(run.folder), task, start)
        yield TrainedRun(run, course.failure, course.witnesses, as_dicts(records), course.steps, classifier.attention)


def _with_adapter(classifier: Classifier, task: TrainTask) -> PeftModel:
    """The classifier with its adapter; whatever the base lacks is trained and saved with it."""
    section: LoraSection = task.recipe.lora
    targets = section.target_modules
    heads = {name.rpartition(".")[0] for name in classifier.new}
    beside = sorted(head for head in heads if not ADDED_BY_PEFT & set(head.split(".")))
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=section.r,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        modules_to_save=beside or None,
        init_lora_weights=LORA[task.recipe.init.lora].init_lora_weights,
    )
    model: PeftModel = get_peft_model(classifier.module, config)
    return model


@contextmanager
def _kept_start(model: PeftModel, initializer: str) -> Iterator[str | None]:
    """A copy of the initial adapter, where the initializer edits the base: saving must subtract it."""
    if not LORA[initializer].changes_base:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="seedband-") as folder:
        config = model.peft_config["default"]
        asked, config.init_lora_weights = config.init_lora_weights, True
        model.save_pretrained(folder)
        config.init_lora_weights = asked
        yield folder


def _save(model: PeftModel, folder: Path, task: TrainTask, start: str | None) -> None:
    """A plain PEFT checkpoint that names its base as the recipe does."""
    model.peft_config["default"].base_model_name_or_path = task.base.reference
    model.save_pretrained(str(folder), path_initial_model_for_weight_conversion=start)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / ADAPTER_WEIGHTS).chmod(0o644)
    config = store.parse_json(folder / "adapter_config.json")
    for key in ("target_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    store.write_text(folder / "adapter_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
