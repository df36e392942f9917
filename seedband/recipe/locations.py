"""Where base and data of a record lie: relative to the record's own folder, so that the two can move together."""

import os
from pathlib import Path

from seedband.recipe.identity import RecordedRecipe
from seedband.recipe.parse import LoadedRecipe, parse_recipe
from seedband.storage.json_files import JsonObject


def relative(facts: JsonObject, folder: Path) -> JsonObject:
    """A prepared recipe's provenance as a file in `folder` holds it.

    Args:
        facts: `Prepared.provenance`, with absolute paths.
        folder: Where the file lies.
    """
    base, data = dict(facts["base"]), dict(facts["data"])
    for part in ("train", "eval"):
        path = data[part]["path"]
        data[part] = {**data[part], "path": path if on_hub(path) else relative_path(path, folder)}
    path = base.pop("path")
    if not base["reference"].startswith("package:") and base["revision"] is None:
        base["reference"] = relative_path(path, folder)
    return {**facts, "base": base, "data": data, "folder": relative_path(facts["folder"], folder)}


def on_hub(reference: str) -> bool:
    """Whether a data file is one of a hub: hf://datasets/org/name@commit/path, of whose slashes a path keeps one."""
    return reference.startswith("hf:/")


def relative_path(target: str | Path, folder: Path) -> str:
    """`target` as seen from `folder`, links on the way to either followed: `folder / result` is opened that way."""
    absolute = Path(target).absolute()
    physical = absolute.parent.resolve() / absolute.name
    try:
        return Path(os.path.relpath(physical, folder.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return physical.as_posix()


def recorded_recipe(recorded: RecordedRecipe, folder: Path) -> LoadedRecipe:
    """The recipe that a record in `folder` holds, and where its data and base lie as seen from there."""
    facts = recorded.provenance
    places = {part: facts["data"][part]["path"] for part in ("train", "eval")} | {"base": facts["base"]["reference"]}
    places["folder"] = facts.get("folder", ".")
    return LoadedRecipe(parse_recipe(recorded.recipe, "the recipe on record"), folder, places)
