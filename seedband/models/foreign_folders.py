"""Folders of other tools: known by what lies in them, each with the command that makes a checkpoint of it."""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

#: Names in a folder that are looked at, at most.
MAX_NAMES = 10_000
#: Checkpoints in a folder that a message names.
MAX_NAMED = 5
#: What makes a folder within another one a checkpoint.
MARKS = ("adapter_config.json", "config.json", "head.json")


class Kind(NamedTuple):
    """One kind of folder.

    Attributes:
        pattern: Of a name in it.
        what: It is, as a message goes on after "this is".
        mend: What makes a checkpoint of it.
    """

    pattern: str
    what: str
    mend: str

    @property
    def told(self) -> str:
        """The end of a message about it."""
        return f"{'these are' if self.what.startswith(('shards', 'weights')) else 'this is'} {self.what}"

    def fits(self, name: str) -> bool:
        """Match the name of a file or folder against its pattern."""
        return re.fullmatch(self.pattern, name, re.IGNORECASE) is not None


EMBEDDER = Kind(
    r"modules\.json|1_Pooling",
    "a model of sentence-transformers, which gives vectors and no labels",
    'name it as model.base, with [train] method = "head"; its weights may be in 0_Transformer',
)
SETFIT = Kind(
    r"model_head\.(?:pkl|joblib|pt)",
    "a model of SetFit, whose head is a pickle",
    'check its scores instead (seedband check --scores FILE), or train a head here: [train] method = "head" on '
    "the folder as model.base",
)
KINDS: Sequence[Kind] = (
    Kind(
        r"global_step\d+|zero_pp_rank_.*|mp_rank_\d+_model_states\.pt|zero_to_fp32\.py",
        "a checkpoint of DeepSpeed ZeRO, whose weights are in parts",
        "put them together: python zero_to_fp32.py . OUT --safe_serialization, and copy config.json and the tokenizer "
        "into OUT",
    ),
    Kind(
        r"pytorch_model_fsdp_\d+|.*\.distcp",
        "a sharded checkpoint of FSDP",
        "put it together: accelerate merge-weights CHECKPOINT/pytorch_model_fsdp_0 OUT, and copy config.json and the "
        "tokenizer into OUT",
    ),
    Kind(
        r".*\.gguf",
        "a model in GGUF, which llama.cpp reads",
        "check the model that it was converted from, or convert it back: "
        "AutoModelForCausalLM.from_pretrained(FOLDER, gguf_file=NAME).save_pretrained(OUT)",
    ),
    SETFIT,
    Kind(
        r".*\.onnx|openvino_model\.(?:xml|bin)",
        "an exported model (ONNX or OpenVINO)",
        "check the model that it was exported from, saved by save_pretrained",
    ),
    Kind(
        r"saved_model\.pb|.*\.h5|.*\.ckpt\.(?:index|meta|data-.*)",
        "a model of TensorFlow",
        "convert it with transformers 4: AutoModel....from_pretrained(FOLDER, from_tf=True).save_pretrained(OUT)",
    ),
    Kind(
        r"flax_model.*\.msgpack",
        "a model of Flax",
        "convert it with transformers 4: AutoModel....from_pretrained(FOLDER, from_flax=True).save_pretrained(OUT)",
    ),
    Kind(
        r"(?:model|pytorch_model)-\d+-of-\d+\.(?:safetensors|bin)",
        "shards of a model without the index that says what is where",
        "copy model.safetensors.index.json beside them, or save the model again by save_pretrained",
    ),
    Kind(
        r"consolidated.*\.(?:safetensors|pth)|params\.json",
        "a model in its maker's own format",
        "convert it: transformers has a convert_…_weights_to_hf.py for it",
    ),
    Kind(
        r"iter_\d+|latest_checkpointed_iteration\.txt|.*\.nemo",
        "a checkpoint of Megatron or NeMo",
        "convert it to the format of Hugging Face where it was trained (Megatron Bridge, or NeMo's export)",
    ),
    EMBEDDER,
)
#: Weights without what says of which model they are: looked for where no config is.
BARE: Sequence[Kind] = (
    Kind(
        r"adapter_model\.safetensors",
        "an adapter without its adapter_config.json",
        "copy adapter_config.json from where it was trained, or save the adapter again by save_pretrained",
    ),
    Kind(
        r".*\.safetensors",
        "weights without the config.json of their model",
        "copy config.json and the tokenizer beside them, or save the model again by save_pretrained",
    ),
    Kind(
        r".*\.ckpt",
        "a checkpoint of PyTorch Lightning or another trainer, which is a pickle",
        "open it in the script that made it, and save the model from there: module.model.save_pretrained(OUT)",
    ),
    Kind(
        r"(?!training_args|optimizer|scheduler|scaler|rng_state).*\.(?:pt|pth|bin|pkl|npz)",
        "weights without a config, in a form that is not read",
        "open them in the script that made them, and save the model from there by save_pretrained",
    ),
)


def kind_of(folder: Path) -> Kind | None:
    """The other tool that left a folder; None where no name in it says so."""
    return _first(KINDS, _names(folder))


def gives_vectors(folder: Path) -> Kind | None:
    """The kind of a folder that sentence-transformers saved, or what builds on it; None of another one."""
    return _first((SETFIT, EMBEDDER), _names(folder))


def checkpoints_in(folder: Path) -> list[str]:
    """Paths of checkpoints that lie one level deeper, else two, the last step first."""
    for pattern in ("*", "*/*"):
        inner = islice(folder.glob(pattern), MAX_NAMES)
        found = [path for path in inner if any((path / mark).is_file() for mark in MARKS)]
        if found:
            return sorted((path.relative_to(folder).as_posix() for path in found), key=_step, reverse=True)
    return []


def told_of(folder: Path, shown: str) -> tuple[str, str]:
    """Return the end of a message about a folder without a config, and a hint; both empty where nothing tells.

    Args:
        folder: Looked into.
        shown: What messages call it.
    """
    if kind := kind_of(folder):
        return f": {kind.told}", kind.mend
    if found := checkpoints_in(folder):
        more = f", and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        return "", f"did you mean {', '.join(f'{shown}/{name}' for name in found[:MAX_NAMED])}{more}?"
    for inner in islice(sorted(path for path in folder.iterdir() if path.is_dir()), MAX_NAMED):
        if kind := kind_of(inner) or _first(BARE, _names(inner)):
            return f": in {inner.name}, {kind.told}", kind.mend
    kind = _first(BARE, _names(folder))
    return (f": {kind.told}", kind.mend) if kind else ("", "")


def named_otherwise(folder: Path, missing: str) -> str:
    """Return a hint for weights that are missing.

    Args:
        folder: Looked into.
        missing: Name of the file that is not there.
    """
    found = [name for name in _names(folder) if name.endswith(".safetensors")]
    if len(found) == 1:
        return f"if {found[0]} is it, rename it: {missing}"
    return told_of(folder, str(folder))[1] or f"save it again by save_pretrained, which writes {missing}"


def _first(kinds: Sequence[Kind], names: Sequence[str]) -> Kind | None:
    return next((kind for kind in kinds if any(map(kind.fits, names))), None)


def _step(name: str) -> tuple[int, str]:
    number = re.search(r"\d+$", name)
    return int(number[0][:18]) if number else -1, name


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in islice(folder.iterdir(), MAX_NAMES))
