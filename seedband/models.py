"""Base models and candidate checkpoints: located, recognised and found safe to load.

Weights come from safetensors only, code never comes from a checkpoint, and a package that carries a model is located
but not imported.
"""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from seedband import store
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.records import Base, CheckpointFiles

Pooling = Literal["mean", "cls", "model"]
ADAPTER_WEIGHTS = "adapter_model.safetensors"
HEAD_WEIGHTS = "head.safetensors"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
COMMIT = re.compile(r"[0-9a-f]{40}")
#: A tokenizer has one of these.
VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
#: What is fetched from a hub: never a pickle.
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "1_Pooling/*"]


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
    if not any((path / name).is_file() for name in VOCABULARIES):
        raise UsageError(f"model.base: {path} has no tokenizer (none of {', '.join(VOCABULARIES)})")
    return Base(reference, str(path), weights_sha256(path), files_sha256(path))


def files_sha256(folder: Path) -> str:
    """SHA-256 over the files beside the weights on which scores depend: config, tokenizer and pooling."""
    patterns = [
        "config.json",
        "tokenizer*",
        "vocab*",
        "merges.txt",
        "*.model",
        "special_tokens_map.json",
        "1_Pooling/*",
    ]
    files = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    return store.digest({file.relative_to(folder).as_posix(): store.file_sha256(file) for file in files})


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a model's weights: of the file, or of its shards' hashes in the order of their names."""
    if (folder / WEIGHTS).is_file():
        return store.file_sha256(folder / WEIGHTS)
    return store.digest({name: store.file_sha256(folder / name) for name in shards(folder)})


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
    config = read_config(folder)
    if "auto_map" in config:
        raise Refused(
            f"{folder}: config.json asks for code of its own (auto_map), which is never run",
            hint="export the model to an architecture that transformers knows",
        )
    if weights is None:
        weights = [WEIGHTS] if not (folder / INDEX).is_file() else shards(folder)
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

    files = [WEIGHTS] if (base / WEIGHTS).is_file() else shards(base)
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


def read_config(folder: Path) -> Mapping[str, Any]:
    """config.json of a model; empty where there is none."""
    config = folder / "config.json"
    return store.parse_json(config) if config.is_file() else {}


def shards(folder: Path) -> list[str]:
    """Names of the weight files of a model: one, or those of its index.

    Raises:
        Refused: A name that leads out of the folder.
    """
    if not (folder / INDEX).is_file():
        return [WEIGHTS]
    names = sorted(set(store.parse_json(folder / INDEX).get("weight_map", {}).values()))
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise Refused(f"{folder / INDEX}: shard names lead out of the folder: {', '.join(outside)}")
    return names
