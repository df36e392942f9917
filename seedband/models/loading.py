"""Networks: how models and tokenizers are loaded, whatever their task."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from seedband.errors import UsageError
from seedband.models.model_folders import tensor_names
from seedband.models.pooling import Pooling

if TYPE_CHECKING:
    import torch

#: What torch.compile and data-parallel training put before a tensor's name.
WRAPPER = r"^(?:_orig_mod\.|module\.)+"


class ModelTask(Protocol):
    """What of a task it takes to load a model for it; `tasks.Task` says what each is."""

    @property
    def auto(self) -> str: ...  # noqa: D102
    @property
    def peft(self) -> str | None: ...  # noqa: D102
    @property
    def heads(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def renamed(self) -> bool: ...  # noqa: D102

    def load(self, path: str, labels: Sequence[str]) -> "Network":
        """A base, or a whole model, with what it takes to do the task."""


@dataclass(frozen=True)
class Network:
    """A base model with what it takes to do its task.

    Attributes:
        module: Holds every weight.
        forward: From one batch to logits: shape (rows, n_classes), or (rows, tokens, vocabulary).
        new: Names in `module` of the tensors that the base lacks: they were drawn by chance while loading.
        head_std: The architecture's own standard deviation for new weights.
        attention: The attention implementation that is really in use.
        pad_id: Id by which the architecture would look for padding; None where it does not.
        replaced: Those of `new` that the base has, and that are drawn all the same.
    """

    module: "torch.nn.Module"
    forward: "Callable[[Mapping[str, torch.Tensor]], torch.Tensor]"
    new: tuple[str, ...]
    head_std: float
    attention: str
    pad_id: int | None = None
    replaced: tuple[str, ...] = ()


class LoadingInfo(TypedDict):
    """What transformers tells of loading a model: names of weights that it lacks, or that have another shape."""

    missing_keys: Collection[str]
    mismatched_keys: Collection[str | tuple[str, object, object]]


def loading() -> dict[str, object]:
    """How transformers loads a model: from this machine, from safetensors, without code of its own, in fp32.

    What a model would give beside its logits is left out, whatever its config says.
    """
    import torch

    return {
        "use_safetensors": True,
        "local_files_only": True,
        "trust_remote_code": False,
        "dtype": torch.float32,
        "return_dict": True,
        "output_attentions": False,
        "output_hidden_states": False,
    }


def from_folder(auto: Any, path: str, **given: Any) -> tuple[Any, LoadingInfo]:
    """A model of transformers, loaded by one of its auto classes, with its account of the loading.

    Attention is torch's own, or the architecture's where it has no other.
    """
    try:
        return _from_folder(auto, path, "sdpa", **given)
    except ValueError as error:
        if "Unrecognized configuration class" in str(error):
            raise UsageError(f"{path}: transformers has no {auto.__name__} for a model of its type") from error
        if "scaled_dot_product_attention" not in str(error):
            raise
        return _from_folder(auto, path, "eager", **given)


def _from_folder(auto: Any, path: str, attention: str, **given: Any) -> tuple[Any, LoadingInfo]:
    # Under its other name, so that it also takes the place of what a config says.
    given |= {"attn_implementation": attention, "_attn_implementation": attention}
    wrapped = wrapper(tensor_names(Path(path)))
    names = {"key_mapping": {wrapped: ""}} if wrapped else {}
    model, info = auto.from_pretrained(path, **given, **loading(), **names, output_loading_info=True)
    return model, info


def wrapper(names: Iterable[str]) -> str | None:
    r"""An expression for what wrappers of training put before the name of every tensor; None where they put nothing.

    Examples:
        >>> wrapper(["_orig_mod.score.weight"]), wrapper(["module.a", "b"])
        ('^(?:_orig_mod\\.|module\\.)+', None)
    """
    names = list(names)
    return WRAPPER if names and all(re.match(WRAPPER, name) for name in names) else None


def load_tokenizer(base: str) -> Any:
    """The base model's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)


def load_processor(base: str) -> Any:
    """The base model's image processor, on pillow: whether torchvision is there must not change a pixel.

    Raises:
        UsageError: It cannot be opened, or pillow is not installed.
    """
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(base, backend="pil", local_files_only=True, trust_remote_code=False)
    except ImportError as error:
        raise UsageError("images need pillow", hint='pip install "seedband[image]"') from error
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{base}: no image processor that transformers can open: {reason}") from error


def loaded_shapes(base: str, auto: str = "AutoModel") -> "Mapping[str, tuple[int, ...]]":
    """Names and shapes of a base's tensors once it is loaded, which may be others than those on disk.

    Args:
        base: Its folder.
        auto: The class of transformers that loads it.
    """
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model = getattr(transformers, auto).from_config(config, trust_remote_code=False)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def network(model: Any, info: LoadingInfo) -> Network:
    """A model of transformers, with its account of the loading, as a network."""
    mismatched = [entry[0] if isinstance(entry, tuple) else entry for entry in info["mismatched_keys"]]
    new = tuple(sorted({*info["missing_keys"], *mismatched}))
    return Network(model, lambda batch: model(**batch).logits, new, head_std_of(model), attention_of(model))


def with_new_head(network: Network) -> Network:
    """A classifier whose whole head is new, whether or not the base brings one.

    The base's own was learnt for other labels, or for another order of them, and would be where every seed starts.
    Where nothing lies outside the body, as in CLIP, the head is what has another shape for another number of labels.

    Raises:
        UsageError: The model has no head.
    """
    model: Any = network.module
    inside = {id(parameter) for parameter in model.base_model.parameters()}
    head = {name for name, parameter in model.named_parameters() if id(parameter) not in inside}
    head = head or _sized_by_labels(model)
    if not head and not network.new:
        raise UsageError(f"model.base: a model of type {model.config.model_type} has no classifier that could be new")
    replaced = tuple(sorted(head - {*network.new}))
    return replace(network, new=tuple(sorted({*network.new, *head})), replaced=replaced)


def _sized_by_labels(model: Any) -> set[str]:
    """Names of the parameters whose shape depends on the number of labels."""
    import torch

    config = deepcopy(model.config)
    config.num_labels += 1
    with torch.device("meta"):
        other = dict(type(model)(config).named_parameters())
    return {name for name, own in model.named_parameters() if name in other and other[name].shape != own.shape}


def pooled(path: str, labels: Sequence[str], pooling: Pooling, dropout: float) -> Network:
    """A frozen backbone, its pooled output, and a new linear head."""
    import torch
    from transformers import AutoModel

    backbone, _ = from_folder(AutoModel, path)
    head = torch.nn.Linear(backbone.config.hidden_size, len(labels))
    module = torch.nn.ModuleDict({"backbone": backbone, "dropout": torch.nn.Dropout(dropout), "classifier": head})

    def forward(batch: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
        hidden = backbone(**batch).last_hidden_state
        out: torch.Tensor = head(module["dropout"](pool(hidden, batch.get("attention_mask"), pooling)))
        return out

    new = ("classifier.bias", "classifier.weight")
    return Network(module, forward, new, head_std_of(backbone), attention_of(backbone))


def pool(hidden: "torch.Tensor", mask: "torch.Tensor | None", pooling: Pooling) -> "torch.Tensor":
    """Token or patch states, shape (rows, tokens, width), to one vector a row: their masked mean, or the first."""
    if pooling == "cls":
        return hidden[:, 0]
    if mask is None:
        return hidden.mean(1)
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def head_std_of(model: Any) -> float:
    """What transformers draws new weights with: `initializer_range`, or 0.02 where the config has none or 0."""
    return float(getattr(model.config, "initializer_range", None) or 0.02)


def attention_of(model: Any) -> str:
    """The attention implementation that a model really uses."""
    return str(model.config._attn_implementation)  # noqa: SLF001
