"""Folders of models: whether they are safe to load, and what their own files say of them.

Weights come from safetensors only, and code never comes from a checkpoint.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import MinLen, Predicate

from seedband.errors import Refused, UsageError, WorkFailed
from seedband.models import foreign_folders
from seedband.storage import atomic_files, file_hashes, json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import CHECKPOINT_KINDS, Known
from seedband.storage.validation import PathText, brief, checked, read_foreign, read_record

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint on disk.

    Attributes:
        kind: What is in the folder.
        path: The folder.
        name: As the user called it.
    """

    kind: Annotated[str, Known(CHECKPOINT_KINDS)]
    path: str
    name: str


Pooling = Literal["mean", "cls", "model"]
ADAPTER_WEIGHTS = "adapter_model.safetensors"
HEAD_WEIGHTS = "head.safetensors"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: What makes a folder a checkpoint: of the built-in methods, and of a training script that saves a whole model.
CHECKPOINT = ("adapter_config.json", ADAPTER_WEIGHTS, "head.json", HEAD_WEIGHTS, "config.json", WEIGHTS, INDEX)
COMMIT = re.compile(r"[0-9a-f]{40}")
#: Letters of a pooling that a message shows.
MAX_SHOWN = 80
#: Digits of a class number; nobody has more classes.
MAX_DIGITS = 9
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
#: Model types whose positions begin behind that of the padding.
AFTER_PADDING = frozenset({
    "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert", "mpnet", "longformer",
    "data2vec-text", "ibert", "luke", "lilt",
})  # fmt: skip


def a_class_number(value: str) -> bool:
    """Whether a key of `id2label` counts outputs."""
    return value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS


@dataclass(frozen=True)
class Head:
    """head.json: a head of ours, and what it takes to put it back on its base."""

    base: str
    base_sha256: str
    pooling: Pooling
    labels: Annotated[tuple[str, ...], MinLen(1)]


@dataclass(frozen=True)
class _Adapter:
    """adapter_config.json, as far as it is looked into before PEFT reads it."""

    base_model_name_or_path: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class _Config:
    """config.json of a model, likewise."""

    id2label: Mapping[Annotated[str, Predicate(a_class_number)], Any] | None = None
    model_type: str | None = None


@dataclass(frozen=True)
class _Ends:
    """generation_config.json, or config.json: where a text ends."""

    eos_token_id: int | list[int] | None = None


@dataclass(frozen=True)
class _Index:
    """The index of a model's shards."""

    weight_map: Mapping[str, PathText] = field(default_factory=dict)


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a model's weights: of the file, or of its shards' hashes in the order of their names."""
    names = weight_files(folder)
    if names == [WEIGHTS]:
        return file_hashes.sha256_of(folder / WEIGHTS)
    return json_files.digest({name: file_hashes.sha256_of(folder / name) for name in names})


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


def weight_files(folder: Path) -> list[str]:
    """Names of the weight files of a model, the ones that are hashed, looked at and loaded: one, or its shards.

    Raises:
        Refused: A single file and an index of shards, so that readers could differ; or names of other files.
    """
    if not (folder / INDEX).is_file():
        return [WEIGHTS]
    if (folder / WEIGHTS).is_file():
        raise Refused(f"{folder}: has {WEIGHTS} and {INDEX}, so it has two models", hint="remove one of them")
    names = sorted(set(read_foreign(folder / INDEX, _Index)[0].weight_map.values()))
    if outside := [name for name in names if Path(name).name != name]:
        raise Refused(f"{folder / INDEX}: shard names lead out of the folder: {brief(outside)}")
    if other := [name for name in names if not name.endswith(".safetensors")]:
        raise Refused(f"{folder / INDEX}: found shards {brief(other)}, expected safetensors files")
    return names


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


def tensor_names(base: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's tensors, from the headers alone."""
    return {key: shape for name in weight_files(base) for key, shape in header(base / name).items()}


def header(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file, from its header alone.

    Raises:
        Refused: No header that fits the file: safetensors itself bounds its size and compares every offset.
        WorkFailed: The file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    json_files.check_pointer(file)
    try:
        with safe_open(file, framework="numpy") as opened:
            return {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise Refused(f"{file}: no safetensors file that holds together: {error}") from error
    except OSError as error:
        raise WorkFailed.from_os(error, f"read {file}") from error


def save_tensors(file: Path, tensors: "Mapping[str, torch.Tensor]") -> None:
    """Write tensors to a safetensors file, atomically; where they lie and what they share does not matter.

    Raises:
        WorkFailed: The disk is full, or not to be written to.
    """
    from safetensors.torch import save

    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_files.replacing(file) as temporary:
        temporary.write_bytes(save(own, metadata={"format": "pt"}))


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
    modes = _pooling_modes(json_files.parse_json(config, json_files.MAX_FOREIGN_BYTES))
    own: dict[str, Pooling] = {"mean": "mean", "cls": "cls"}
    if len(modes) != 1 or modes[0] not in own:
        found = " and ".join(modes)[:MAX_SHOWN] or "no pooling that is known"
        raise UsageError(f"head.pooling: {config} asks for {found}", hint='set pooling = "mean", "cls" or "model"')
    return own[modes[0]]


def _pooling_modes(settings: JsonObject) -> list[str]:
    """What sentence-transformers pools by: since 5.4 `pooling_mode`, one name or several; before, switches."""
    told = settings.get("pooling_mode")
    if told is None:
        switches = (name for name, on in settings.items() if name.startswith("pooling_mode_") and on is True)
        return [name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token") for name in switches]
    return [str(mode) for mode in (told if isinstance(told, list) else [told])]


def after_pooling(base: Path) -> list[str]:
    """Modules of an embedding model that act on its pooled vectors, which a head here is not given.

    Raises:
        UsageError: modules.json is no list of modules.
    """
    path = base / "modules.json"
    if not path.is_file():
        return []
    try:
        modules = json_files.loads(json_files.read_text(path, json_files.MAX_FOREIGN_BYTES))
        types = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path}: not the modules of an embedding model") from error
    later = types[types.index("Pooling") + 1 :] if "Pooling" in types else []
    # A linear head can do with vectors of any length, and most embedding models end with it.
    return [name for name in later if name != "Normalize"]


def read_config(folder: Path) -> JsonObject:
    """config.json of a model; empty where there is none."""
    config = folder / "config.json"
    return read_foreign(config, _Config)[1] if config.is_file() else {}


def is_decoder(folder: Path) -> bool:
    """Whether a model writes texts, by its architecture."""
    config = read_config(folder)
    named = () if config.get("is_encoder_decoder") else config.get("architectures") or ()
    return any(str(name).endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) for name in named)


def own_labels(folder: Path) -> list[str]:
    """The labels that a whole model names, in the order of its outputs; names that libraries make up say nothing."""
    named = read_config(folder).get("id2label") or {}
    own = [str(named[key]) for key in sorted(named, key=int)]
    return [] if all(label.startswith("LABEL_") for label in own) else own


def end_ids(folder: Path) -> list[int]:
    """Tokens that end a text, as a model's generation_config.json says, or else its config.json.

    Raises:
        Refused: They are no token ids.
    """
    generation = folder / "generation_config.json"
    told = [read_foreign(generation, _Ends)[1]] if generation.is_file() else []
    for table in (*told, *_text_configs(folder)):
        found = checked({"eos_token_id": table.get("eos_token_id")}, _Ends, str(folder)).eos_token_id
        if found is not None:
            return found if isinstance(found, list) else [found]
    return []


def positions(folder: Path) -> int | None:
    """How many tokens a model has places for; None where its config does not say."""
    for table in _text_configs(folder):
        for value in (table.get("max_position_embeddings"), table.get("n_positions")):
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                pad = table.get("pad_token_id", 1)
                return value - (pad + 1 if table.get("model_type") in AFTER_PADDING and isinstance(pad, int) else 0)
    return None


def vocabulary(folder: Path) -> int | None:
    """How many tokens a model's embeddings have; None where its config does not say."""
    sizes = (table.get("vocab_size") for table in _text_configs(folder))
    return next((size for size in sizes if isinstance(size, int) and not isinstance(size, bool)), None)


def _text_configs(folder: Path) -> list[JsonObject]:
    """config.json, and what it says of texts apart where the model reads something else, too."""
    config = read_config(folder)
    inner = config.get("text_config")
    return [config, *([inner] if isinstance(inner, Mapping) else [])]


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer of a model knows how a chat is written down."""
    config = folder / "tokenizer_config.json"
    told = (
        json_files.parse_json(config, json_files.MAX_FOREIGN_BYTES).get("chat_template") if config.is_file() else None
    )
    named = (
        [entry.get("name") for entry in told if isinstance(entry, Mapping)] if isinstance(told, list) else ["default"]
    )
    return (bool(told) and "default" in named) or (folder / "chat_template.jinja").is_file()


def read_adapter(folder: Path) -> JsonObject:
    """adapter_config.json of an adapter.

    Raises:
        UsageError: None is there, or it is no JSON.
        Refused: It is of another form, or far too large.
    """
    return read_foreign(folder / "adapter_config.json", _Adapter)[1]


def read_head(folder: Path) -> Head:
    """head.json of a head of ours.

    Raises:
        UsageError: None is there, or it is no JSON.
        Refused: It was edited, or does not hold together.
    """
    return read_record(folder / "head.json", "head", Head)[0]
