"""A recipe against models, data and registries: every mistake at once, before any work."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from seedband import commands, evaluators, store, tasks, trainers
from seedband.datafiles import locate
from seedband.dataset import IMAGES, Duplicates, Items, duplicates, label_set, load_items, overlap
from seedband.errors import Problem, Refused, UsageError
from seedband.images import check_images
from seedband.initializers import HEAD, LORA
from seedband.models import (
    check_reads,
    has_chat_template,
    locate_base,
    positions,
    read_config,
    resolve_pooling,
    tensor_names,
)
from seedband.networks import loaded_shapes
from seedband.predictions import Predictions
from seedband.provenance import on_hub
from seedband.recipe import LoadedRecipe, find_config, load_recipe
from seedband.records import Base, EvaluatorSection, Recipe, Scoring
from seedband.row_changes import named
from seedband.rows import READINGS
from seedband.slices import MAX_VALUES

T = TypeVar("T")
#: For a guess at the time of a run: what a CPU thread computes a second, a job's start, and a language's tokens.
FLOPS_PER_THREAD = 2.5e10
START_S = 12.0
TOKENS_PER_WORD = 1.4
#: Of an image whose model does not say it: ViT-B/16's.
PATCHES = 196


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
        return tuple(_warnings(self.repeats, self.eval_items))

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
    def _file(items: Items, reference: str) -> dict[str, str]:
        """Where a data file lies, what is in a hub as it is called there, and its content."""
        return {"path": reference if on_hub(reference) else str(items.path), "sha256": items.sha256}

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
    columns = columns_of(recipe)
    base = _try(problems, lambda: locate_base(places["base"], recipe.model.revision, folder, offline=offline))
    start = trusted_folder(recipe, folder / places["folder"]) if "folder" in places else folder
    if "folder" in places and recipe.train.command is not None:
        start = _trusted_start(recipe)
    train = _try(problems, lambda: load_items(locate(places["train"], folder, offline=offline), columns))
    evaluated = _try(problems, lambda: load_items(locate(places["eval"], folder, offline=offline), columns))
    problems += command_problems(recipe, start)
    problems += _registry_problems(recipe, start, train, evaluated, offline=offline)
    if base is not None:
        problems += _base_problems(recipe, base)
        problems += _chat_problems(base, [items for items in (train, evaluated) if items is not None])
    if recipe.model.task == IMAGES:
        problems += _image_problems([items for items in (train, evaluated) if items is not None])
    if train is not None and evaluated is not None and tasks.BUILT_IN[recipe.model.task].outputs == "classes":
        problems += _label_problems(train, evaluated)
    if problems or base is None or train is None or evaluated is None:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise UsageError(f"{count} in what the recipe names", problems=problems)
    base = replace(base, reference=recipe.model.base)
    labels = label_set(train) if tasks.BUILT_IN[recipe.model.task].outputs == "classes" else ()
    scoring = scoring_for(recipe, base, labels, evaluated.path, start)
    references = (places["train"], places["eval"])
    repeats, hashes = _repeats(train, evaluated), command_hashes(recipe, start)
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
    )


def trusted_folder(recipe: Recipe, recorded: Path, own: Path | None = None) -> Path:
    """Where what the evaluators of a recipe on record name starts: modules, models, tasks.

    A record may come from anywhere. Evaluators that run code or send data elsewhere are asked only where a recipe that
    lies here names them, with the same arguments, and code is that recipe's.

    Args:
        recipe: From a record.
        recorded: Where its own folder was.
        own: A recipe of the user's own; the one of the working directory unless said.

    Raises:
        Refused: An evaluator that no recipe here names.
    """
    wanting = [section for section in recipe.evaluate if evaluators.needs_trust(section.evaluator)]
    if not wanting:
        return recorded
    named = ", ".join(section.evaluator for section in wanting)
    what = f"{named} runs code or sends data elsewhere, and a record alone cannot make it run"
    try:
        here = load_recipe(find_config(Path()) if own is None else own)
    except UsageError as error:
        raise Refused(f"{what}: {error.message}", hint="go where your recipe lies, or name it with --recipe") from error
    for section in wanting:
        known = [own.args for own in here.recipe.evaluate if own.evaluator == section.evaluator]
        if section.args not in known:
            told = f" like this: {_changed(section.args, known[0])}" if known else ""
            raise Refused(
                f"{what}: {section.evaluator} stands in no recipe of {here.folder.absolute()}{told}",
                hint="sweep again under the recipe as it is now, or name the one that the record comes from: --recipe",
            )
    return here.folder


def _trusted_start(recipe: Recipe) -> Path:
    """Where the command of a recipe on record starts: in the folder of a recipe of the user's own that has the same.

    Raises:
        Refused: There is none, and a record may come from anywhere.
    """
    what = "train.command runs a program, and a record alone cannot make it run"
    hint = "go where your recipe lies, or name it: --config of reproduce, --recipe of check"
    try:
        here = load_recipe(find_config(Path()))
    except UsageError as error:
        raise Refused(f"{what}: {error.message}", hint=hint) from error
    if here.recipe.train.command != recipe.train.command:
        raise Refused(f"{what}: the recipe of {here.folder.absolute()} has another one, or none", hint=hint)
    return here.folder


def command_problems(recipe: Recipe, start: Path) -> list[Problem]:
    """What a training command names and is not there."""
    command = recipe.train.command
    if command is None:
        return []
    program, *_ = commands.arguments_of(command)
    found = [
        Problem("train.command", f"{name}, which is no file in {start.absolute()}", "a path from the recipe's folder")
        for name in commands.missing_files(command, start)
    ]
    if commands.program_of(program, start) is None:
        found.append(Problem("train.command", f"{program!r}, which is no program here", "one that can be started"))
    return found


def command_hashes(recipe: Recipe, start: Path) -> dict[str, str]:
    """Files that a training command names → SHA-256 of their content."""
    named = {} if recipe.train.command is None else commands.named_files(recipe.train.command, start)
    return {name: store.file_sha256(path) for name, path in named.items()}


def _changed(recorded: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Arguments that stand otherwise on record than in the recipe here."""
    told = {
        key: [store.canonical(args[key]) if key in args else "not said" for args in (recorded, ours)]
        for key in sorted(recorded.keys() | ours.keys())
    }
    return ", ".join(f"{key} is {then} on record, {now} here" for key, (then, now) in told.items() if then != now)


class Cost(NamedTuple):
    """What a run will take.

    Attributes:
        steps: Optimizer steps; None where only a script of the user's knows.
        bytes_per_run: Disk that a run fills, about; likewise.
        seconds_per_run: Time to train it, about; likewise.
        seconds_from: How the time is known.
    """

    steps: int | None
    bytes_per_run: int | None
    seconds_per_run: float | None
    seconds_from: str


def estimate(prepared: Prepared, seconds_before: Sequence[float] = ()) -> Cost:
    """What a run will take, from the seconds of runs before it, else from the size of model and data."""
    recipe, section = prepared.recipe, prepared.recipe.train
    if section.command is not None:
        known = sum(seconds_before) / len(seconds_before) if seconds_before else None
        return Cost(None, None, known, "from the runs that are finished" if seconds_before else "known after one run")
    shapes = tensor_names(Path(prepared.scoring.base.path))
    matrices = [shape for name, shape in shapes.items() if len(shape) == 2 and "embedding" not in name]  # noqa: PLR2004
    steps = section.planned_steps(len(prepared.train_items))
    adapter = sum(recipe.lora.r * sum(shape) for name, shape in shapes.items() if _targeted(name, shape, recipe))
    head = len(prepared.scoring.labels) * max((shape[1] for shape in matrices), default=0)
    rows = len(prepared.eval_items) * (8 * len(prepared.scoring.labels) + 64)
    size = 4 * (adapter + head) + rows + 200 * steps
    if seconds_before:
        return Cost(steps, size, sum(seconds_before) / len(seconds_before), "from the runs that are finished")
    tokens = _tokens(prepared)
    rows_seen = steps * section.batch_size * section.gradient_accumulation
    passes = 1 / steps if section.method == "head" else 2.0
    flops = 2 * (1 + passes) * sum(math.prod(shape) for shape in matrices) * tokens * rows_seen
    return Cost(
        steps, size, START_S + flops / (FLOPS_PER_THREAD * recipe.determinism.threads), "a rough guess, for CPU"
    )


def _tokens(prepared: Prepared) -> float:
    """Tokens of a row, about: words, or patches of an image."""
    model, texts = prepared.recipe.model, prepared.train_items.inputs
    if model.task == IMAGES:
        config = read_config(Path(prepared.scoring.base.path))
        size, patch = config.get("image_size"), config.get("patch_size")
        if isinstance(size, int) and isinstance(patch, int) and patch > 0:
            return (size / patch) ** 2
        return PATCHES
    words = sum(len(text.split()) for text in texts)
    return min(model.max_length, TOKENS_PER_WORD * words / len(texts))


def _matches(module: str, target: str) -> bool:
    """Whether a target names a module, by the end of its path, as PEFT does."""
    return f".{module}".endswith(f".{target}")


def _targeted(name: str, shape: tuple[int, ...], recipe: Recipe) -> bool:
    targets = recipe.lora.target_modules
    module = name.removesuffix(".weight")
    if recipe.train.method != "lora" or len(shape) != 2 or not name.endswith(".weight"):  # noqa: PLR2004
        return False
    return isinstance(targets, str) or any(_matches(module, target) for target in targets)


def columns_of(recipe: Recipe) -> dict[str, Any]:
    """Which columns of the data files are used, and for what."""
    used = ("id", "slices", *READINGS[recipe.model.task].columns)
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
    task = tasks.BUILT_IN[recipe.model.task]
    method = recipe.train.method
    if _named("train.method", method, trainers.known(), problems) and method in trainers.BUILT_IN:
        _named("train.method", method, task.methods, problems)
    problems += _train_problems(recipe)
    for index, section in enumerate(recipe.evaluate, 1):
        where = f"evaluate[{index}]"
        found = _evaluator_problems(where, section, recipe.model.task, start, evaluated, offline=offline)
        problems += found or _scorer_problems(where, section, train, evaluated)
    _named("init.lora", recipe.init.lora, LORA, problems)
    _named("init.head", recipe.init.head, HEAD, problems)
    return problems


def _train_problems(recipe: Recipe) -> list[Problem]:
    problems = []
    if recipe.train.gradient_checkpointing and recipe.train.method == "head":
        expected = "false: of a frozen backbone nothing is kept for a backward pass"
        problems.append(Problem("train.gradient_checkpointing", 'true with method "head"', expected))
    if recipe.model.task == "causal-lm" and recipe.model.max_length == 1:
        problems.append(Problem("model.max_length", "1", "at least 2: a token of the prompt and one of its completion"))
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
    kind = tasks.BUILT_IN[task]
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
    problems.append(Problem(where, repr(name), f"one of {', '.join(sorted(known))}"))
    return False


def _base_problems(recipe: Recipe, base: Base) -> list[Problem]:
    expected = recipe.model.sha256
    if expected is not None and base.sha256 != expected.lower():
        raise Refused(
            f"model.base: {base.reference} has weights {base.sha256}, the recipe expects {expected}",
            hint="this is not the model that the recipe was written for",
        )
    problems: list[Problem] = []
    _try(problems, lambda: check_reads(Path(base.path), images=recipe.model.task == IMAGES))
    if recipe.train.method == "head":
        try:
            resolve_pooling(recipe.head.pooling, Path(base.path))
        except UsageError as error:
            problems.append(Problem("head.pooling", error.message, error.hint))
    problems += _length_problems(recipe, base)
    return problems + (_target_problems(recipe, base) if recipe.train.method == "lora" else [])


def _length_problems(recipe: Recipe, base: Base) -> list[Problem]:
    """Texts that a model has no places for: some models crash over them, others make up places that they never saw."""
    most = positions(Path(base.path))
    if recipe.model.task == IMAGES or most is None:
        return []
    length, more = recipe.model.max_length, recipe.generation.max_new_tokens
    if recipe.model.task != "causal-lm":
        expected = f"at most {most}, the positions of {base.reference}"
        return [Problem("model.max_length", str(length), expected)] if length > most else []
    if length + more <= most:
        return []
    found = f"{length}, and generation.max_new_tokens = {more}: {length + more} together"
    return [Problem("model.max_length", found, f"at most {most} together, the positions of {base.reference}")]


def _chat_problems(base: Base, data: Sequence[Items]) -> list[Problem]:
    if has_chat_template(Path(base.path)):
        return []
    expected = "prompt and completion, or a base that was tuned for chats"
    found = f"chats, and the tokenizer of {base.reference} has no chat template"
    return list(dict.fromkeys(Problem(items.path.name, found, expected) for items in data if items.chat))


def _target_problems(recipe: Recipe, base: Base) -> list[Problem]:
    targets = recipe.lora.target_modules
    if isinstance(targets, str):
        return _pattern_problems(targets)
    # Models of images are renamed while they are loaded, and PEFT sees the new names.
    shapes = loaded_shapes(base.path) if recipe.model.task == IMAGES else tensor_names(Path(base.path))
    modules = [
        name.removesuffix(".weight") for name, shape in shapes.items() if name.endswith(".weight") and len(shape) > 1
    ]
    unmatched = [target for target in targets if not any(_matches(module, target) for module in modules)]
    endings = sorted({module.rpartition(".")[2] for module in modules})
    return [
        Problem("lora.target_modules", f"{target!r}, which matches no module", f"of {', '.join(endings)}")
        for target in unmatched
    ]


def _pattern_problems(target: str) -> list[Problem]:
    if target == "all-linear":
        return []
    return [Problem("lora.target_modules", repr(target), 'a list of names, or "all-linear"')]


def _image_problems(data: Sequence[Items]) -> list[Problem]:
    """What is wrong with images, told once where it is not theirs."""
    problems: list[Problem] = []
    for items in data:
        _try(problems, lambda items=items: check_images(items.ids, items.inputs, items.path))  # type: ignore[misc]
    return list(dict.fromkeys(problems))


def _label_problems(train: Items, evaluated: Items) -> list[Problem]:
    labels = label_set(train)
    problems = []
    if len(labels) < 2:  # noqa: PLR2004
        problems.append(Problem(train.path.name, f"only label {labels[0]!r}", "at least two labels"))
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


def _repeats(train: Items, evaluated: Items) -> Repeats:
    return Repeats(duplicates(train), duplicates(evaluated), tuple(overlap(train, evaluated)))


def _warnings(repeats: Repeats, evaluated: Items) -> Iterator[str]:
    for column, values in evaluated.slices.items():
        if (count := len(set(values))) > MAX_VALUES:
            yield f"slices: {column} has {count} values, a band keeps up to {MAX_VALUES}: show --by has them"
    if repeats.shared:
        told = f"{len(repeats.shared)} of {len(evaluated)} eval items also stand in train ({named(repeats.shared)})"
        yield f"{told}: their scores are too good"
    for part, found in (("train", repeats.train), ("eval", repeats.eval)):
        if found.repeated:
            count = len(found.repeated)
            what = "1 row says" if count == 1 else f"{count} rows say"
            counts = "they count twice" if part == "eval" else "they are learnt twice"
            yield f"{part}: {what} what an earlier one says ({named(found.repeated)}): {counts}"
        if found.conflicting:
            pairs = [f"{first} and {other}" for first, other in found.conflicting]
            what = "1 pair of rows has" if len(pairs) == 1 else f"{len(pairs)} pairs of rows have"
            yield f"{part}: {what} one input and two answers ({named(pairs)})"
