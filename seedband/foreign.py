"""Folders of other tools: known by what lies in them, each with the command that makes a checkpoint of it."""

import re
from collections.abc import Sequence
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


EMBEDDER = Kind(
    r"modules\.json|1_Pooling",
    "a model of sentence-transformers, which gives vectors and no labels",
    'name it as model.base, with [train] method = "head"; its weights may lie in 0_Transformer',
)
KINDS: Sequence[Kind] = (
    Kind(
        r"global_step\d+|zero_pp_rank_.*|mp_rank_\d+_model_states\.pt|zero_to_fp32\.py",
        "a checkpoint of DeepSpeed ZeRO, whose weights lie in parts",
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
    Kind(
        r"model_head\.(?:pkl|joblib|pt)",
        "a model of SetFit, whose head is a pickle",
        'check its scores instead (seedband check --scores FILE), or train a head here: [train] method = "head" on '
        "the folder as model.base",
    ),
    Kind(
        r".*\.onnx|openvino_model\.(?:xml|bin)",
        "an exported model (ONNX or OpenVINO)",
        "check the model that it was exported from, saved by save_pretrained",
    ),
    Kind(
        r"tf_model.*\.h5|saved_model\.pb|.*\.h5",
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
        "shards of a model without the index that says what lies where",
        "copy model.safetensors.index.json beside them, or save the model again by save_pretrained",
    ),
    Kind(
        r"consolidated.*\.(?:safetensors|pth)|params\.json",
        "a model in its maker's own format",
        "convert it: transformers has a convert_…_weights_to_hf.py for it",
    ),
    EMBEDDER,
)


def kind_of(folder: Path) -> Kind | None:
    """What other tool left a folder; None where no name in it says so."""
    names = _names(folder)
    return next((kind for kind in KINDS if any(re.fullmatch(kind.pattern, name) for name in names)), None)


def gives_vectors(folder: Path) -> bool:
    """Whether sentence-transformers saved a folder."""
    return any(re.fullmatch(EMBEDDER.pattern, name) for name in _names(folder))


def checkpoints_in(folder: Path) -> list[str]:
    """Names of checkpoints that lie one level deeper, the last step first."""
    found = [name for name in _names(folder) if any((folder / name / mark).is_file() for mark in MARKS)]
    return sorted(found, key=_step, reverse=True)


def did_you_mean(folder: Path, shown: str) -> str:
    """A hint that names what in a folder could be meant; empty where nothing could."""
    if kind := kind_of(folder):
        return kind.mend
    found = checkpoints_in(folder)
    more = f", and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return f"did you mean {', '.join(f'{shown}/{name}' for name in found[:MAX_NAMED])}{more}?" if found else ""


def _step(name: str) -> tuple[int, str]:
    number = re.search(r"\d+$", name)
    return int(number[0][:18]) if number else -1, name


def _names(folder: Path) -> list[str]:
    names: list[str] = []
    for entry in folder.iterdir():
        names.append(entry.name)
        if len(names) >= MAX_NAMES:
            break
    return sorted(names)
