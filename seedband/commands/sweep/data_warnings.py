"""Warnings about data: rows that say the same, columns that nobody reads, labels that may be one."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from seedband import tasks
from seedband.counts import counted, plural
from seedband.data.dataset import Duplicates, Items, duplicates, label_set, normalised, overlap
from seedband.data.row_diff import named
from seedband.recipe.sections import Recipe
from seedband.runs.slices import MAX_VALUES


class Repeats(NamedTuple):
    """Rows that say the same as another, after normalisation of case, space and form.

    Attributes:
        train: Among the training rows.
        eval: Among the eval rows.
        shared: Ids of eval rows that also stand in train.
    """

    train: Duplicates
    eval: Duplicates
    shared: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Counts of each kind, for records."""
        return {
            "eval_in_train": len(self.shared),
            "train_repeated": len(self.train.repeated),
            "train_conflicting": len(self.train.conflicting),
            "eval_repeated": len(self.eval.repeated),
            "eval_conflicting": len(self.eval.conflicting),
        }


def column_warnings(recipe: Recipe, train: Items) -> Iterator[str]:
    """Columns of text that are left out, and labels that may be one or none."""
    if train.unread:
        yield f"train: not read: {', '.join(train.unread)}; [data] names the columns that are"
    if tasks.find(recipe.model.task).outputs != "classes":
        return
    alike: dict[str, list[str]] = defaultdict(list)
    for label in label_set(train):
        alike[normalised(label)].append(label)
    for labels in alike.values():
        if len(labels) > 1:
            listed = " and ".join(map(repr, labels))
            yield f"train: labels {listed} differ by case or space alone: as they are, these are {len(labels)} classes"


def find_repeats(train: Items, evaluated: Items) -> Repeats:
    """Rows that say the same, within training and eval data and across."""
    return Repeats(duplicates(train), duplicates(evaluated), tuple(overlap(train, evaluated)))


def row_warnings(repeats: Repeats, evaluated: Items) -> Iterator[str]:
    """Rows that say the same, and slice columns of too many values."""
    for column, values in evaluated.slices.items():
        if (count := len(set(values))) > MAX_VALUES:
            yield f"slices: {column} has {count} values, a band keeps up to {MAX_VALUES}: show --by has them"
    if shared := len(repeats.shared):
        message = (
            f"{shared} of {counted(len(evaluated), 'eval item')} also {plural(shared, 'stands', 'stand')} in train"
        )
        message += f" ({named(repeats.shared)})"
        yield f"{message}: {plural(shared, 'its score is', 'their scores are')} too good"
    for part, found in (("train", repeats.train), ("eval", repeats.eval)):
        if found.repeated:
            count = len(found.repeated)
            what = counted(count, "row says", "rows say")
            one, many = ("it counts", "they count") if part == "eval" else ("it is learnt", "they are learnt")
            yield f"{part}: {what} what an earlier one says ({named(found.repeated)}): {plural(count, one, many)} twice"
        if found.conflicting:
            pairs = [f"{first} and {other}" for first, other in found.conflicting]
            what = counted(len(pairs), "pair of rows has", "pairs of rows have")
            yield f"{part}: {what} one input and two answers ({named(pairs)})"
