"""Classifiers: a base model with its new tensors, as something that gives one logit a class."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import store
from seedband.errors import Refused
from seedband.models import ADAPTER_WEIGHTS, HEAD_WEIGHTS, Pooling, read_config, shards
from seedband.records import Base, CheckpointFiles

if TYPE_CHECKING:
    import torch


#: Keys of adapter_config.json that say where an adapter comes from, not what it computes.
ADAPTER_NOTES = {"base_model_name_or_path", "revision", "peft_version", "inference_mode", "auto_mapping"}


@dataclass(frozen=True)
class Classifier:
    """A model that gives one logit a class.

    Attributes:
        module: Holds every weight.
        logits: The forward pass over one batch, shape (rows, n_classes).
        new: Names in `module` of the tensors that the base lacks: they were drawn by chance while loading.
        head_std: The architecture's own standard deviation for new weights.
        attention: The attention implementation that is really in use.
    """

    module: "torch.nn.Module"
    logits: "Callable[[Mapping[str, torch.Tensor]], torch.Tensor]"
    new: tuple[str, ...]
    head_std: float
    attention: str


def load_tokenizer(base: str) -> Any:
    """The base model's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)


def load_classifier(path: str, labels: Sequence[str]) -> Classifier:
    """A sequence classifier on a base model; what the base lacks is drawn by chance and listed in `new`."""
    from transformers import AutoModelForSequenceClassification

    model, info = AutoModelForSequenceClassification.from_pretrained(
        path,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **_safe_loading(),
    )
    mismatched = [entry[0] if isinstance(entry, tuple) else entry for entry in info["mismatched_keys"]]
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    new = tuple(sorted({*info["missing_keys"], *mismatched}))
    return Classifier(model, lambda batch: model(**batch).logits, new, _head_std(model), _attention(model))


def load_pooled(path: str, labels: Sequence[str], pooling: Pooling, dropout: float) -> Classifier:
    """A frozen backbone, its pooled output, and a new linear head."""
    import torch
    from transformers import AutoModel

    backbone = AutoModel.from_pretrained(path, **_safe_loading())
    head = torch.nn.Linear(backbone.config.hidden_size, len(labels))
    module = torch.nn.ModuleDict({"backbone": backbone, "dropout": torch.nn.Dropout(dropout), "classifier": head})

    def logits(batch: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
        hidden = backbone(**batch).last_hidden_state
        out: torch.Tensor = head(module["dropout"](pool(hidden, batch["attention_mask"], pooling)))
        return out

    new = ("classifier.bias", "classifier.weight")
    return Classifier(module, logits, new, _head_std(backbone), _attention(backbone))


def pool(hidden: "torch.Tensor", mask: "torch.Tensor", pooling: Pooling) -> "torch.Tensor":
    """Token states, shape (rows, tokens, width), to one vector a row: their masked mean, or the first."""
    if pooling == "cls":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def open_checkpoint(files: CheckpointFiles, base: Base, labels: Sequence[str]) -> Classifier:
    """Load a finished checkpoint for scoring.

    Raises:
        Refused: It does not fit the base or the labels, or leaves tensors to chance.
    """
    load = {"adapter": _open_adapter, "head": _open_head, "model": _open_model}[files.kind]
    classifier = load(files, base, labels)
    classifier.module.eval()
    return classifier


def checkpoint_tensors(files: CheckpointFiles) -> "Iterable[tuple[str, torch.Tensor]]":
    """Names and tensors of a checkpoint.

    Raises:
        Refused: Its weights cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(files.path)
    single = {"adapter": ADAPTER_WEIGHTS, "head": HEAD_WEIGHTS}.get(files.kind)
    for name in [single] if single else shards(folder):
        try:
            yield from load_file(folder / name).items()
        except (SafetensorError, OSError) as error:
            raise Refused(f"{files.name}: {name} cannot be read: {_first_line(error)}") from error


def checkpoint_settings(files: CheckpointFiles) -> dict[str, Any]:
    """What beside its tensors decides what a checkpoint computes."""
    if files.kind == "adapter":
        config = store.parse_json(Path(files.path) / "adapter_config.json")
        return {key: value for key, value in config.items() if key not in ADAPTER_NOTES}
    if files.kind == "head":
        head = store.read_json(Path(files.path) / "head.json", "head")
        return {"pooling": head["pooling"], "labels": head["labels"]}
    return dict(read_config(Path(files.path)))


def _safe_loading() -> dict[str, Any]:
    import torch

    return {
        "use_safetensors": True,
        "local_files_only": True,
        "trust_remote_code": False,
        "dtype": torch.float32,
        "attn_implementation": "sdpa",
    }


def _head_std(model: Any) -> float:
    """What transformers draws new weights with: `initializer_range`, or 0.02 where the config has none or 0."""
    return float(getattr(model.config, "initializer_range", None) or 0.02)


def _attention(model: Any) -> str:
    return str(model.config._attn_implementation)  # noqa: SLF001


def _open_adapter(files: CheckpointFiles, base: Base, labels: Sequence[str]) -> Classifier:
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError

    config = store.parse_json(Path(files.path) / "adapter_config.json")
    classifier = load_classifier(base.path, labels)
    try:
        with_adapter = PeftModel.from_pretrained(classifier.module, files.path, is_trainable=False)
    except (RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise Refused(f"{files.name}: this adapter does not fit {base.reference}: {_first_line(error)}") from error
    saved = {name for name, _ in checkpoint_tensors(files)}
    drawn = [name for name in classifier.new if f"base_model.model.{name}" not in saved]
    if drawn:
        raise Refused(
            f"{files.name}: {', '.join(drawn)} is neither in the adapter nor in the base, so it would be random",
            hint=f"train it with modules_to_save; this adapter has {config.get('modules_to_save')}",
        )
    absent = sorted(set(get_peft_model_state_dict(with_adapter, save_embedding_layers=False)) - saved)
    if absent:
        raise Refused(f"{files.name}: {len(absent)} tensors of the adapter are missing, such as {absent[0]}")
    return Classifier(with_adapter, lambda batch: with_adapter(**batch).logits, (), classifier.head_std, "")


def _open_head(files: CheckpointFiles, base: Base, labels: Sequence[str]) -> Classifier:
    content = store.read_json(Path(files.path) / "head.json", "head")
    pooling: Pooling = content["pooling"]
    if pooling == "model":
        classifier = load_classifier(base.path, labels)
    else:
        classifier = load_pooled(base.path, labels, pooling, 0.0)
    tensors = dict(checkpoint_tensors(files))
    if set(tensors) != set(classifier.new):
        raise Refused(f"{files.name}: has tensors {sorted(tensors)}, the head needs {sorted(classifier.new)}")
    try:
        classifier.module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise Refused(f"{files.name}: this head does not fit: {_first_line(error)}") from error
    return classifier


def _open_model(files: CheckpointFiles, base: Base, labels: Sequence[str]) -> Classifier:
    classifier = load_classifier(files.path, labels)
    if classifier.new:
        raise Refused(
            f"{files.name}: {', '.join(classifier.new)} is missing or of another shape, so it would be random",
            hint=f"the band has {len(labels)} labels; is this a base model, not a fine-tuned one?",
        )
    expected, found = read_config(Path(base.path)).get("model_type"), read_config(Path(files.path)).get("model_type")
    if expected != found:
        raise Refused(f"{files.name}: architecture {found!r}, the band's base is {expected!r}")
    return classifier


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return json.dumps(" ".join(lines)[:300])
