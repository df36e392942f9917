"""What a command reported under one seed, as it stands on record."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le, MinLen

from seedband.determinism.seeds import MAX_ROOT_SEED
from seedband.runs.layout import REPORTED
from seedband.storage.validation import Number, read_record


@dataclass(frozen=True)
class Reported:
    """What a command reported under one seed.

    Attributes:
        seed: Root seed.
        scores: Metric → score.
        versions: Of Python and of the packages of the job's process.
    """

    seed: Annotated[int, Ge(0), Le(MAX_ROOT_SEED)]
    scores: Annotated[Mapping[str, Number], MinLen(1)]
    versions: Mapping[str, str]


def read(folder: Path) -> Reported:
    """The record in a seed's folder.

    Raises:
        UsageError: Nothing: the seed is not finished.
        Refused: It was edited, or does not hold together.
    """
    return read_record(folder / REPORTED, "reported", Reported)[0]
