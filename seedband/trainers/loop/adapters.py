"""Method `lora`: a PEFT adapter, and with it every tensor that the base lacks."""

import copy
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict

from seedband import tasks
from seedband.errors import UsageError
from seedband.models.initializers import LORA, as_dicts, draw_new, is_lora, plain_name
from seedband.models.loading import Network, with_new_head
from seedband.models.model_folders import ADAPTER_WEIGHTS
from seedband.models.padding import version
from seedband.models.tensor_files import save_tensors
from seedband.recipe.sections import LoraSection
from seedband.storage import atomic_files, json_files
from seedband.trainers import Report, SeedRun, TrainContext, TrainedRun
from seedband.trainers.loop.fit import Trainable, fit
from seedband.trainers.loop.forward import Forward

#: What PEFT writes to adapter_config.json in the order of a set.
UNORDERED = {"target_modules", "target_parameters", "modules_to_save"}


def train(context: TrainContext, runs: Sequence[SeedRun], report: Report) -> Iterator[TrainedRun]:
    """Train one adapter after the other, each on a base loaded anew."""
    task, scoring = tasks.find(context.scoring.task), context.scoring
    lesson = task.encode(context.items, scoring)
    for run in runs:
        network = task.load(scoring.base.path, scoring.labels)
        context.check_base()
        task.check_loaded(network)
        if task.outputs == "classes":
            network = with_new_head(network)
        model = _with_adapter(network, context)
        trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        new = [(name, p) for name, p in trainable if is_lora(name) or plain_name(name) in network.new]
        init = context.recipe.init
        records = draw_new(new, run.streams["init"], init.lora, init.head, network.head_std, network.replaced)
        model.to(context.device).train()
        whole = replace(network, module=model, forward=partial(_logits, model))
        task.check_trainable(whole, lesson)
        heads = [parameter for name, parameter in new if not is_lora(name)]
        forward = Forward(whole, heads, lesson, context, report, drop_out=context.recipe.train.frozen_dropout)
        edits_base = LORA[context.recipe.init.lora].changes_base
        start = {name: tensor for name, tensor in _adapter_tensors(model).items() if edits_base and is_lora(name)}
        how = forward.layout, lesson.left_padded, forward.parts
        trainee = Trainable(model, forward.loss, lesson.units, trainable, new, *how)
        course = fit(context, trainee, run, report)
        if not course.failure:
            _save(model, Path(run.folder), context, start)
        told = course.failure, course.witnesses, as_dicts(records), course.steps, network.attention
        yield TrainedRun(run, *told, lesson.truncated, padding=version(lesson, context.ways["model"]))


def _logits(model: PeftModel, batch: Mapping[str, torch.Tensor]) -> Any:
    return model(**batch).logits


def _with_adapter(network: Network, context: TrainContext) -> PeftModel:
    """The network with its adapter; whatever the base lacks is trained and saved with it."""
    task = tasks.find(context.scoring.task)
    section: LoraSection = context.recipe.lora
    targets = section.target_modules
    heads = {name.rpartition(".")[0] for name in network.new}
    beside = sorted(head for head in heads if not task.heads & set(head.split(".")))
    config = LoraConfig(
        task_type=task.peft,
        r=section.r,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        modules_to_save=beside or None,
        init_lora_weights=LORA[context.recipe.init.lora].init_lora_weights,
    )
    linear = _linear_layers(network)
    try:
        model: PeftModel = get_peft_model(network.module, config)
    except (ValueError, NotImplementedError) as error:
        raise _unfit_targets(network.module, linear, section, error) from error
    return model


def _linear_layers(network: Network) -> set[str]:
    """Last names of linear layers, but for those of a new head."""
    return {
        name.rpartition(".")[2]
        for name, layer in network.module.named_modules()
        if isinstance(layer, torch.nn.Linear) and f"{name}.weight" not in network.new
    }


def _unfit_targets(
    module: torch.nn.Module, linear: Collection[str], section: LoraSection, error: Exception
) -> UsageError:
    """The error for layers that PEFT cannot adapt, with those that it can."""
    kind, reason = getattr(module.config, "model_type", "?"), " ".join(str(error).split())[:300]
    if not linear and isinstance(section.target_modules, str):
        return UsageError(
            f'lora.target_modules: found "{section.target_modules}", and a model of type {kind} has no linear layers',
            hint='method = "head" needs none',
        )
    if "lora_dropout" in reason:
        return UsageError(
            f"lora.dropout: found {section.dropout:g}, expected 0: a model of type {kind} keeps all its experts in one "
            "tensor, and PEFT adapts those without dropout",
            hint='or name layers beside its experts in lora.target_modules, such as ["q_proj", "v_proj"]',
        )
    left = sorted(name for name in linear if name not in reason)
    return UsageError(
        f"lora.target_modules: PEFT cannot adapt a model of type {kind} so: {reason}",
        hint=f"name some of its linear layers: {', '.join(left)}" if left else 'method = "head" needs no layers',
    )


def _adapter_tensors(model: PeftModel) -> dict[str, torch.Tensor]:
    """Everything that the checkpoint holds, by the names that PEFT saves it under."""
    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def _save(model: PeftModel, folder: Path, context: TrainContext, start: Mapping[str, torch.Tensor]) -> None:
    """A plain PEFT checkpoint that names its base as the recipe does.

    An initializer that edits the base leaves W - A0 B0 in it. What training added to the untouched W is AB - A0 B0, an
    adapter of twice the rank: [A; A0] and [B, -B0].
    """
    tensors = _adapter_tensors(model)
    config = copy.deepcopy(model.peft_config["default"])
    config.base_model_name_or_path, config.inference_mode = context.scoring.base.reference, True
    if start:
        config.init_lora_weights, config.r, config.lora_alpha = True, 2 * config.r, 2 * config.lora_alpha
        for name, first in start.items():
            a = ".lora_A." in name
            tensors[name] = torch.cat([tensors[name], first if a else -first], dim=0 if a else 1).contiguous()
    save_tensors(folder / ADAPTER_WEIGHTS, tensors)
    config.save_pretrained(str(folder))
    content = json_files.parse_json(folder / "adapter_config.json")
    ordered = {key: sorted(value) if key in UNORDERED and value else value for key, value in content.items()}
    atomic_files.write_text(folder / "adapter_config.json", json.dumps(ordered, indent=2, sort_keys=True) + "\n")
