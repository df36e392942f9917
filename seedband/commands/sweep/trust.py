"""What a record alone cannot make run: code, programs, and evaluators that send data elsewhere.

A record may come from anywhere. Only a recipe of the user's own, which lies here and says the same, lets them run.
"""

from pathlib import Path

from seedband import evaluators
from seedband.errors import Refused, UsageError
from seedband.recipe.parse import find_config, load_recipe
from seedband.recipe.sections import Recipe
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject


def trusted_folder(recipe: Recipe, recorded: Path, own: Path | None = None) -> Path:
    """The folder where what the evaluators of a recorded recipe name starts: modules, models, tasks.

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
        raise Refused(
            f"{what}: {error.message}", hint="go to the folder of your recipe, or name it with --recipe"
        ) from error
    for section in wanting:
        known = [own.args for own in here.recipe.evaluate if own.evaluator == section.evaluator]
        if section.args not in known:
            message = f" like this: {_changed(section.args, known[0])}" if known else ""
            raise Refused(
                f"{what}: {section.evaluator} stands in no recipe of {here.folder.absolute()}{message}",
                hint="sweep again under the recipe as it is now, or name the one that the record comes from: --recipe",
            )
    return here.folder


def trusted_start(recipe: Recipe) -> Path:
    """The folder where the command of a recorded recipe starts: that of the user's own recipe with the same command.

    Raises:
        Refused: There is none, and a record may come from anywhere.
    """
    what = "train.command runs a program, and a record alone cannot make it run"
    hint = "go to the folder of your recipe, or name it: --config of reproduce, --recipe of check"
    try:
        here = load_recipe(find_config(Path()))
    except UsageError as error:
        raise Refused(f"{what}: {error.message}", hint=hint) from error
    if here.recipe.train.command != recipe.train.command:
        raise Refused(f"{what}: the recipe of {here.folder.absolute()} has another one, or none", hint=hint)
    return here.folder


def _changed(recorded: JsonObject, ours: JsonObject) -> str:
    """Arguments that stand otherwise on record than in the recipe here."""
    told = {
        key: [json_files.canonical(args[key]) if key in args else "not said" for args in (recorded, ours)]
        for key in sorted(recorded.keys() | ours.keys())
    }
    return ", ".join(f"{key} is {then} on record, {now} here" for key, (then, now) in told.items() if then != now)
