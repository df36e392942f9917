"""Cache keys: what the rows of a data file are, as far as features of them depend on it."""

from importlib.metadata import version
from typing import Any

from seedband import tasks
from seedband.data.dataset import Items
from seedband.recipe.scoring import Scoring
from seedband.storage import json_files


def rows_key(scoring: Scoring, items: Items) -> tuple[Any, ...]:
    """The key of cached features: the base, the rows, and how they are read.

    Of a row all is taken that may be read of it: a language model sees a completion behind its prompt.
    """
    base, read = scoring.base, [list(items.contents), list(items.targets), items.chat]
    read += [version(package) for package in tasks.find(scoring.task).decoders]
    return (
        base.sha256,
        base.files_sha256,
        base.further_sha256,
        scoring.task,
        scoring.max_length,
        json_files.digest(read),
    )
