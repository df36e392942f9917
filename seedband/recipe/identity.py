"""Identity: what makes two recipes one, as they stand on record."""

import json
from dataclasses import dataclass
from typing import Any

from seedband.recipe.parse import differing_keys
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject


@dataclass(frozen=True)
class RecordedRecipe:
    """A recipe as run.json and sweep.json hold it: as it was written, for another release may know other keys.

    Attributes:
        recipe: Its sections.
        provenance: Where its base and data come from, by content.
    """

    recipe: JsonObject
    provenance: JsonObject

    @property
    def slices(self) -> tuple[str, ...]:
        """Slice columns of its data."""
        return tuple(self.recipe["data"]["slices"])

    @property
    def base_sha256(self) -> str:
        """Of its base's weights."""
        return str(self.provenance["base"]["sha256"])

    @property
    def by_command(self) -> bool:
        """Tell a recipe whose training command is the user's own."""
        return self.recipe["train"].get("command") is not None


def same_rows(ours: JsonObject, theirs: JsonObject) -> bool:
    """Check whether two data files on record hold the same rows, whatever their lines end in."""
    first, second = ours.get("sha256"), theirs.get("sha256")
    return first == second or first in theirs.get("also", ()) or second in ours.get("also", ())


#: Keys and sections of a recipe that say where things are, how to judge them or whom to tell: they may change within
#: a sweep.
FREE_KEYS = (
    "data.train", "data.eval", "data.name", "data.version", "model.base", "model.revision",
    "gate.rule", "gate.alpha", "gate.metrics", "gate.history", "train.save_steps", "train.timeout_s", "train.retries",
    "log",
)  # fmt: skip


#: Sections of a recipe that say how checkpoints are scored: no weight depends on them, and scores can be made anew.
SCORED_BY = ("evaluate", "score", "generation")


def identity(recorded: RecordedRecipe) -> JsonObject:
    """The identity of a recipe: all but where things are and how they are judged, base and rows by content."""
    recipe = without_free_keys(recorded.recipe)
    for section in ("train", "data"):  # a key that is not set was no key of earlier releases
        recipe[section] = {key: value for key, value in recipe[section].items() if value is not None}
    base, data = recorded.provenance["base"], recorded.provenance["data"]
    files = recorded.provenance.get("command", {})
    return {
        **recipe,
        **{f"train.command (other {name})": sha256 for name, sha256 in files.items()},
        "model.base (other weights)": base["sha256"],
        "model.base (other config or tokenizer)": base["files_sha256"],
        "data.train (other rows)": data["train"]["sha256"],
        "data.eval (other rows)": data["eval"]["sha256"],
    }


def without_free_keys(recipe: JsonObject) -> dict[str, Any]:
    """A recipe, as a plain dict, without what may change within a sweep."""
    kept: dict[str, Any] = json.loads(json_files.canonical(recipe))
    for path in FREE_KEYS:
        section, _, key = path.partition(".")
        (kept.get(section, {}) if key else kept).pop(key or section, None)
    return kept


def training_identity(recorded: RecordedRecipe) -> JsonObject:
    """The part of a recipe's identity that weights come from: all but how they are scored."""
    return {key: value for key, value in identity(recorded).items() if key not in SCORED_BY}


def changed_keys(first: RecordedRecipe, second: RecordedRecipe) -> list[str]:
    """Keys that differ between two recorded recipes, their bases and rows compared by content."""
    return _changed(first, second, identity(first), identity(second))


def changed_training(first: RecordedRecipe, second: RecordedRecipe) -> list[str]:
    """Those of the keys that differ which give other weights."""
    return _changed(first, second, training_identity(first), training_identity(second))


def _changed(first: RecordedRecipe, second: RecordedRecipe, ours: JsonObject, theirs: JsonObject) -> list[str]:
    """Keys that differ between two identities, and in base and rows where their records know more."""
    sources = [recorded.provenance for recorded in (first, second)]
    alike = {
        f"data.{part} (other rows)": ours[f"data.{part} (other rows)"]
        for part in ("train", "eval")
        if same_rows(*(source["data"][part] for source in sources))
    }
    further = [source["base"].get("further_sha256") for source in sources]
    other = None not in further and further[0] != further[1]
    return [*differing_keys(ours, {**theirs, **alike}), *(["model.base (other tokenizer)"] if other else [])]


#: Follows what a tensor is drawn from where the base has one of that name and shape: it used to be kept.
REPLACED = ", in place of the base's own"
