"""Adapters: PEFT's LoRA, on the base that it was trained on."""

import warnings
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedband.counts import counted, plural
from seedband.errors import Refused
from seedband.models.adapter_check import check_adapter, check_supported, lora_modules
from seedband.models.checkpoints import checkpoint_shapes, checkpoint_tensors
from seedband.models.initializers import is_lora
from seedband.models.kinds import CheckpointKind
from seedband.models.loading import ModelTask, Network, loaded_shapes
from seedband.models.misfits import misfits_refused
from seedband.models.model_config import vocabulary
from seedband.models.model_folders import ADAPTER_WEIGHTS, CheckpointFiles, read_adapter, tensor_names
from seedband.models.shape_check import (
    PREFIX,
    Shapes,
    canonical_names,
    check_shapes,
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


class Adapter(CheckpointKind):
    """A folder as PEFT saves it."""

    name = "adapter"
    sign = "adapter_config.json"
    explained = "adapter_config.json (PEFT)"

    def weights(self, folder: Path) -> list[str]:  # noqa: ARG002
        """One file, whatever its size."""
        return [ADAPTER_WEIGHTS]

    def shapes(self, files: CheckpointFiles) -> Shapes:
        """Shapes by the names that PEFT gives, whichever tool saved them."""
        shapes = super().shapes(files)
        names = canonical_names(shapes, files.name)
        return {names[name]: shape for name, shape in shapes.items()}

    def check(self, files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask) -> None:
        """Hold config and headers against the base."""
        _check_adapter(files, base, labels, task)

    def open(
        self,
        files: CheckpointFiles,
        base: Base,
        labels: Sequence[str],
        task: ModelTask,
        opened: dict[str, Network],  # noqa: ARG002
    ) -> Network:
        """Load the base, and the adapter on it."""
        return _open_adapter(files, base, labels, task)

    def settings(self, folder: Path) -> dict[str, object]:
        """All of its config but where it comes from."""
        return {key: value for key, value in read_adapter(folder).items() if key not in ADAPTER_NOTES}

    def base_named(self, folder: Path) -> tuple[str, str | None]:
        """What PEFT was given."""
        config = read_adapter(folder)
        return str(config.get("base_model_name_or_path")), config.get("revision")


def _check_adapter(
    files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask
) -> tuple[dict[str, object], int | None]:
    """The config that PEFT may be given of an adapter, and its number of tokens where that is not its base's.

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
        grow(files, network.module, rows, saved)
    with misfits_refused(f"{files.name}: this adapter does not fit {base.reference}"), warnings.catch_warnings():
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
    files: CheckpointFiles, network: Network, saved: AbstractSet[str], settings: Mapping[str, object]
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


def grow(files: CheckpointFiles, module: Any, rows: int, saved: AbstractSet[str]) -> None:
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
