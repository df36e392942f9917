"""What scoring depends on, beside the checkpoint: the base, the data, and how they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from seedband.recipe.sections import EvaluatorSection, GenerationSection

#: How data files are read: "task", what each role's column is called (None where it has none), and a list of "slices".
Columns: TypeAlias = Mapping[str, str | Sequence[str] | None]


@dataclass(frozen=True)
class Base:
    """A base model as found on this machine.

    Attributes:
        reference: As the recipe names it.
        path: Folder on this machine.
        sha256: Of its weights.
        files_sha256: Of its config and tokenizer.
        further_sha256: Of files that some tokenizers read beside these; empty where there are none.
    """

    reference: str
    path: str
    sha256: str
    files_sha256: str
    further_sha256: str = ""


@dataclass(frozen=True)
class Scoring:
    """Everything a score depends on besides the checkpoint: the same for every run of a band and for `check`."""

    base: Base
    task: str
    max_length: int
    batch_size: int
    device: str
    labels: tuple[str, ...]
    eval_path: str
    columns: Columns
    evaluators: tuple[EvaluatorSection, ...]
    generation: GenerationSection
    #: Where relative paths and modules that evaluators name start.
    folder: str
    #: Files of the base whose hashes need not be taken again while they are the ones that were hashed.
    hashed: Mapping[str, tuple[tuple[int, int, int, int, int], str]] = field(default_factory=dict)

    @property
    def primary(self) -> str:
        """Name of the metric that gates."""
        return next(section.metric for section in self.evaluators if section.primary)
