"""A recipe against models, data and registries: every mistake at once, before any work."""

import math
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from seedband import evaluators, tasks, trainers
from seedband.commands.sweep.trust import trusted_folder, trusted_start
from seedband.counts import counted, plural
from seedband.data.data_files import locate
from seedband.data.dataset import Duplicates, Items, duplicates, label_set, load_items, normalised, overlap
from seedband.data.row_diff import named
from seedband.errors import Problem, Refused, UsageError
from seedband.models.bases import check_reads, locate_base
from seedband.models.initializers import HEAD, LORA
from seedband.models.model_config import has_chat_template
from seedband.recipe import train_command
from seedband.recipe.locations import on_hub
from seedband.recipe.parse import LoadedRecipe
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import EvaluatorSection, Recipe
from seedband.runs.slices import MAX_VALUES
from seedband.storage import file_hashes
from seedband.storage.registry import METHODS, Registry
from seedband.tasks import Task
from seedband.tasks.base_check import architecture_problems
from seedband.tasks.outputs import Predictions

T = TypeVar("T")
#: A label that is a number; so many whole numbers may be classes.
NUMBER, MAX_WHOLE = re.compile(r"-?\d+(\.\d+)?"), 10


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
        """How many there are of each kind, for records."""
        return {
            "eval_in_train": len(self.shared),
            "train_repeated": len(self.train.repeated),
            "train_conflicting": len(self.train.conflicting),
            "eval_repeated": len(self.eval.repeated),
            "eval_conflicting": len(self.eval.conflicting),
        }


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
        """What is no mistake but should be known."""
        told = (
            *trainers.find(self.recipe.train.method).warnings(self.recipe, self.scoring.base),
            *_warnings(self.repeats, self.eval_items),
        )
        return (*told, *_data_warnings(self.recipe, self.train_items))

    @property
    def provenance(self) -> dict[str, Any]:
        """Where runs come from: base and data, by content."""
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
    def _file(items: Items, reference: str) -> dict[str, Any]:
        """Where a data file lies, what is in a hub as it is called there, and its content."""
        path = reference if on_hub(reference) else str(items.path)
        return {"path": path, "sha256": items.sha256, "also": list(items.also)}

    def as_record(self) -> dict[str, Any]:
        """The recipe and where it comes from, as run.json and sweep.json record them."""
        return {"recipe": self.recipe.as_dict(), "provenance": self.provenance}


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
    base = _try(problems, lambda: locate_base(places["base"], recipe.model.revision, folder, offline=offline))
    start = trusted_folder(recipe, folder / places["folder"]) if "folder" in places else folder
    if "folder" in places and recipe.train.command is not None:
        start = trusted_start(recipe)
    train = _try(problems, lambda: load_items(locate(places["train"], folder, offline=offline), columns))
    evaluated = _try(problems, lambda: load_items(locate(places["eval"], folder, offline=offline), columns))
    problems += train_command.local_problems(recipe, start)
    problems += _registry_problems(recipe, start, train, evaluated, offline=offline)
    if base is not None:
        problems += _base_problems(recipe, base, task)
        problems += _chat_problems(base, [items for items in (train, evaluated) if items is not None])
    problems += _item_problems(task, [items for items in (train, evaluated) if items is not None])
    if train is not None and evaluated is not None and task.outputs == "classes":
        problems += _label_problems(train, evaluated)
    if problems or base is None or train is None or evaluated is None:
        raise UsageError(f"{counted(len(problems), 'mistake')} in what the recipe names", problems=problems)
    base = replace(base, reference=recipe.model.base)
    labels = label_set(train) if task.outputs == "classes" else ()
    scoring = scoring_for(recipe, base, labels, evaluated.path, start)
    references = (places["train"], places["eval"])
    repeats, hashes = _repeats(train, evaluated), train_command.hashes(recipe, start)
    return Prepared(recipe, scoring, train, evaluated, repeats, references, folder, hashes)


def scoring_for(recipe: Recipe, base: Base, labels: tuple[str, ...], eval_path: Path, start: Path) -> Scoring:
    """How a recipe's checkpoints are scored, on this machine; what its evaluators name starts at `start`."""
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
    """Which columns of the data files are used, and for what."""
    used = ("id", "slices", *tasks.find(recipe.model.task).reading.columns)
    return {"task": recipe.model.task, **{name: getattr(recipe.data, name) for name in used}}


def _try(problems: list[Problem], step: Callable[[], T]) -> T | None:
    """The step's result, or None and its mistakes added to the others'."""
    try:
        return step()
    except UsageError as error:
        where, _, found = error.message.partition(": ")
        single = Problem(where, found, "", error.hint) if found else Problem("recipe", where, "", error.hint)
        problems += error.problems or [single]
        return None


def _registry_problems(
    recipe: Recipe, start: Path, train: Items | None, evaluated: Items | None, *, offline: bool
) -> list[Problem]:
    problems: list[Problem] = []
    task = tasks.find(recipe.model.task)
    if _named("train.method", recipe.train.method, METHODS, problems):
        fitting = [name for name in METHODS.built_in if trainers.find(name).suits(task)]
        if recipe.train.method in METHODS.built_in:
            _named("train.method", recipe.train.method, fitting, problems)
        problems += trainers.find(recipe.train.method).problems(recipe)
    problems += task.problems(recipe)
    for index, section in enumerate(recipe.evaluate, 1):
        where = f"evaluate[{index}]"
        found = _evaluator_problems(where, section, recipe.model.task, start, evaluated, offline=offline)
        problems += found or _scorer_problems(where, section, train, evaluated)
    _named("init.lora", recipe.init.lora, LORA, problems)
    _named("init.head", recipe.init.head, HEAD, problems)
    return problems


def _evaluator_problems(
    where: str, section: EvaluatorSection, task: str, start: Path, evaluated: Items | None, *, offline: bool
) -> list[Problem]:
    key = "args" if section.args else "evaluator"
    try:
        evaluator = evaluators.build(section.evaluator, section.args, start)
        evaluator.check_ready(offline=offline)
    except UsageError as error:
        inner = [replace(problem, where=f"{where}: {problem.where}") for problem in error.problems]
        return inner or [Problem(f"{where}.{key}", error.message, "", error.hint)]
    if offline and evaluator.sends_to:
        found = f"{section.evaluator!r}, which sends data to {evaluator.sends_to}"
        return [Problem(f"{where}.evaluator", found, "an evaluator that works offline, or no --offline")]
    if evaluator.needs_context and evaluated is not None and evaluated.contexts is None:
        expected = f"the column of data.context: {section.evaluator} rests on it"
        return [Problem(evaluated.path.name, "rows without contexts", expected)]
    kind = tasks.find(task)
    if evaluator.reads in kind.scored_by:
        return []
    expected = f"an evaluator of {kind.outputs}, for {task} predicts them"
    return [Problem(f"{where}.evaluator", f"{section.evaluator!r}, which reads {evaluator.reads}", expected)]


def _scorer_problems(
    where: str, section: EvaluatorSection, train: Items | None, evaluated: Items | None
) -> list[Problem]:
    """Whether a scorer of scikit-learn takes these classes: asked with the right answer to every eval item."""
    if train is None or evaluated is None or not section.evaluator.startswith("sklearn:"):
        return []
    import numpy as np

    labels = label_set(train)
    if not {*evaluated.targets} <= {*labels}:
        return []  # told of each label
    targets = np.array([labels.index(target) for target in evaluated.targets])
    outputs = Predictions(targets, np.eye(len(labels))[targets])
    try:
        with warnings.catch_warnings(action="ignore"):
            evaluator = evaluators.build(section.evaluator, section.args)
            score = evaluators.as_scored(evaluator.score(evaluated, outputs), len(outputs)).score
        found = "" if math.isfinite(score) else f"it gives {score}"
    except Exception as error:  # noqa: BLE001  whatever the library raises, it will again when training is over
        found = f"{type(error).__name__}: {error}"
    if not found:
        return []
    expected = f"a scorer of {len(labels)} labels, for one ({', '.join(labels)}); sklearn:f1_macro is one"
    return [Problem(f"{where}.evaluator", f"{section.evaluator!r}: {found}", expected)]


def _named(where: str, name: str, known: Any, problems: list[Problem]) -> bool:
    if name in known:
        return True
    problems.append(
        Problem(
            where, repr(name), f"one of {', '.join(sorted(known.names() if isinstance(known, Registry) else known))}"
        )
    )
    return False


def _base_problems(recipe: Recipe, base: Base, task: Task) -> list[Problem]:
    expected = recipe.model.sha256
    if expected is not None and base.sha256 != expected.lower():
        raise Refused(
            f"model.base: {base.reference} has weights {base.sha256}, the recipe expects {expected}",
            hint="this is not the model that the recipe was written for",
        )
    problems: list[Problem] = []
    _try(problems, lambda: check_reads(Path(base.path), task.reader))
    if recipe.train.method not in METHODS:
        return problems + task.length_problems(recipe, base)
    method = trainers.find(recipe.train.method)
    any_body = method.takes_any_body(recipe, base)
    problems += architecture_problems(recipe, base, task, any_body=any_body) + task.length_problems(recipe, base)
    return problems + method.base_problems(recipe, base, task)


def _chat_problems(base: Base, data: Sequence[Items]) -> list[Problem]:
    if has_chat_template(Path(base.path)):
        return []
    expected = "prompt and completion, or a base that was tuned for chats"
    found = f"chats, and the tokenizer of {base.reference} has no chat template"
    return list(dict.fromkeys(Problem(items.path.name, found, expected) for items in data if items.chat))


def _item_problems(task: Task, data: Sequence[Items]) -> list[Problem]:
    """What is wrong with inputs, told once where it is not theirs."""
    problems: list[Problem] = []
    for items in data:
        _try(problems, lambda items=items: task.check_items(items))  # type: ignore[misc]
    return list(dict.fromkeys(problems))


def _label_problems(train: Items, evaluated: Items) -> list[Problem]:
    labels = label_set(train)
    problems = []
    if len(labels) < 2:  # noqa: PLR2004
        problems.append(Problem(train.path.name, f"only label {labels[0]!r}", "at least two labels"))
    if _on_a_scale(labels):
        found = f"{len(labels)} labels that are numbers on a scale, from {min(labels, key=float)}"
        expected = 'classes: put the numbers into a few classes, or train by a script of your own (method = "command")'
        return [*problems, Problem(train.path.name, f"{found} to {max(labels, key=float)}", expected)]
    unseen = [label for label in label_set(evaluated) if label not in labels]
    for label in unseen:
        row = evaluated.targets.index(label)
        problems.append(
            Problem(
                f"{evaluated.path.name}, item {evaluated.ids[row]}",
                f"label {label!r}, which train lacks",
                f"one of {', '.join(labels)}",
            )
        )
    return problems


def _data_warnings(recipe: Recipe, train: Items) -> Iterator[str]:
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


def _on_a_scale(labels: Sequence[str]) -> bool:
    """Whether labels are the values of a regression: many numbers, not all of them whole."""
    numbers = [label for label in labels if NUMBER.fullmatch(label.strip())]
    return len(numbers) == len(labels) > MAX_WHOLE and any(not float(number).is_integer() for number in numbers)


def _repeats(train: Items, evaluated: Items) -> Repeats:
    return Repeats(duplicates(train), duplicates(evaluated), tuple(overlap(train, evaluated)))


def _warnings(repeats: Repeats, evaluated: Items) -> Iterator[str]:
    for column, values in evaluated.slices.items():
        if (count := len(set(values))) > MAX_VALUES:
            yield f"slices: {column} has {count} values, a band keeps up to {MAX_VALUES}: show --by has them"
    if shared := len(repeats.shared):
        told = f"{shared} of {counted(len(evaluated), 'eval item')} also {plural(shared, 'stands', 'stand')} in train"
        told += f" ({named(repeats.shared)})"
        yield f"{told}: {plural(shared, 'its score is', 'their scores are')} too good"
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
