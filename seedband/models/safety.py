"""Safety of model folders: weights come from safetensors only, and code never comes from a checkpoint."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seedband.errors import Refused, UsageError
from seedband.models import foreign_folders
from seedband.models.model_config import read_config
from seedband.models.model_folders import COMMIT, weight_files
from seedband.storage import json_files
from seedband.storage.validation import brief

#: A folder with one of these has its own weights, pickled, whatever else is in it.
WHOLE_PICKLES = {"pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin"}
#: How names of weights end that are opened by running them.
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
#: Pickles that trainers leave beside weights, and that hold none.
NOTES = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt")
#: Kinds of attention that transformers has itself. Whichever a config names, models are loaded with ours.
IMPLEMENTATIONS = (
    "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention",
)  # fmt: skip
#: Keys of config.json that make transformers run, open or fetch what is not looked at here, and what they may be.
UNSAFE_KEYS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "auto_map": ("code of its own", ()),
    "transformers_weights": ("weights in another file than the usual one", ()),
    "quantization_config": ("a quantised model, which other packages open", ()),
    "use_kernels": ("kernels, which are code of a hub", (False,)),
    "kernel_config": ("kernels, which are code of a hub", ()),
    **dict.fromkeys(
        ("_attn_implementation", "attn_implementation", "_attn_implementation_internal"),
        ("attention that may be code of a hub", IMPLEMENTATIONS),
    ),
    **dict.fromkeys(
        ("_experts_implementation", "experts_implementation", "_experts_implementation_internal"),
        ("experts that may be code of a hub", ("eager", "grouped_mm", "batched_mm")),
    ),
}


def check_safe(folder: Path, weights: Sequence[str] | None = None) -> None:
    """Refuse a checkpoint that could only be opened by running something in it.

    Args:
        folder: The checkpoint.
        weights: The safetensors files that must be there; a whole model's own unless said. A config.json beside others
            is that of the base that they were trained on, and builds nothing.
    """
    for file in (*folder.iterdir(), *folder.glob("*/config.json")):
        json_files.check_pointer(file)
    for key, value in _entries(read_config(folder) if weights is None else {}):
        what, harmless = UNSAFE_KEYS.get(key, ("", (value,)))
        if value is not None and value not in harmless:
            raise Refused(
                f"{folder}: config.json asks for {what} ({key}), which is never opened",
                hint="export the model to an architecture that transformers knows, its weights as plain safetensors",
            )
    weights = weight_files(folder) if weights is None else weights
    missing = [name for name in weights if not (folder / name).is_file()]
    if not missing:
        return
    pickles = sorted(file.name for file in folder.iterdir() if file.name.endswith(PICKLES) and file.name not in NOTES)
    kind = None if WHOLE_PICKLES & {file.name for file in folder.iterdir()} else foreign_folders.kind_of(folder)
    if kind is not None:
        raise UsageError(f"{folder}: {', '.join(missing)} is missing: {kind.told}", hint=kind.mend)
    if pickles:
        raise pickled(str(folder), pickles)
    raise UsageError(
        f"{folder}: {', '.join(missing)} is missing", hint=foreign_folders.named_otherwise(folder, missing[0])
    )


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a config with its value, however deep."""
    if isinstance(value, Mapping):
        yield from value.items()
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _entries(inner)


def pickled(where: str, names: Sequence[str]) -> Refused:
    """What is said of weights that could only be opened by running them."""
    return Refused(
        f"{where}: the weights are pickled ({brief(', '.join(names))}), and opening a pickle runs it",
        hint="save them as safetensors (safe_serialization=True, the default of current libraries)",
    )


def check_links(folder: Path, name: str) -> None:
    """No file of a checkpoint, however deep, may be one from elsewhere; a snapshot of the hub's links to its blobs."""
    home = folder.resolve()
    cache = home.parent.parent
    snapshot = home.parent.name == "snapshots" and COMMIT.fullmatch(home.name) and cache.name.startswith("models--")
    roots = (home, cache / "blobs") if snapshot else (home,)
    for inside, folders, files in os.walk(home):
        for file in sorted(Path(inside, entry) for entry in (*folders, *files)):
            if file.is_symlink() and not any(file.resolve().is_relative_to(root) for root in roots):
                raise Refused(
                    f"{name}: {file.relative_to(home)} is a link that leads out of the checkpoint, to {file.resolve()}",
                    hint="copy the file into the checkpoint",
                )
