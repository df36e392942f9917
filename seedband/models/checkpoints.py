"""Checkpoints: opened on their base for scoring, once what is on disk was found safe to load."""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband.counts import counted, first_of, plural
from seedband.errors import Refused, WorkFailed
from seedband.models import foreign_folders
from seedband.models.adapter_check import check_adapter, check_supported, lora_modules
from seedband.models.build_check import check_build
from seedband.models.initializers import is_lora, plain_name
from seedband.models.loading import ModelTask, Network, loaded_shapes, pooled, with_new_head
from seedband.models.model_folders import (
    ADAPTER_WEIGHTS,
    HEAD_WEIGHTS,
    CheckpointFiles,
    read_adapter,
    read_config,
    read_head,
    tensor_names,
    vocabulary,
    weight_files,
)
from seedband.models.shape_check import (
    PREFIX,
    Shapes,
    canonical_names,
    check_shapes,
    checkpoint_shapes,
    grown_rows,
    in_base,
    is_copy,
    unwrapped,
    with_rows,
)
from seedband.recipe.scoring import Base
from seedband.storage.validation import brief

if TYPE_CHECKING:
    import torch


#: Keys of adapter_config.json that say where an adapter comes from, not what it computes.
ADAPTER_NOTES = {"base_model_name_or_path", "revision", "peft_version", "inference_mode", "auto_mapping"}
#: How names of tensors end that `trainable_token_indices` brings.
TOKENS = ".trainable_tokens_delta"
#: What transformers and PEFT raise over a config or tensors that do not hold together.
MISFITS = (
    RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, ImportError,
    ArithmeticError, SyntaxError,
)  # fmt: skip


def open_checkpoint(
    files: CheckpointFiles,
    base: Base,
    labels: Sequence[str],
    task: ModelTask,
    opened: "dict[str, Network] | None" = None,
) -> Network:
    """Load a finished checkpoint for scoring.

    Args:
        files: The checkpoint.
        base: What it stands on.
        labels: What its outputs mean.
        task: What it is opened for.
        opened: Networks that heads were put on before, by pooling: of a base only its head is another.

    Raises:
        Refused: It does not fit the base or the labels, or leaves tensors to chance.
        WorkFailed: Its weights cannot be read.
    """
    check_fits(files, base, labels, task)
    if files.kind == "head":
        network = _open_head(files, base, labels, task, {} if opened is None else opened)
    else:
        load = _open_adapter if files.kind == "adapter" else _open_model
        network = load(files, base, labels, task)
    network.module.eval()
    return network


def own_parameters(files: CheckpointFiles, network: Network) -> "list[torch.nn.Parameter]":
    """What an adapter brings along; everything else of its network is the base's."""
    saved = {unwrapped(plain_name(name)) for name in checkpoint_shapes(files)}
    return [
        parameter
        for name, parameter in network.module.named_parameters()
        if is_lora(name) or unwrapped(plain_name(name)) in saved
    ]


def check_fits(files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask) -> None:
    """Refuse a checkpoint whose headers and config do not fit the base, before any of its tensors is loaded.

    Raises:
        Refused: With the reasons.
        WorkFailed: Its weights cannot be read.
    """
    if files.kind == "adapter":
        _check_adapter(files, base, labels, task)
        return
    found, own = checkpoint_shapes(files), tensor_names(Path(base.path))
    tokens = check_build(files, base, found, own) if files.kind == "model" else None
    check_shapes(files.name, found, own, len(labels), tokens)


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


def _check_adapter(
    files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask
) -> tuple[dict[str, Any], int | None]:
    """What PEFT may be given of an adapter, and how many tokens it has where those are not its base's.

    An adapter calls the base's tensors as they are called once it is loaded.
    """
    check_supported(files)
    found = checkpoint_shapes(files)
    own = _base_shapes(lora_modules(found), base, task)
    tokens = vocabulary(Path(base.path))
    rows = grown_rows(files.name, found, own, tokens)
    grown = with_rows(own, tokens, rows)
    check_shapes(files.name, found, grown, len(labels))
    return check_adapter(files, found, grown, task.peft), rows


def _base_shapes(modules: AbstractSet[str], base: Base, task: ModelTask) -> Shapes:
    """Shapes of a base's tensors by the names that modules of an adapter have: on disk, or once it is loaded."""
    saved = tensor_names(Path(base.path))
    weights = {f"{module}.weight": in_base(f"{module}.weight", saved) for module in modules}
    if None not in weights.values():
        return saved
    loaded = loaded_shapes(base.path, task.auto)
    # Experts that the adapter knows one by one, as they are on disk, are loaded as one tensor.
    return {**{name: shape for name, shape in weights.items() if shape and not in_base(name, loaded)}, **loaded}


def _open_adapter(files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask) -> Network:
    from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
    from peft.mapping_func import MODEL_TYPE_TO_PEFT_MODEL_MAPPING

    settings, rows = _check_adapter(files, base, labels, task)
    network, saved = task.load(base.path, labels), set(checkpoint_shapes(files))
    _check_drawn(files, network, saved, settings)
    if rows is not None:
        _grow(files, network.module, rows, saved)
    with _misfits_refused(f"{files.name}: this adapter does not fit {base.reference}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is looked at here: what is missing, what is tied
        config = LoraConfig(**settings, inference_mode=True)
        kind = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(config.task_type, PeftModel)
        with_adapter = kind(network.module, config)
        needed = set(get_peft_model_state_dict(with_adapter, save_embedding_layers=False))
        _refuse_tensors(files, {name for name in needed - saved if not is_lora(name)}, "missing")
        raw = dict(checkpoint_tensors(files))
        names = canonical_names(raw, files.name)
        tensors = {names[name]: tensor for name, tensor in raw.items()}
        result = set_peft_model_state_dict(with_adapter, tensors)
    _refuse_tensors(files, {name for name in result.missing_keys if is_lora(name)}, "missing")
    unknown = {name for name in result.unexpected_keys if not is_copy(name, saved) and not _is_tied(name, tensors)}
    _refuse_tensors(files, unknown, "for modules that its base lacks")
    return Network(with_adapter, lambda batch: with_adapter(**batch).logits, (), network.head_std, network.attention)


def _is_tied(name: str, tensors: "Mapping[str, torch.Tensor]") -> bool:
    """Tell trained tokens that were saved once more under the name of the output layer that is tied to them."""
    return name.endswith(TOKENS) and any(
        other != name and other.endswith(TOKENS) and tensor.equal(tensors[name]) for other, tensor in tensors.items()
    )


def _check_drawn(
    files: CheckpointFiles, network: Network, saved: AbstractSet[str], settings: Mapping[str, Any]
) -> None:
    drawn = [name for name in network.new if PREFIX + name not in saved]
    if drawn:
        raise Refused(
            f"{files.name}: {', '.join(drawn)} is neither in the adapter nor in the base, so it would be random",
            hint=f"train it with modules_to_save; this adapter has {brief(settings.get('modules_to_save'))}",
        )


def _refuse_tensors(files: CheckpointFiles, names: AbstractSet[str], what: str) -> None:
    if names:
        raise Refused(
            f"{files.name}: {counted(len(names), 'tensor')} of the adapter {plural(len(names), 'is', 'are')} {what}, "
            f"such as {brief(min(names))}"
        )


def _grow(files: CheckpointFiles, module: Any, rows: int, saved: AbstractSet[str]) -> None:
    """Give a base the tokens of an adapter that saved its embeddings; none of them may be drawn."""
    ends = {id(layer.weight) for layer in (module.get_input_embeddings(), module.get_output_embeddings()) if layer}
    names = [name for name, parameter in module.named_parameters() if id(parameter) in ends]
    lost = [name for name in names if name not in {unwrapped(tensor) for tensor in saved}]
    if lost:
        raise Refused(
            f"{files.name}: has embeddings of {counted(rows, 'token')}, but not {', '.join(lost)}, "
            "so some of it would be random",
            hint="save it again with save_embedding_layers=True",
        )
    module.resize_token_embeddings(rows, mean_resizing=False)


def _open_head(
    files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask, opened: dict[str, Network]
) -> Network:
    pooling, tensors = read_head(Path(files.path)).pooling, dict(checkpoint_tensors(files))
    if pooling not in opened:
        load = partial(pooled, pooling=pooling, dropout=0.0) if pooling != "model" else task.load
        # Heads made when the base's own was kept where it fits hold less.
        network = load(base.path, labels)
        whole = with_new_head(network) if pooling == "model" else network
        opened[pooling] = network if set(tensors) == set(network.new) else whole
    network = opened[pooling]
    if set(tensors) != set(network.new):
        raise Refused(f"{files.name}: has tensors {brief(sorted(tensors))}, the head needs {sorted(network.new)}")
    try:
        network.module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise Refused(f"{files.name}: this head does not fit: {_first_line(error)}") from error
    return network


def _open_model(files: CheckpointFiles, _: Base, labels: Sequence[str], task: ModelTask) -> Network:
    with _misfits_refused(f"{files.name}: this model cannot be opened"):
        network = task.load(files.path, labels)
    if network.new:
        hint = f"the band has {counted(len(labels), 'label')}; is this a base model, not a fine-tuned one?"
        if not labels:
            hint = "save it again by save_pretrained of the whole language model, its output layer included"
        if kind := foreign_folders.gives_vectors(Path(files.path)):
            hint = f"{kind.told}: {kind.mend}"
        n, names = len(network.new), first_of(network.new, "tensor")
        lost = f"{names} {plural(n, 'is', 'are')} missing or of another shape"
        raise Refused(f"{files.name}: {lost}, so {plural(n, 'it', 'they')} would be random", hint=hint)
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
