"""Problems of a recipe: what it names against registries, base and data, every mistake at once."""

import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from seedband import evaluators, tasks, trainers
from seedband.data.dataset import Items, label_set
from seedband.errors import Problem, Refused, UsageError
from seedband.models.bases import check_reads
from seedband.models.initializers import HEAD, LORA
from seedband.models.model_config import has_chat_template
from seedband.recipe.scoring import Base
from seedband.recipe.sections import EvaluatorSection, Recipe
from seedband.storage.registry import METHODS, Registry
from seedband.tasks import Task
from seedband.tasks.base_check import architecture_problems
from seedband.tasks.outputs import Predictions

T = TypeVar("T")


#: A label that is a number; so many whole numbers may be classes.
NUMBER, MAX_WHOLE = re.compile(r"-?\d+(\.\d+)?"), 10


def attempt(problems: list[Problem], step: Callable[[], T]) -> T | None:
    """The step's result, or None and its mistakes added to the others'."""
    try:
        return step()
    except UsageError as error:
        where, _, found = error.message.partition(": ")
        single = Problem(where, found, "", error.hint) if found else Problem("recipe", where, "", error.hint)
        problems += error.problems or [single]
        return None


def registry_problems(
    recipe: Recipe, start: Path, train: Items | None, evaluated: Items | None, *, offline: bool
) -> list[Problem]:
    """Names that no registry knows, and methods, evaluators and tasks that do not fit each other."""
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
    """Check whether a scorer of scikit-learn takes these classes: asked with the right answer to every eval item."""
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


def base_problems(recipe: Recipe, base: Base, task: Task) -> list[Problem]:
    """Reasons why the recipe cannot train a base.

    Raises:
        Refused: Its weights are not those that the recipe names.
    """
    expected = recipe.model.sha256
    if expected is not None and base.sha256 != expected.lower():
        raise Refused(
            f"model.base: {base.reference} has weights {base.sha256}, the recipe expects {expected}",
            hint="this is not the model that the recipe was written for",
        )
    problems: list[Problem] = []
    attempt(problems, lambda: check_reads(Path(base.path), task.reader))
    if recipe.train.method not in METHODS:
        return problems + task.length_problems(recipe, base)
    method = trainers.find(recipe.train.method)
    any_body = method.takes_any_body(recipe, base)
    problems += architecture_problems(recipe, base, task, any_body=any_body) + task.length_problems(recipe, base)
    return problems + method.base_problems(recipe, base, task)


def chat_problems(base: Base, data: Sequence[Items]) -> list[Problem]:
    """Chats as data of a base without a chat template."""
    if has_chat_template(Path(base.path)):
        return []
    expected = "prompt and completion, or a base that was tuned for chats"
    found = f"chats, and the tokenizer of {base.reference} has no chat template"
    return list(dict.fromkeys(Problem(items.path.name, found, expected) for items in data if items.chat))


def item_problems(task: Task, data: Sequence[Items]) -> list[Problem]:
    """Problems of the inputs, each once where it is not about one input."""
    problems: list[Problem] = []
    for items in data:
        attempt(problems, lambda items=items: task.check_items(items))  # type: ignore[misc]
    return list(dict.fromkeys(problems))


def label_problems(train: Items, evaluated: Items) -> list[Problem]:
    """Labels that are no classes, or that training data lack."""
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


def _on_a_scale(labels: Sequence[str]) -> bool:
    """Check whether labels are the values of a regression: many numbers, not all of them whole."""
    numbers = [label for label in labels if NUMBER.fullmatch(label.strip())]
    return len(numbers) == len(labels) > MAX_WHOLE and any(not float(number).is_integer() for number in numbers)
