"""Base models and candidate checkpoints: located, recognised and loaded safely.

Weights come from safetensors only, code never comes from a checkpoint, and a package that carries a model is located
but not imported.
"""

import importlib.util
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seedband import store
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.records import Base, CheckpointFiles

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "cls", "model"]
ADAPTER_WEIGHTS = "adapter_model.safetensors"
HEAD_WEIGHTS = "head.safetensors"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
COMMIT = re.compile(r"[0-9a-f]{40}")
#: What is fetched from a hub: never a pickle.
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "1_Pooling/*"]


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


# -- locate and recognise ---------------------------------------------------------------------------------------------


def locate_base(reference: str, revision: str | None, folder: Path, *, offline: bool) -> Base:
    """Find a base model on this machine, or fetch it from the hub.

    Args:
        reference: package:<installed package>/<folder>, a folder, or a hub id.
        revision: Commit of a hub id.
        folder: Where relative folders start from.
        offline: Whether the hub must not be asked.

    Raises:
        UsageError: Not found, or a hub id without a commit.
        Refused: Only pickled weights, or code in the checkpoint.
        WorkFailed: The hub could not be reached.
    """
    if reference.startswith("package:"):
        path = _package_folder(reference)
    elif (folder / reference).is_dir():
        path = (folder / reference).resolve()
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", reference):
        path = _from_hub(reference, revision, offline=offline)
    else:
        raise UsageError(f"model.base: no folder {folder / reference}, and {reference!r} is no hub id (org/name)")
    check_safe(path)
    return Base(reference, str(path), weights_sha256(path))


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a model's weights: of the file, or of its shards' hashes in the order of their names."""
    if (folder / WEIGHTS).is_file():
        return store.file_sha256(folder / WEIGHTS)
    return store.digest({name: store.file_sha256(folder / name) for name in _shards(folder)})


def recognise(path: Path, name: str) -> CheckpointFiles:
    """What kind of checkpoint lies in a folder.

    Raises:
        UsageError: No such folder, or nothing in it that is a checkpoint.
        Refused: Only pickled weights, or code in the checkpoint.
    """
    if not path.is_dir():
        raise UsageError(f"{name}: no such folder")
    if (path / "adapter_config.json").is_file():
        check_safe(path, weights=[ADAPTER_WEIGHTS])
        return CheckpointFiles("adapter", str(path), name)
    if (path / "head.json").is_file():
        check_safe(path, weights=[HEAD_WEIGHTS])
        return CheckpointFiles("head", str(path), name)
    if (path / "config.json").is_file():
        check_safe(path)
        return CheckpointFiles("model", str(path), name)
    raise UsageError(
        f"{name}: no checkpoint in this folder",
        hint="expected adapter_config.json (PEFT), head.json (a head of ours) or config.json (a whole model)",
    )


def check_safe(folder: Path, weights: Sequence[str] | None = None) -> None:
    """Refuse a checkpoint that could only be opened by running something in it.

    Args:
        folder: The checkpoint.
        weights: The safetensors files that must be there; a whole model's own unless said.
    """
    config = _config(folder)
    if "auto_map" in config:
        raise Refused(
            f"{folder}: config.json asks for code of its own (auto_map), which is never run",
            hint="export the model to an architecture that transformers knows",
        )
    if weights is None:
        weights = [WEIGHTS] if not (folder / INDEX).is_file() else _shards(folder)
    missing = [name for name in weights if not (folder / name).is_file()]
    if not missing:
        return
    pickles = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for file in folder.glob(pattern))
    if pickles:
        raise Refused(
            f"{folder}: the weights are pickled ({', '.join(pickles)}), and opening a pickle runs it",
            hint="save them as safetensors (safe_serialization=True, the default of current libraries)",
        )
    raise UsageError(f"{folder}: {', '.join(missing)} is missing")


def tensor_names(base: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's tensors, from the headers alone."""
    from safetensors import safe_open

    files = [WEIGHTS] if (base / WEIGHTS).is_file() else _shards(base)
    found: dict[str, tuple[int, ...]] = {}
    for name in files:
        with safe_open(base / name, framework="numpy") as file:
            found |= {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    return found


def resolve_pooling(asked: str, base: Path) -> Pooling:
    """The pooling that `[head] pooling` means for this base.

    Raises:
        UsageError: The embedding model pools in a way that is not supported.
    """
    if asked in ("mean", "cls", "model"):
        return asked  # type: ignore[return-value]
    config = base / "1_Pooling" / "config.json"
    if not config.is_file():
        return "model"
    modes = [name for name, on in store.parse_json(config).items() if name.startswith("pooling_mode_") and on is True]
    own: dict[str, Pooling] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(modes) != 1 or modes[0] not in own:
        raise UsageError(f"head.pooling: {config} asks for {modes}", hint='set pooling = "mean", "cls" or "model"')
    return own[modes[0]]


# -- load -------------------------------------------------------------------------------------------------------------


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


def checkpoint_tensors(folder: Path) -> "Iterable[tuple[str, torch.Tensor]]":
    """Names and tensors of a checkpoint folder, whatever its kind."""
    from safetensors.torch import load_file

    names = [name for name in (ADAPTER_WEIGHTS, HEAD_WEIGHTS, WEIGHTS) if (folder / name).is_file()][:1]
    for name in names or _shards(folder):
        yield from load_file(folder / name).items()


# -- inside -----------------------------------------------------------------------------------------------------------


def _package_folder(reference: str) -> Path:
    package, _, inner = reference.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"model.base: no installed package {package!r}",
            hint=f"pip install {package.replace('_', '-')}, or give a folder or a hub id",
        )
    root = Path(next(iter(spec.submodule_search_locations))).resolve()
    path = (root / inner).resolve()
    if not path.is_relative_to(root) or not path.is_dir():
        raise UsageError(f"model.base: package {package!r} has no folder {inner!r}")
    return path


def _from_hub(name: str, revision: str | None, *, offline: bool) -> Path:
    if revision is None or not COMMIT.fullmatch(revision):
        raise UsageError(
            f"model.base: {name!r} is no folder here, and as a hub id it needs a commit",
            hint="set model.revision to 40 hexadecimal digits: a branch can change under the band",
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES, local_files_only=offline))
    except Exception as error:
        hint = "without --offline it would be fetched" if offline else "check the name, the commit and the network"
        raise WorkFailed(f"model.base: cannot get {name}@{revision[:12]} from the hub: {error}", hint=hint) from error


def _config(folder: Path) -> Mapping[str, Any]:
    config = folder / "config.json"
    return store.parse_json(config) if config.is_file() else {}


def _shards(folder: Path) -> list[str]:
    if not (folder / INDEX).is_file():
        return [WEIGHTS]
    names = sorted(set(store.parse_json(folder / INDEX).get("weight_map", {}).values()))
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise Refused(f"{folder / INDEX}: shard names lead out of the folder: {', '.join(outside)}")
    return names


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
    from peft import PeftModel
    from safetensors import SafetensorError

    config = store.parse_json(Path(files.path) / "adapter_config.json")
    classifier = load_classifier(base.path, labels)
    try:
        with_adapter = PeftModel.from_pretrained(classifier.module, files.path, is_trainable=False)
    except (RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise Refused(f"{files.name}: this adapter does not fit {base.reference}: {_first_line(error)}") from error
    saved = {name for name, _ in checkpoint_tensors(Path(files.path))}
    drawn = [name for name in classifier.new if f"base_model.model.{name}" not in saved]
    if drawn:
        raise Refused(
            f"{files.name}: {', '.join(drawn)} is neither in the adapter nor in the base, so it would be random",
            hint=f"train it with modules_to_save; this adapter has {config.get('modules_to_save')}",
        )
    return Classifier(with_adapter, lambda batch: with_adapter(**batch).logits, (), classifier.head_std, "")


def _open_head(files: CheckpointFiles, base: Base, labels: Sequence[str]) -> Classifier:
    content = store.read_json(Path(files.path) / "head.json", "head")
    pooling: Pooling = content["pooling"]
    if pooling == "model":
        classifier = load_classifier(base.path, labels)
    else:
        classifier = load_pooled(base.path, labels, pooling, 0.0)
    tensors = dict(checkpoint_tensors(Path(files.path)))
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
    expected, found = _config(Path(base.path)).get("model_type"), _config(Path(files.path)).get("model_type")
    if expected != found:
        raise Refused(f"{files.name}: architecture {found!r}, the band's base is {expected!r}")
    return classifier


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return json.dumps(" ".join(lines)[:300])
