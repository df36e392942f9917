"""Whole models: every tensor is their own, and their architecture is the base's."""

from collections.abc import Sequence
from pathlib import Path

from seedband.counts import counted, first_of, plural
from seedband.errors import Refused
from seedband.models import foreign_folders
from seedband.models.build_check import check_build
from seedband.models.kinds import CheckpointKind
from seedband.models.loading import ModelTask, Network
from seedband.models.misfits import misfits_refused
from seedband.models.model_config import own_labels, read_config
from seedband.models.model_folders import CheckpointFiles, tensor_names, weight_files
from seedband.models.shape_check import (
    check_shapes,
)
from seedband.recipe.scoring import Base


class WholeModel(CheckpointKind):
    """A model as transformers saves it."""

    name = "model"
    sign = "config.json"
    explained = "config.json (a whole model)"
    whole = True

    def weights(self, folder: Path) -> list[str]:
        """One file, or its shards."""
        return weight_files(folder)

    def check(self, files: CheckpointFiles, base: Base, labels: Sequence[str], task: ModelTask) -> None:  # noqa: ARG002
        """Hold its build and headers against the base's."""
        found, own = self.shapes(files), tensor_names(Path(base.path))
        check_shapes(files.name, found, own, len(labels), check_build(files, base, found, own))

    def open(
        self,
        files: CheckpointFiles,
        base: Base,  # noqa: ARG002
        labels: Sequence[str],
        task: ModelTask,
        opened: dict[str, Network],  # noqa: ARG002
    ) -> Network:
        """Load it as a base is loaded; nothing of it may be drawn."""
        return _open_model(files, labels, task)

    def settings(self, folder: Path) -> dict[str, object]:
        """Its config."""
        return dict(read_config(folder))

    def labels(self, folder: Path) -> list[str]:
        """As its config names them."""
        return own_labels(folder)


def _open_model(files: CheckpointFiles, labels: Sequence[str], task: ModelTask) -> Network:
    with misfits_refused(f"{files.name}: this model cannot be opened"):
        network = task.load(files.path, labels)
    if network.new:
        hint = f"the band has {counted(len(labels), 'label')}; is this a base model, not a fine-tuned one?"
        if not labels:
            hint = "save it again by save_pretrained of the whole language model, its output layer included"
        if kind := foreign_folders.gives_vectors(Path(files.path)):
            hint = f"{kind.told}: {kind.mend}"
        n, names = len(network.new), first_of(network.new, "tensor")
        lost = f"{names} {plural(n, 'is', 'are')} missing or of another shape"
        raise Refused(f"{files.name}: {lost}, so {plural(n, 'it', 'they')} would be random", hint=hint)
    return network
