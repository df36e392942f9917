"""Base models: located in a folder, in an installed package or on a hub, and known by their content.

A package that carries a model is located but not imported.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seedband.errors import UsageError
from seedband.models.hub import HUB_NAME, from_hub
from seedband.models.model_config import read_config
from seedband.models.model_folders import COMMIT, weights_sha256
from seedband.models.readers import PROCESSOR, InputReader
from seedband.models.safety import check_safe
from seedband.recipe.scoring import Base
from seedband.storage import file_hashes, json_files
from seedband.storage.validation import a_path

#: Files beside the weights that scores depend on; the hash of them stands in records.
BESIDE = (
    "config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "*.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "additional_chat_templates/*",
    "generation_config.json",
    "1_Pooling/*",
    *PROCESSOR.files,
)
#: Files of tokenizers that `files_sha256` was not made of from the first.
FURTHER = (
    "*.codes",
    "*.bpe",
    "*.spm",
    "*.tiktoken",
    "*.tokenizer",
    "*[-_]vocab*",
    "dict*.txt",
    "emoji.json",
    "normalizer.json",
    "tekken.json",
    "word_*.json",
)
#: Keys of config.json that change no number of a model whose weights are the same.
NOTES = frozenset({
    "_commit_hash", "_name_or_path", "_num_labels", "architectures", "dtype", "finetuning_task",
    "gradient_checkpointing", "id2label", "label2id", "num_labels", "problem_type", "torch_dtype",
    "transformers_version", "use_cache",
})  # fmt: skip
#: Letters of a reference that a message shows.
MAX_SHOWN = 80


def locate_base(
    reference: str,
    revision: str | None,
    folder: Path,
    *,
    offline: bool,
    keys: tuple[str, str] = ("model.base", "model.revision"),
) -> Base:
    """Find a base model, or another one that takes no training, on this machine, or fetch it from the hub.

    Args:
        reference: package:<installed package>/<folder>, a folder, or a hub id.
        revision: Commit of a hub id.
        folder: Where relative folders start from.
        offline: Whether the hub must not be asked.
        keys: What the recipe calls reference and revision, for messages.

    Raises:
        UsageError: Not found, or a hub id without a commit.
        Refused: Only pickled weights, or code in the checkpoint.
        WorkFailed: The hub could not be reached.
    """
    key, key_of_revision = keys
    if not a_path(reference):
        raise UsageError(f"{key}: {reference[:MAX_SHOWN]!r} is neither a folder nor a hub id")
    if reference.startswith("package:"):
        path = _package_folder(reference, key)
    elif (folder / reference).is_dir():
        if revision is not None:
            raise UsageError(
                f"{key}: {folder / reference} is a folder, and {key_of_revision} is for hub ids",
                hint=f"remove {key_of_revision}, or the folder",
            )
        path = (folder / reference).resolve()
    elif HUB_NAME.fullmatch(reference):
        if revision is None or not COMMIT.fullmatch(revision):
            raise UsageError(
                f"{key}: {reference!r} is no folder here, and as a hub id it needs a commit",
                hint=f"set {key_of_revision} to 40 hexadecimal digits: a branch can change under the band",
            )
        path = from_hub(reference, revision, offline=offline)
    else:
        raise UsageError(f"{key}: no folder {folder / reference}, and {reference!r} is no hub id (org/name)")
    check_safe(path)
    return Base(reference, str(path), weights_sha256(path), files_sha256(path), further_sha256(path))


def _package_folder(reference: str, key: str) -> Path:
    package, _, inner = reference.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"{key}: no installed package {package!r}",
            hint=f"pip install {package.replace('_', '-')}, or give a folder or a hub id",
        )
    root = Path(next(iter(spec.submodule_search_locations))).resolve()
    path = (root / inner).resolve()
    if not path.is_relative_to(root) or not path.is_dir():
        raise UsageError(f"{key}: package {package!r} has no folder {inner!r}")
    return path


def files_sha256(folder: Path) -> str:
    """SHA-256 over the files beside the weights that scores depend on: config, tokenizer, image processor, pooling."""
    return json_files.digest(_hashes(folder, BESIDE))


def further_sha256(folder: Path) -> str:
    """SHA-256 over files that some tokenizers read beside those of `files_sha256`; empty where there are none.

    Apart from the others, since records of earlier releases know nothing of them.
    """
    found = _hashes(folder, FURTHER)
    return json_files.digest(found) if found else ""


def config_sha256(folder: Path) -> str:
    """SHA-256 over a model's config without what only describes it."""
    return json_files.digest({key: value for key, value in read_config(folder).items() if key not in NOTES})


def files_beside(folder: Path) -> list[Path]:
    """The files beside the weights that either hash is made of."""
    return sorted({*_found(folder, BESIDE), *_found(folder, FURTHER)})


def _hashes(folder: Path, patterns: Sequence[str]) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): file_hashes.sha256_of(path) for path in _found(folder, patterns)}


def _found(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def check_reads(path: Path, reader: InputReader) -> None:
    """Refuse a base that has no way to read what it shall learn from.

    Raises:
        UsageError: It has no such reader.
    """
    if any((path / name).is_file() for name in reader.files):
        return
    reason = "" if reader.needs_files else _no_tokenizer(path)
    if reader.needs_files or reason:
        raise UsageError(
            f"model.base: {path} has no {reader.name} (none of {', '.join(reader.files)})"
            + (f", and transformers cannot open another one: {reason}" if reason else ""),
            hint=f"save the {reader.name} of the model beside its weights",
        )


def _no_tokenizer(path: Path) -> str:
    """The reason why transformers cannot open a model's tokenizer; empty where it can."""
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        ids = tokenizer("a the 2", add_special_tokens=False)["input_ids"]
    except Exception as error:  # noqa: BLE001  whatever its files make transformers raise
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    # Without a vocabulary some classes open all the same, and know no word.
    return "" if {*ids} - {tokenizer.unk_token_id} else "it has no vocabulary"
