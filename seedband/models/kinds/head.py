"""Heads: the new tensors only, to be put on the base that they were trained on."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from seedband.errors import Refused
from seedband.models.checkpoints import checkpoint_tensors
from seedband.models.kinds import CheckpointKind
from seedband.models.loading import ModelTask, Network, pooled, with_new_head
from seedband.models.misfits import first_line
from seedband.models.model_folders import (
    HEAD_WEIGHTS,
    CheckpointFiles,
    read_head,
    tensor_names,
)
from seedband.models.shape_check import (
    check_shapes,
)
from seedband.recipe.scoring import Base
from seedband.storage.validation import brief


class Head(CheckpointKind):
    """A head that seedband trained."""

    name = "head"
    sign = "head.json"
    explained = "head.json (a head of seedband)"
    keeps_base = True

    def weights(self, folder: Path) -> list[str]:  # noqa: ARG002
        """One file."""
        return [HEAD_WEIGHTS]

    def check(self, files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask) -> None:  # noqa: ARG002
        """Hold its headers against the base's."""
        check_shapes(files.name, self.shapes(files), tensor_names(Path(base.path)), len(labels))

    def open(
        self, files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask, opened: dict[str, Network]
    ) -> Network:
        """Put it on a base that is opened once."""
        return _open_head(files, base, labels, task, opened)

    def settings(self, folder: Path) -> dict[str, object]:
        """Its pooling and labels."""
        head = read_head(folder)
        return {"pooling": head.pooling, "labels": list(head.labels)}

    def labels(self, folder: Path) -> list[str]:
        """As it was trained."""
        return list(read_head(folder).labels)

    def base_sha256(self, folder: Path) -> str:
        """As it was trained."""
        return read_head(folder).base_sha256

    def reads(self, folder: Path) -> str:
        """Its pooling."""
        return read_head(folder).pooling


def _open_head(
    files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask, opened: dict[str, Network]
) -> Network:
    pooling, tensors = read_head(Path(files.path)).pooling, dict(checkpoint_tensors(files))
    if pooling not in opened:
        load = partial(pooled, pooling=pooling, dropout=0.0) if pooling != "model" else task.load
        # Heads made when the base's own was kept where it fits hold less.
        network = load(base.path, labels)
        whole = with_new_head(network) if pooling == "model" else network
        opened[pooling] = network if set(tensors) == set(network.new) else whole
    network = opened[pooling]
    if set(tensors) != set(network.new):
        raise Refused(f"{files.name}: has tensors {brief(sorted(tensors))}, the head needs {sorted(network.new)}")
    try:
        network.module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise Refused(f"{files.name}: this head does not fit: {first_line(error)}") from error
    return network
