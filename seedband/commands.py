"""A training command of the user's own: its arguments, and what is put into them for one seed."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from seedband.errors import Problem
from seedband.records import Recipe, TrainSection

METHOD = "command"
#: Placeholder → the stream whose seed it is.
STREAM_SEEDS: Mapping[str, str] = {"init_seed": "init", "order_seed": "order", "dropout_seed": "dropout"}
PLACEHOLDERS = ("seed", *STREAM_SEEDS, "out", "train", "eval", "base")
_PLACEHOLDER = re.compile(r"\{([a-zA-Z_]+)\}")
#: Keys of [train] that mean nothing to another method.
KEYS = ("command", "timeout_s", "retries")
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


def problems(recipe: Recipe) -> Iterator[Problem]:
    """What is wrong with a recipe's command, or with its keys where there is none."""
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
    yield from _command_problems(section, recipe.seeds.vary)


def _changed(section: Any, keys: Collection[str]) -> list[str]:
    """Keys of a section that do not have their default, as far as they have one."""
    defaults = {field.name: field.default for field in fields(section)}
    return [key for key in keys if getattr(section, key) != defaults[key]]


def _command_problems(section: TrainSection, vary: Collection[str]) -> Iterator[Problem]:
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
    for name in sorted(used - {*PLACEHOLDERS}):
        yield Problem(where, f"{{{name}}}", f"of {', '.join(f'{{{known}}}' for known in PLACEHOLDERS)}")
    if "out" not in used:
        yield Problem(where, "no {out}", "{out}, the folder for its checkpoint")
    yield from _seed_problems(used, vary)


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
