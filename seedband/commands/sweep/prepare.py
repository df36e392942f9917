"""A recipe against models, data and registries: every mistake at once, before any work."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from seedband import tasks, trainers
from seedband.commands.sweep.data_warnings import Repeats, column_warnings, find_repeats, row_warnings
from seedband.commands.sweep.recipe_problems import (
    attempt,
    base_problems,
    chat_problems,
    item_problems,
    label_problems,
    registry_problems,
)
from seedband.commands.sweep.trust import trusted_folder, trusted_start
from seedband.counts import counted
from seedband.data.data_files import locate
from seedband.data.dataset import Items, label_set, load_items
from seedband.errors import Problem, UsageError
from seedband.models.bases import locate_base
from seedband.recipe import train_command
from seedband.recipe.identity import RecordedRecipe
from seedband.recipe.locations import on_hub
from seedband.recipe.parse import LoadedRecipe
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import Recipe
from seedband.storage import file_hashes
from seedband.storage.json_files import JsonObject


@dataclass(frozen=True)
class Prepared:
    """A recipe that has been found sound, with everything it names resolved on this machine.

    Attributes:
        recipe: The recipe.
        scoring: How its checkpoints will be scored.
        train_items: Training rows.
        eval_items: Eval rows.
        repeats: Rows that say the same.
        references: Training rows and eval rows as the recipe names them.
        folder: Where relative paths in the recipe start from.
        command_files: Files that a training command names → SHA-256 of their content.
    """

    recipe: Recipe
    scoring: Scoring
    train_items: Items
    eval_items: Items
    repeats: Repeats
    references: tuple[str, str]
    folder: Path
    command_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings: no mistakes, but worth knowing."""
        told = (
            *trainers.find(self.recipe.train.method).warnings(self.recipe, self.scoring.base),
            *row_warnings(self.repeats, self.eval_items),
        )
        return (*told, *column_warnings(self.recipe, self.train_items))

    @property
    def provenance(self) -> JsonObject:
        """Base and data of the runs, by content."""
        data = self.recipe.data
        return {
            "base": asdict(self.scoring.base) | {"revision": self.recipe.model.revision},
            "data": {
                "name": data.name,
                "version": data.version,
                "train": self._file(self.train_items, self.references[0]),
                "eval": self._file(self.eval_items, self.references[1]),
                "n_train": len(self.train_items),
                "n_eval": len(self.eval_items),
                "repeats": self.repeats.counts,
                "columns": dict(self.scoring.columns),
            },
            "folder": self.scoring.folder,
            **({"command": dict(self.command_files)} if self.recipe.train.command is not None else {}),
        }

    @staticmethod
    def _file(items: Items, reference: str) -> JsonObject:
        """Path and content of a data file; a file of a hub keeps its name there."""
        path = reference if on_hub(reference) else str(items.path)
        return {"path": path, "sha256": items.sha256, "also": list(items.also)}

    @property
    def recorded(self) -> RecordedRecipe:
        """The recipe and where it comes from, as run.json and sweep.json record them."""
        return RecordedRecipe(self.recipe.as_dict(), self.provenance)


def prepare(loaded: LoadedRecipe, *, offline: bool) -> Prepared:
    """Check a recipe against the world.

    Raises:
        UsageError: With every mistake in `problems`.
        Refused: The base's weights are pickled, carry code, or are not those that the recipe names.
    """
    recipe, folder, _ = loaded
    written = {"base": recipe.model.base, "train": recipe.data.train, "eval": recipe.data.eval}
    places = {**written, **loaded.places}
    problems: list[Problem] = []
    columns, task = columns_of(recipe), tasks.find(recipe.model.task)
    base = attempt(problems, lambda: locate_base(places["base"], recipe.model.revision, folder, offline=offline))
    start = trusted_folder(recipe, folder / places["folder"]) if "folder" in places else folder
    if "folder" in places and recipe.train.command is not None:
        start = trusted_start(recipe)
    train = attempt(problems, lambda: load_items(locate(places["train"], folder, offline=offline), columns))
    evaluated = attempt(problems, lambda: load_items(locate(places["eval"], folder, offline=offline), columns))
    problems += train_command.local_problems(recipe, start)
    problems += registry_problems(recipe, start, train, evaluated, offline=offline)
    if base is not None:
        problems += base_problems(recipe, base, task)
        problems += chat_problems(base, [items for items in (train, evaluated) if items is not None])
    problems += item_problems(task, [items for items in (train, evaluated) if items is not None])
    if train is not None and evaluated is not None and task.outputs == "classes":
        problems += label_problems(train, evaluated)
    if problems or base is None or train is None or evaluated is None:
        raise UsageError(f"{counted(len(problems), 'mistake')} in what the recipe names", problems=problems)
    base = replace(base, reference=recipe.model.base)
    labels = label_set(train) if task.outputs == "classes" else ()
    scoring = scoring_for(recipe, base, labels, evaluated.path, start)
    references = (places["train"], places["eval"])
    repeats, hashes = find_repeats(train, evaluated), train_command.hashes(recipe, start)
    return Prepared(recipe, scoring, train, evaluated, repeats, references, folder, hashes)


def scoring_for(recipe: Recipe, base: Base, labels: tuple[str, ...], eval_path: Path, start: Path) -> Scoring:
    """The scoring of a recipe's checkpoints on this machine; what its evaluators name starts at `start`."""
    return Scoring(
        base=base,
        task=recipe.model.task,
        max_length=recipe.model.max_length,
        batch_size=recipe.score.batch_size,
        device=recipe.train.device,
        labels=labels,
        eval_path=str(eval_path),
        columns=columns_of(recipe),
        evaluators=recipe.evaluate,
        generation=recipe.generation,
        folder=str(start.absolute()),
        hashed=file_hashes.remembered(Path(base.path)),
    )


def columns_of(recipe: Recipe) -> dict[str, Any]:
    """The columns of the data files that are used, and for what."""
    used = ("id", "slices", *tasks.find(recipe.model.task).reading.columns)
    return {"task": recipe.model.task, **{name: getattr(recipe.data, name) for name in used}}
