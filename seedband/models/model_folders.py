"""Folders of models: their weight files, and the records beside them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import MinLen

from seedband.errors import Refused
from seedband.models.pooling import Pooling
from seedband.models.tensor_files import header
from seedband.storage import file_hashes, json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import CHECKPOINT_KINDS, Known
from seedband.storage.validation import PathText, brief, read_foreign, read_record


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


ADAPTER_WEIGHTS = "adapter_model.safetensors"
HEAD_WEIGHTS = "head.safetensors"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: What makes a folder a checkpoint: of the built-in methods, and of a training script that saves a whole model.
CHECKPOINT = ("adapter_config.json", ADAPTER_WEIGHTS, "head.json", HEAD_WEIGHTS, "config.json", WEIGHTS, INDEX)
COMMIT = re.compile(r"[0-9a-f]{40}")


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
class _Index:
    """The index of a model's shards."""

    weight_map: Mapping[str, PathText] = field(default_factory=dict)


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a model's weights: of the file, or of its shards' hashes in the order of their names."""
    names = weight_files(folder)
    if names == [WEIGHTS]:
        return file_hashes.sha256_of(folder / WEIGHTS)
    return json_files.digest({name: file_hashes.sha256_of(folder / name) for name in names})


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


def tensor_names(base: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's tensors, from the headers alone."""
    return {key: shape for name in weight_files(base) for key, shape in header(base / name).items()}


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
