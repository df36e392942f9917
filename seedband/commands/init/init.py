"""init: a seedband.toml from a look at the data and the model, ready to be swept.

At most five things are asked, each of which a flag answers: the data file, the eval file, their columns, the base
model and the metric that gates. Everything else is looked up or a default, and stands in the file with its meaning.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seedband.commands.init import write_toml
from seedband.commands.init.ci_workflows import PATHS, workflow
from seedband.commands.init.draft import Draft
from seedband.commands.init.questions import Answers, Ask, Interview
from seedband.commands.init.recipe_table import recipe_table
from seedband.commands.init.split import FEW_EVAL, split, write_part
from seedband.commands.sweep.prepare import prepare
from seedband.counts import counted
from seedband.data.dataset import normalised
from seedband.errors import UsageError
from seedband.recipe import train_command
from seedband.recipe.locations import on_hub, relative_path
from seedband.recipe.parse import CONFIG_NAME, LoadedRecipe, load_recipe
from seedband.recipe.sections import Recipe
from seedband.storage import atomic_files

if TYPE_CHECKING:
    from seedband.data.rows import DataRow

HEAD = """A recipe for seedband, made by `seedband init`. Every key has a default where it is left out.
`seedband sweep --seeds 4` trains it under four seeds and writes band.json; `--dry-run` says what that takes."""


@dataclass(frozen=True)
class Begun:
    """What `init` made.

    Attributes:
        config: seedband.toml.
        recipe: What it says.
        files: Everything that was written, seedband.toml last.
        notes: What was found and decided, a line each.
        warnings: What should be known before it is swept.
    """

    config: Path
    recipe: Recipe
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def init(folder: str | Path, answers: Answers, ask: Ask, *, force: bool = False, offline: bool = False) -> Begun:
    """Look at data and model, and write a seedband.toml that `sweep` accepts.

    Args:
        folder: Where it goes, and where relative paths in it start.
        answers: What is known without asking.
        ask: Answers a question, or raises what the caller should see instead.
        force: Whether a seedband.toml that is there is replaced.
        offline: Whether hubs must not be asked.

    Raises:
        UsageError: What was answered cannot be; something that would have to be overwritten.
        Refused: A model that is never opened.
    """
    folder = Path(folder)
    _check_free(folder, answers, force=force)
    _check_command(answers)
    draft = Draft(folder, answers, Interview(folder, ask), offline)
    draft.choose_data()
    draft.choose_columns()
    draft.choose_model()
    draft.choose_metric()
    return _write(draft)


def _check_free(folder: Path, answers: Answers, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder")
    if (folder / CONFIG_NAME).exists() and not force:
        raise UsageError(f"{folder / CONFIG_NAME} exists", hint="--force replaces it")
    for system in answers.workflows:
        if (folder / PATHS[system]).exists():
            raise UsageError(f"{folder / PATHS[system]} exists", hint=f"it is never replaced: leave out --{system}")


def _check_command(answers: Answers) -> None:
    if answers.method == train_command.METHOD and answers.command is None:
        hint = f'say it with a flag: --command "{train_command.EXAMPLE}"'
        raise UsageError("--command: method command needs to know what trains a seed", hint=hint)
    if answers.command is not None and answers.method not in (None, train_command.METHOD):
        raise UsageError(f"--command: method {answers.method} runs none", hint="leave one of the two flags out")


def _write(draft: Draft) -> Begun:
    """Split the data where that is needed, and write everything; what was written is removed where anything fails.

    The config comes last: it is what a second `init` finds in its way.
    """
    made: list[Path] = []
    config, places = draft.folder / CONFIG_NAME, [draft.folder / PATHS[name] for name in draft.answers.workflows]
    lacking = _lacking_folders([config, *places])
    try:
        paths = (
            [_seen_from_here(draft, path) for path in (draft.data, draft.eval)] if draft.eval else _split(draft, made)
        )
        table = recipe_table(draft, paths, draft.surveys[-1])
        with atomic_files.replacing(config) as temporary:
            temporary.write_text(write_toml.commented(table, HEAD), encoding="utf-8")
            recipe = load_recipe(temporary).recipe
            prepared = prepare(LoadedRecipe(recipe, draft.folder), offline=draft.offline)
            for system, place in zip(draft.answers.workflows, places, strict=True):
                atomic_files.write_text(place, workflow(system, draft.reference, draft.task.name))
                made.append(place)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        for parent in lacking:
            with suppress(OSError):  # somebody else has put something there
                parent.rmdir()
        raise
    draft.warnings += prepared.warnings
    if (n := len(prepared.eval_items)) < FEW_EVAL:
        draft.warnings.append(f"{counted(n, 'eval row')}: with {FEW_EVAL} or more a score says more about the model")
    return Begun(config, recipe, (*made, config), tuple(draft.notes), tuple(draft.warnings))


def _split(draft: Draft, made: list[Path]) -> list[str]:
    """Two files beside seedband.toml from one."""
    survey = draft.surveys[0]
    classes = draft.task.outputs == "classes"
    contents = [normalised(content) for content in draft.items.contents]
    parts = split(contents, draft.items.targets if classes else [None] * len(draft.items))
    if not all(parts):
        raise UsageError(
            f"{draft.data}: {counted(len(survey), 'row is', 'rows are')} too few to be split", hint="give --eval"
        )
    rows: Sequence[DataRow] = survey.rows
    suffix = survey.path.suffix.lower()
    if draft.task.reading.files:
        start = survey.path if survey.path.is_dir() else survey.path.parent
        key = draft.columns[draft.task.reading.roles[0]]
        rows = [{**row, key: relative_path(start / str(row[key]), draft.folder)} for row in rows]
        suffix = ".jsonl"
    suffix = ".jsonl" if suffix == ".json" else suffix
    targets = [draft.folder / f"{survey.path.stem}-{what}{suffix or '.jsonl'}" for what in ("train", "eval")]
    for target, chosen in zip(targets, parts, strict=True):
        if write_part(survey.path, rows, chosen, target):
            made.append(target)
    sizes = " and ".join(
        f"{target.name} ({counted(len(part), 'row')})" for target, part in zip(targets, parts, strict=True)
    )
    message = "by content: always the same split, and rows that say the same are on one side"
    draft.notes.append(f"split: {sizes}, {message}")
    draft.n_train = len(parts[0])
    return [target.name for target in targets]


def _seen_from_here(draft: Draft, path: str) -> str:
    return path if on_hub(path) else relative_path(path, draft.folder)


def _lacking_folders(files: Sequence[Path]) -> list[Path]:
    """Folders that are made with these files, the innermost first."""
    lacking = {parent for path in files for parent in path.parents if not parent.exists()}
    return sorted(lacking, key=lambda parent: len(parent.parts), reverse=True)
