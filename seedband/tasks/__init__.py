"""Tasks: what a model learns to do, and with it how rows are read and encoded, what its loss is and what it predicts.

A task is one file. What anybody may ask of it is light; what trains and scores imports torch when it is called.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from seedband.data.rows import Reading
from seedband.data.text_lengths import TOKENS_PER_WORD, Lengths, lengths_of
from seedband.errors import Problem
from seedband.models.encoded import Lesson
from seedband.models.model_config import positions
from seedband.models.readers import TOKENIZER, InputReader
from seedband.recipe.scoring import Base
from seedband.recipe.sections import Recipe
from seedband.storage.registry import TASKS

if TYPE_CHECKING:
    from seedband.data.dataset import Items
    from seedband.models.loading import Network
    from seedband.recipe.scoring import Scoring

Outputs = Literal["classes", "texts"]


class Task(ABC):
    """What a task answers, so that no other file has to know its name."""

    #: As a recipe says it.
    name: ClassVar[str]
    #: What it reads of a row of a data file.
    reading: ClassVar[Reading]
    #: What it predicts.
    outputs: ClassVar[Outputs]
    #: What an evaluator of it may read.
    scored_by: ClassVar[tuple[str, ...]]
    #: The table of transformers that lists the types of models that do it, and what a model of them is called.
    architectures: ClassVar[tuple[str, str]]
    #: The class of transformers that opens a model for it.
    auto: ClassVar[str]
    #: What PEFT calls the task; None where it has no name for it.
    peft: ClassVar[str | None] = None
    #: Heads that PEFT trains and saves without being told.
    heads: ClassVar[frozenset[str]] = frozenset()
    #: Whether models of it are called otherwise on disk than once they are loaded.
    renamed: ClassVar[bool] = False
    #: What reads items for a model.
    reader: ClassVar[InputReader] = TOKENIZER
    #: Packages whose version decides what a model reads.
    decoders: ClassVar[tuple[str, ...]] = ()
    #: Whether the tokenizer also makes what is scored, so that its files matter beside the rows that it encodes.
    spells: ClassVar[bool] = False
    #: Whether rows of a batch are padded.
    pads: ClassVar[bool] = True
    #: The extra of the package that it needs.
    extra: ClassVar[str] = ""
    #: What the Hugging Face hub calls it.
    pipeline: ClassVar[str]
    #: A base to begin with, and the package that brings it.
    example: ClassVar[tuple[str, str]] = ("", "")

    # A recipe

    def problems(self, recipe: Recipe) -> list[Problem]:  # noqa: ARG002  most have none
        """Problems of a recipe of this task."""
        return []

    def base_problems(self, recipe: Recipe, base: Base) -> list[Problem]:  # noqa: ARG002
        """Reasons for which a base of a fitting type cannot do it all the same."""
        return []

    def length_problems(self, recipe: Recipe, base: Base) -> list[Problem]:
        """Rows that a model has no places for: some models crash over them, others make up places."""
        most, length = positions(Path(base.path)), recipe.model.max_length
        if most is None or length <= most:
            return []
        return [Problem("model.max_length", str(length), f"at most {most}, the positions of {base.reference}")]

    def check_items(self, items: "Items") -> None:  # noqa: B027  of most, rows that can be read are good
        """Refuse inputs that no model can be given.

        Raises:
            UsageError: With the first mistakes.
        """

    # A data file, for `init`

    @abstractmethod
    def recognise(self, survey: Any, said: Collection[str], *, generates: bool) -> int | None:
        """Confidence that a data file is meant for this task.

        Args:
            survey: The file, as `init` surveys it.
            said: Roles whose columns the user names.
            generates: Whether the model writes texts.

        Returns:
            0 where the user says so, more the less sure it is; None where nothing speaks for it.
        """

    def unfit(self, base: Path) -> str:  # noqa: ARG002
        """The reason why a base does not fit this task, as far as its folder shows at a glance; empty where it may."""
        return ""

    def lengths(self, items: "Items", base: Path) -> Lengths | None:
        """Lengths of rows in tokens; None where they have no length."""
        return lengths_of(items, base, answers=self.outputs == "texts")

    def tokens_per_row(self, inputs: Sequence[str], max_length: int, base: Path) -> float:  # noqa: ARG002
        """About how many tokens a row has, for a guess at what a run takes."""
        return min(max_length, TOKENS_PER_WORD * sum(len(text.split()) for text in inputs) / len(inputs))

    # A model

    @abstractmethod
    def load(self, path: str, labels: Sequence[str]) -> "Network":
        """A base, or a whole model, with what it takes to do the task."""

    @abstractmethod
    def encode(self, items: "Items", scoring: "Scoring", reader: Any = None) -> Lesson:
        """Rows as the base's tokenizer or image processor reads them, or another `reader`."""

    @abstractmethod
    def reads(self, lesson: Any, row: int) -> Mapping[str, Sequence[Any]]:
        """The inputs of the model for a row, by name."""

    @abstractmethod
    def encoded_sha256(self, lesson: Any) -> str:
        """SHA-256 of rows as a model reads them: of tokens, or pixels."""

    @abstractmethod
    def predict(self, network: "Network", lesson: Any, scoring: "Scoring", device: str) -> Any:
        """Predictions of a network for every row, in the order given; the same rows make the same batches for each."""

    def check_loaded(self, network: "Network") -> None:  # noqa: B027  most take what is loaded
        """Refuse a model of which a part would be drawn by chance where nothing trains it.

        Raises:
            UsageError: Its weights lack some.
        """

    def check_trainable(self, network: "Network", lesson: Any) -> None:  # noqa: B027
        """Refuse a model that would learn something else than what it is scored by.

        Raises:
            UsageError: It does.
        """

    def padded_wrongly(self, config: Any, tokenizer: Any) -> Literal["", "scoring", "training"]:  # noqa: ARG002
        """In what releases without a version of padding padded wrongly, by the config and tokenizer of a base."""
        return ""


def find(name: str) -> Task:
    """The task of a name.

    Raises:
        UsageError: Unknown name, or a name that two packages claim.
    """
    task: Task = TASKS.find(name)()
    return task
