"""Checkpoints: opened on their base for scoring, once what is on disk was found safe to load."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband import tasks
from seedband.adapters import check_adapter, lora_modules
from seedband.builds import check_build
from seedband.errors import Refused, WorkFailed
from seedband.initializers import is_lora, plain_name
from seedband.models import (
    ADAPTER_WEIGHTS,
    HEAD_WEIGHTS,
    read_adapter,
    read_config,
    read_head,
    tensor_names,
    weight_files,
)
from seedband.networks import Network, loaded_shapes, pooled
from seedband.records import Base, CheckpointFiles
from seedband.schema import brief
from seedband.shapes import Shapes, check_shapes, checkpoint_shapes, in_base

if TYPE_CHECKING:
    import torch

    from seedband.tasks import Task


#: Keys of adapter_config.json that say where an adapter comes from, not what it computes.
ADAPTER_NOTES = {"base_model_name_or_path", "revision", "peft_version", "inference_mode", "auto_mapping"}
#: What transformers and PEFT raise over a config or tensors that do not hold together.
MISFITS = (
    RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, ImportError,
    ArithmeticError, SyntaxError,
)  # fmt: skip


def open_checkpoint(
    files: CheckpointFiles, base: Base, labels: Sequence[str], task: str, opened: "dict[str, Network] | None" = None
) -> Network:
    """Load a finished checkpoint for scoring.

    Args:
        files: The checkpoint.
        base: What it stands on.
        labels: What its outputs mean.
        task: What it does.
        opened: Networks that heads were put on before, by pooling: of a base only its head is another.

    Raises:
        Refused: It does not fit the base or the labels, or leaves tensors to chance.
        WorkFailed: Its weights cannot be read.
    """
    check_fits(files, base, labels, task)
    if files.kind == "head":
        network = _open_head(files, base, labels, tasks.find(task), {} if opened is None else opened)
    else:
        load = _open_adapter if files.kind == "adapter" else _open_model
        network = load(files, base, labels, tasks.find(task))
    network.module.eval()
    return network


def own_parameters(files: CheckpointFiles, network: Network) -> "list[torch.nn.Parameter]":
    """What an adapter brings along; everything else of its network is the base's."""
    saved = {plain_name(name) for name in checkpoint_shapes(files)}
    return [
        parameter
        for name, parameter in network.module.named_parameters()
        if is_lora(name) or plain_name(name).replace(".base_layer.", ".") in saved
    ]


def check_fits(files: CheckpointFiles, base: Base, labels: Sequence[str], task: str) -> None:
    """Refuse a checkpoint whose headers and config do not fit the base, before any of its tensors is loaded.

    Raises:
        Refused: With the reasons.
        WorkFailed: Its weights cannot be read.
    """
    found, own = _shapes(files, base)
    vocabulary = check_build(files, base, found, own) if files.kind == "model" else None
    check_shapes(files.name, found, own, len(labels), vocabulary)
    if files.kind == "adapter":
        check_adapter(files, found, own, tasks.find(task).PEFT)


def checkpoint_tensors(files: CheckpointFiles) -> "Iterable[tuple[str, torch.Tensor]]":
    """Names and tensors of a checkpoint.

    Raises:
        Refused: A file holds something else.
        WorkFailed: Its weights cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(files.path)
    single = {"adapter": ADAPTER_WEIGHTS, "head": HEAD_WEIGHTS}.get(files.kind)
    for name in [single] if single else weight_files(folder):
        try:
            yield from load_file(folder / name).items()
        except SafetensorError as error:
            raise Refused(f"{files.name}: {name} cannot be read: {_first_line(error)}") from error
        except OSError as error:
            raise WorkFailed.from_os(error, f"read {folder / name}") from error


def checkpoint_settings(files: CheckpointFiles) -> dict[str, Any]:
    """What beside its tensors decides what a checkpoint computes."""
    if files.kind == "adapter":
        config = read_adapter(Path(files.path))
        return {key: value for key, value in config.items() if key not in ADAPTER_NOTES}
    if files.kind == "head":
        head = read_head(Path(files.path))
        return {"pooling": head.pooling, "labels": list(head.labels)}
    return dict(read_config(Path(files.path)))


def _shapes(files: CheckpointFiles, base: Base) -> tuple[Shapes, Shapes]:
    """Shapes of a checkpoint and of its base, whose tensors an adapter calls as they are called once it is loaded."""
    found = checkpoint_shapes(files)
    own: Shapes = tensor_names(Path(base.path))
    if files.kind == "adapter" and any(in_base(f"{module}.weight", own) is None for module in lora_modules(found)):
        own = loaded_shapes(base.path)
    return found, own


def _open_adapter(files: CheckpointFiles, base: Base, labels: Sequence[str], task: "Task") -> Network:
    from peft import LoraConfig, PeftModel, get_peft_model_state_dict

    settings = check_adapter(files, *_shapes(files, base), task.PEFT)
    network = task.load(base.path, labels)
    own = {f"base_model.model.{name}" for name, _ in network.module.named_parameters()}
    with _misfits_refused(f"{files.name}: this adapter does not fit {base.reference}"):
        config = LoraConfig(**settings)
        with_adapter = PeftModel.from_pretrained(network.module, files.path, config=config, is_trainable=False)
    saved = set(checkpoint_shapes(files))
    drawn = [name for name in network.new if f"base_model.model.{name}" not in saved]
    if drawn:
        raise Refused(
            f"{files.name}: {', '.join(drawn)} is neither in the adapter nor in the base, so it would be random",
            hint=f"train it with modules_to_save; this adapter has {brief(settings.get('modules_to_save'))}",
        )
    needed = set(get_peft_model_state_dict(with_adapter, save_embedding_layers=False))
    for tensors, what in ((needed - saved, "missing"), (saved - needed - own, "for modules that its base lacks")):
        if tensors:
            raise Refused(
                f"{files.name}: {len(tensors)} tensors of the adapter are {what}, such as {brief(min(tensors))}"
            )
    return Network(with_adapter, lambda batch: with_adapter(**batch).logits, (), network.head_std, "")


def _open_head(
    files: CheckpointFiles, base: Base, labels: Sequence[str], task: "Task", opened: dict[str, Network]
) -> Network:
    pooling = read_head(Path(files.path)).pooling
    if pooling not in opened:
        load = partial(pooled, pooling=pooling, dropout=0.0) if pooling != "model" else task.load
        opened[pooling] = load(base.path, labels)
    network = opened[pooling]
    tensors = dict(checkpoint_tensors(files))
    if set(tensors) != set(network.new):
        raise Refused(f"{files.name}: has tensors {brief(sorted(tensors))}, the head needs {sorted(network.new)}")
    try:
        network.module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise Refused(f"{files.name}: this head does not fit: {_first_line(error)}") from error
    return network


def _open_model(files: CheckpointFiles, _: Base, labels: Sequence[str], task: "Task") -> Network:
    with _misfits_refused(f"{files.name}: this model cannot be opened"):
        network = task.load(files.path, labels)
    if network.new:
        raise Refused(
            f"{files.name}: {', '.join(network.new)} is missing or of another shape, so it would be random",
            hint=f"the band has {len(labels)} labels; is this a base model, not a fine-tuned one?",
        )
    return network


@contextmanager
def _misfits_refused(what: str) -> Iterator[None]:
    """What a library raises over content of unknown origin refuses it; what the system would not do fails the work."""
    from safetensors import SafetensorError

    try:
        yield
    except (*MISFITS, SafetensorError) as error:
        raise Refused(f"{what}: {_first_line(error)}") from error
    except OSError as error:
        # Libraries raise it for missing files, too, without a number of the system's.
        if error.errno is None:
            raise Refused(f"{what}: {_first_line(error)}") from error
        raise WorkFailed.from_os(error) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return json.dumps(" ".join(lines)[:300])
