"""Kinds of checkpoints: what a folder holds, whether it fits a base, and how it is opened on it.

A kind is one file.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from seedband.models.loading import ModelTask, Network
from seedband.recipe.scoring import Base
from seedband.storage.registry import CHECKPOINT_KINDS

if TYPE_CHECKING:
    from seedband.models.model_folders import CheckpointFiles
    from seedband.models.shape_check import Shapes


class CheckpointKind(ABC):
    """What a kind of checkpoint answers, so that no other file has to know its name."""

    #: As records have it.
    name: ClassVar[str]
    #: The file that makes a folder one of this kind, and how messages explain it.
    sign: ClassVar[str]
    explained: ClassVar[str]
    #: Whether its weights replace the base's.
    whole: ClassVar[bool] = False
    #: Whether it leaves the base as it is, and reads its features.
    keeps_base: ClassVar[bool] = False

    @abstractmethod
    def weights(self, folder: Path) -> list[str]:
        """Names of the files that hold its tensors."""

    def shapes(self, files: "CheckpointFiles") -> "Shapes":
        """Names and shapes of its tensors, from headers alone.

        Raises:
            Refused: A weight file has no header that fits it.
            WorkFailed: It cannot be read.
        """
        from seedband.models.tensor_files import header

        folder = Path(files.path)
        return {name: shape for file in self.weights(folder) for name, shape in header(folder / file).items()}

    @abstractmethod
    def check(self, files: "CheckpointFiles", base: Base, labels: Sequence[str], task: ModelTask) -> None:
        """Refuse one whose headers and config do not fit the base, before any of its tensors is loaded.

        Raises:
            Refused: With the reasons.
        """

    @abstractmethod
    def open(
        self, files: "CheckpointFiles", base: Base, labels: Sequence[str], task: ModelTask, opened: dict[str, Network]
    ) -> Network:
        """Load one for scoring; `opened` holds what heads were put on before.

        Raises:
            Refused: It does not fit the base or the labels, or leaves tensors to chance.
        """

    @abstractmethod
    def settings(self, folder: Path) -> dict[str, object]:
        """Settings beside its tensors that decide what it computes."""

    def labels(self, folder: Path) -> list[str]:  # noqa: ARG002
        """Labels that it names itself, in the order of its outputs; none where it names none."""
        return []

    def base_sha256(self, folder: Path) -> str | None:  # noqa: ARG002
        """Hash of the base's weights as it has them on record."""
        return None

    def base_named(self, folder: Path) -> tuple[str, str | None] | None:  # noqa: ARG002
        """The base that its files name, and which revision; None where they name none."""
        return None

    def reads(self, folder: Path) -> str:  # noqa: ARG002
        """The part of a base that its outputs come from: "model", or a pooling."""
        return "model"


def find(name: str) -> CheckpointKind:
    """The kind of a name."""
    kind: CheckpointKind = CHECKPOINT_KINDS.find(name)()
    return kind


def detect(folder: Path) -> CheckpointKind | None:
    """The kind of the checkpoint in a folder: those of other packages are asked first, for they are the narrower."""
    names = [*sorted(CHECKPOINT_KINDS.installed()), *CHECKPOINT_KINDS.built_in]
    return next((kind for kind in map(find, names) if (folder / kind.sign).is_file()), None)


def explained() -> list[str]:
    """Describe how each kind is recognised, for messages."""
    return [find(name).explained for name in [*CHECKPOINT_KINDS.built_in, *sorted(CHECKPOINT_KINDS.installed())]]
