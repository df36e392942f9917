"""A training command of the user's own: its arguments, and what is put into them for one seed."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from seedband.errors import Problem, WorkFailed
from seedband.recipe.sections import REPORTED, EvaluatorSection, Recipe, TrainSection
from seedband.storage import file_hashes

METHOD = "command"
#: Placeholder → the stream whose seed it is.
STREAM_SEEDS: Mapping[str, str] = {"init_seed": "init", "order_seed": "order", "dropout_seed": "dropout"}
#: Those that stand for files of the recipe, which a command that reports its scores does without.
OF_CHECKPOINTS = ("train", "eval", "base")
PLACEHOLDERS = ("seed", *STREAM_SEEDS, "out", *OF_CHECKPOINTS)
_PLACEHOLDER = re.compile(r"\{([a-zA-Z_]+)\}")
#: Keys of [train] that mean nothing to another method.
KEYS = ("command", "scores", "metrics", "timeout_s", "retries")
#: Those of them by which a command reports its own scores.
REPORTS = ("scores", "metrics")
#: What it may report them in.
SCORE_ENDINGS = (".json", ".csv")
#: Those that mean something to every method, this one included.
SHARED_KEYS = ("method", "device", "save_steps")
#: A file that a command names and that ends so is read by it, and must be there.
READ_ENDINGS = (".py", ".sh", ".toml", ".yaml", ".yml")
EXAMPLE = "python train.py --seed {seed} --out {out}"
#: Stream seeds have 63 bits; NumPy's and most libraries' have 32.
SEED_BITS = 31


def arguments_of(command: str | Sequence[str]) -> tuple[str, ...]:
    """A command as its arguments; a text is split as a shell would split it, and expanded by nobody.

    Raises:
        ValueError: A quotation without an end.

    Examples:
        >>> arguments_of("python train.py --name 'my run' --seed {seed}")
        ('python', 'train.py', '--name', 'my run', '--seed', '{seed}')
    """
    return tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with its placeholders replaced, once: what is put in is not looked into.

    Examples:
        >>> filled("--out={out}/{seed}", {"out": "runs/{seed}", "seed": "3"})
        '--out=runs/{seed}/3'
    """
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def program_of(name: str, folder: Path) -> str | None:
    """The path of a program; None where there is none.

    An environment that was not activated has its `python` beside the one that runs seedband, and not on the PATH.
    """
    if os.sep in name and not Path(name).is_absolute():
        return shutil.which(str(folder.absolute() / name))
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def stream_seed(seed: int) -> int:
    """A stream's seed as a script is given it: 31 bits, which every library takes."""
    return seed >> (63 - SEED_BITS)


def named_files(command: str | Sequence[str], folder: Path) -> dict[str, Path]:
    """Files that a command names, by argument: its script, its settings; the program itself only if it lies here.

    Args:
        command: As the recipe has it.
        folder: Where the command starts.
    """
    program, *others = arguments_of(command)
    candidates = [argument for argument in others if not _PLACEHOLDER.search(argument)]
    if "/" in program and not Path(program).is_absolute():
        candidates.insert(0, program)
    return {name: folder / name for name in candidates if (folder / name).is_file()}


def missing_files(command: str | Sequence[str], folder: Path) -> list[str]:
    """Scripts and settings that a command names, and that are not there."""
    names = [name for name in arguments_of(command)[1:] if name.endswith(READ_ENDINGS) and not name.startswith("-")]
    return [name for name in names if not _PLACEHOLDER.search(name) and not (folder / name).is_file()]


def check_unchanged(files: Mapping[str, str], folder: Path) -> None:
    """A script that is edited between two seeds would make them two recipes.

    Args:
        files: Files that a command names → SHA-256 of their content when the sweep began.
        folder: Where the command starts.

    Raises:
        WorkFailed: One has changed.
    """
    for name, sha256 in files.items():
        path = folder / name
        if not path.is_file() or file_hashes.file_sha256(path) != sha256:
            raise WorkFailed(f"{path} has changed since the sweep began", hint="give another --out, and sweep again")


def problems(recipe: Recipe) -> Iterator[Problem]:
    """Problems of a recipe's command, or of its keys where there is none."""
    section = recipe.train
    if section.method != METHOD:
        for key in _changed(section, KEYS):
            yield Problem(f"train.{key}", f'method "{section.method}"', 'method = "command", or no such key')
        return
    own = [field.name for field in fields(TrainSection) if field.name not in (*KEYS, *SHARED_KEYS)]
    others = [f"train.{key}" for key in _changed(section, own)]
    for name in ("lora", "head", "init"):
        table = getattr(recipe, name)
        others += [f"{name}.{key}" for key in _changed(table, [field.name for field in fields(table)])]
    for where in others:
        yield Problem(where, 'method "command"', "no such key: say it to your script, in train.command")
    yield from _command_problems(section, recipe)
    if recipe.reports:
        yield from _report_problems(recipe)


def local_problems(recipe: Recipe, start: Path) -> list[Problem]:
    """Problems of a training command on this machine: files and programs that are not there."""
    command = recipe.train.command
    if command is None:
        return []
    program, *_ = arguments_of(command)
    found = [
        Problem("train.command", f"{name}, which is no file in {start.absolute()}", "a path from the recipe's folder")
        for name in missing_files(command, start)
    ]
    if program_of(program, start) is None:
        found.append(Problem("train.command", f"{program!r}, which is no program here", "one that can be started"))
    return found


def hashes(recipe: Recipe, start: Path) -> dict[str, str]:
    """Files that a training command names → SHA-256 of their content."""
    named = {} if recipe.train.command is None else named_files(recipe.train.command, start)
    return {name: file_hashes.file_sha256(path) for name, path in named.items()}


def key_of(section: EvaluatorSection) -> str:
    """By what a command calls the score of a metric."""
    return section.evaluator.removeprefix(REPORTED)


def patterns_of(section: TrainSection, evaluate: Sequence[EvaluatorSection]) -> dict[str, str]:
    """Metric → the regular expression that finds its score in what a command prints; empty where a file has it."""
    if section.metrics is None:
        return {}
    if isinstance(section.metrics, str):
        return {evaluate[0].metric: section.metrics}
    return {entry.metric: section.metrics[key_of(entry)] for entry in evaluate}


def _report_problems(recipe: Recipe) -> Iterator[Problem]:
    """Problems of how a command reports its scores."""
    section = recipe.train
    if section.scores is not None and section.metrics is not None:
        yield Problem("train.metrics", "train.scores beside it", "one of them")
    if section.scores is not None:
        if "out" not in _PLACEHOLDER.findall(section.scores) or not section.scores.endswith(SCORE_ENDINGS):
            yield Problem("train.scores", repr(section.scores), 'a .json or .csv file in {out}, "{out}/metrics.json"')
        for name in sorted({*_PLACEHOLDER.findall(section.scores)} - {"out", "seed"}):
            yield Problem("train.scores", f"{{{name}}}", "{out} or {seed}")
    if recipe.log.mlflow is not None:
        yield Problem("log.mlflow", "an address", "no [log]: a sweep of reported scores is not logged")
    for index, entry in enumerate(recipe.evaluate, 1):
        if not entry.evaluator.startswith(REPORTED) or entry.evaluator == REPORTED:
            expected = f'"{REPORTED}<metric>", for the command reports the scores'
            yield Problem(f"evaluate[{index}].evaluator", repr(entry.evaluator), expected)
        for key, value in entry.args.items():
            if key != "higher_is_better" or not isinstance(value, bool):
                yield Problem(f"evaluate[{index}].args.{key}", repr(value), "higher_is_better, true or false")
    yield from _pattern_problems(section, [key_of(entry) for entry in recipe.evaluate])


def _pattern_problems(section: TrainSection, keys: Sequence[str]) -> Iterator[Problem]:
    if section.metrics is None:
        return
    if isinstance(section.metrics, str):
        if len(keys) != 1:
            yield Problem("train.metrics", "one expression", f"one for each metric: {', '.join(keys)}")
        patterns = {"train.metrics": section.metrics}
    else:
        for key in sorted({*section.metrics} ^ {*keys}):
            found = "nothing" if key in keys else "an expression for no metric"
            yield Problem(f"train.metrics.{key}", found, f"an expression for each metric: {', '.join(keys)}")
        patterns = {f"train.metrics.{key}": pattern for key, pattern in section.metrics.items()}
    for where, pattern in patterns.items():
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            yield Problem(where, f"{pattern!r}: {error}", "a regular expression")
        else:
            if groups != 1:
                yield Problem(where, f"{pattern!r}, which has {groups} groups", "one group: the number")


def _changed(section: Any, keys: Collection[str]) -> list[str]:
    """Keys of a section that do not have their default, as far as they have one."""
    defaults = {field.name: field.default for field in fields(section)}
    return [key for key in keys if getattr(section, key) != defaults[key]]


def _command_problems(section: TrainSection, recipe: Recipe) -> Iterator[Problem]:
    where = "train.command"
    if section.command is None:
        yield Problem(where, "nothing", f'what trains one seed, such as "{EXAMPLE}"')
        return
    try:
        arguments = arguments_of(section.command)
    except ValueError as error:
        yield Problem(where, str(error).lower(), "a command whose quotations end")
        return
    if not arguments or not all(arguments[:1]):
        yield Problem(where, "no program", f'what trains one seed, such as "{EXAMPLE}"')
        return
    used = {name for argument in arguments for name in _PLACEHOLDER.findall(argument)}
    known = [name for name in PLACEHOLDERS if name not in OF_CHECKPOINTS or not recipe.reports]
    for name in sorted(used - {*known}):
        yield Problem(where, f"{{{name}}}", f"of {', '.join(f'{{{entry}}}' for entry in known)}")
    if "out" not in used and section.metrics is None:
        yield Problem(where, "no {out}", f"{{out}}, the folder for its {'scores' if recipe.reports else 'checkpoint'}")
    yield from _seed_problems(used, recipe.seeds.vary)


def _seed_problems(used: Collection[str], vary: Collection[str]) -> Iterator[Problem]:
    """A command must be told of every stream that varies, and of no other."""
    where, whole = "train.command", {*vary} == {*STREAM_SEEDS.values()}
    lacking = [name for name, stream in STREAM_SEEDS.items() if stream in vary and name not in used]
    if "seed" in used:
        if not whole:
            instead = ", ".join(f"{{{name}}}" for name, stream in STREAM_SEEDS.items() if stream in vary)
            found = f"{{seed}} with seeds.vary = {', '.join(sorted(vary))}"
            yield Problem(where, found, f"{instead} in its place: {{seed}} varies every stream")
    elif whole and len(lacking) == len(STREAM_SEEDS):
        yield Problem(where, "no placeholder for a seed", "{seed}, or one for each stream of seeds.vary")
    elif lacking:
        found = ", ".join(f"no {{{name}}}" for name in lacking)
        yield Problem(where, found, "a placeholder for each stream of seeds.vary")
