"""What makes two scores comparable: one list, used by sweep (may this run join this band?), check and history."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal, NamedTuple, TypeAlias

from seedband.determinism.environment_record import EnvironmentRecord
from seedband.determinism.seeds import SEEDING_VERSION
from seedband.recipe.identity import REPLACED, same_rows
from seedband.recipe.scoring import Scoring
from seedband.recipe.sections import Recipe
from seedband.storage import json_files
from seedband.storage.json_files import VERSIONS, JsonObject
from seedband.storage.registry import METHODS, TASKS

MISSING = object()
Need = Literal["must", "recorded", "shown"]


#: What a score depends on, as JSON: compared key path by key path, for other releases may know other keys.
Signature: TypeAlias = JsonObject
#: Key path in a signature → whether it must match, must match where both have a record, or is only shown.
#: A parent's need holds for everything below it.
COMPARED: Mapping[str, Need] = {
    "base.sha256": "must",
    "task": "must",
    "eval_data.sha256": "must",
    "evaluators": "must",
    "scoring": "must",
    "labels": "must",
    "file_version": "must",
    "padding": "must",
    "initializers": "recorded",
    "vary": "recorded",
    "seeding_version": "recorded",
    "trained_padding": "shown",
    "method": "shown",
    "environment": "shown",
    "base.config_sha256": "recorded",
    "encoded.sha256": "recorded",
}
#: What a signature has without saying so.
IMPLIED: Signature = {"padding": 1}

#: What each key is called in a message.
NAMES: Mapping[str, str] = {
    "base.sha256": "base weights",
    "task": "task",
    "eval_data.sha256": "eval data",
    "evaluators": "evaluators",
    "scoring": "scoring settings",
    "labels": "label set and order",
    "file_version": "seedband file version",
    "initializers": "initializer",
    "vary": "streams that vary",
    "seeding_version": "seeding version",
    "padding": "version of how rows are padded",
    "trained_padding": "version of how rows were padded in training",
    "method": "method",
    "environment": "environment",
    "base.config_sha256": "base config",
    "encoded.sha256": "eval rows as the model reads them",
}


class ReadRows(NamedTuple):
    """Rows and base as the model reads them, whatever files they come from.

    Attributes:
        encoded_sha256: Of the eval rows as tokens or pixels.
        config_sha256: Of the base's config.
        also: Other hashes that the eval file is known by.
    """

    encoded_sha256: str
    config_sha256: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """One thing in which two signatures differ.

    Attributes:
        key: Key path in the signature.
        need: Whether it forbids a verdict.
        ours: What the band has.
        theirs: What the other side has.
    """

    key: str
    need: Need
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return in_words(self.key, self.ours, self.theirs)


def of_scoring(
    scoring: Scoring,
    eval_sha256: str,
    evaluators: JsonObject,
    environment: EnvironmentRecord,
    settings: JsonObject,
    read: ReadRows,
    padding: int = 1,
) -> Signature:
    """The signature of a scored checkpoint.

    Args:
        scoring: How it was scored.
        eval_sha256: Of the eval rows.
        evaluators: Metric → what describes its evaluator.
        environment: Facts about the job's process.
        settings: What the predictions add: for language models, where answers end.
        read: What rows and base are to the model, whatever files say so.
        padding: Version of how rows were padded; see `padding.version`.
    """
    task = TASKS.find(scoring.task)
    return {
        "base": {
            "reference": scoring.base.reference,
            "sha256": scoring.base.sha256,
            "config_sha256": read.config_sha256,
        },
        "task": scoring.task,
        "eval_data": {"sha256": eval_sha256, "also": list(read.also)},
        "encoded": {"sha256": read.encoded_sha256},
        "evaluators": dict(evaluators),
        "scoring": {
            "batch_size": scoring.batch_size,
            "max_length": scoring.max_length,
            "precision": "fp32",
            "config_and_tokenizer": scoring.base.files_sha256,
            **({"generation": {**asdict(scoring.generation), **settings}} if task.outputs == "texts" else {}),
        },
        "labels": list(scoring.labels),
        "file_version": VERSIONS["run"],
        "padding": padding,
        "environment": {
            "fingerprint": environment.fingerprint,
            "device": environment.device,
            **{name: environment.versions.get(name) for name in ("torch", "transformers", "peft")},
            # What decodes and scales images decides pixels; where there are none, its version says nothing.
            **{package: version(package) for package in task.decoders},
        },
    }


def of_training(recipe: Recipe, padding: int = 1, drawn: Iterable[JsonObject] = ()) -> Signature:
    """The part of a signature that only a checkpoint trained by seedband has.

    Args:
        recipe: By which.
        padding: Version of how its rows were padded.
        drawn: How every new tensor was drawn, as its run has it on record.
    """
    replaced = any(str(tensor.get("distribution")).endswith(REPLACED) for tensor in drawn)
    new = {"head": recipe.init.head + REPLACED * replaced} | (
        {"lora": recipe.init.lora} if _adapts(recipe.train.method) else {}
    )
    if recipe.train.command is not None:
        new = {}  # how a script draws is its own affair, and nobody has it on record
    return {
        "initializers": new,
        "vary": sorted(recipe.seeds.vary),
        "seeding_version": SEEDING_VERSION,
        "method": recipe.train.method,
        # A script pads as it likes.
        **({"trained_padding": padding} if recipe.train.command is None else {}),
    }


def differences(band: Signature, other: Signature) -> list[Difference]:
    """Everything in which `other` differs from the band's signature, the forbidding ones first.

    A key that must match differs when either side lacks it; the other keys only where both have a record.
    """
    found = []
    band, other = _aligned(band, other)
    for key, need in COMPARED.items():
        ours, theirs = stated(band, key), stated(other, key)
        if ours is None or theirs is None:
            if need == "must":
                found.append(Difference(key, need, ours, theirs))
            continue
        if ours != theirs:
            found += _inner(key, need, ours, theirs)
    return found


def _aligned(band: Signature, other: Signature) -> tuple[Signature, Signature]:
    """Two signatures without what says in other words what both have in common.

    Where both know the eval rows as a classifier reads them, and the base's config, no file of a tokenizer matters.
    """
    ours, theirs = (_encoded(json.loads(json_files.canonical(table))) for table in (band, other))
    first, second = ours.get("eval_data"), theirs.get("eval_data")
    if isinstance(first, Mapping) and isinstance(second, Mapping) and same_rows(first, second):
        theirs["eval_data"] = first
    known = all(at(table, key) for table in (ours, theirs) for key in ("encoded.sha256", "base.config_sha256"))
    if known and not _spells(ours.get("task")):
        for scoring in (ours.get("scoring"), theirs.get("scoring")):
            if isinstance(scoring, dict):
                scoring.pop("config_and_tokenizer", None)
    return ours, theirs


def _adapts(method: str) -> bool:
    """Tell a method that draws adapters beside new heads."""
    return method in METHODS and bool(getattr(METHODS.find(method), "adapts", False))


def _spells(task: Any) -> bool:
    """Tell a task whose tokenizer decides scores beside the rows that it encodes."""
    return task not in TASKS or TASKS.find(task).spells


def _encoded(table: dict[str, Any]) -> dict[str, Any]:
    """A signature with the hash of its encoded rows in its place: the first releases had it for language models."""
    generation = at(table, "scoring.generation")
    if isinstance(generation, dict) and "tokens" in generation:
        table["encoded"] = {"sha256": generation.pop("tokens")}
    return table


def unpaired(band: Signature, other: Signature) -> list[Difference]:
    """Reasons why two runs of one root seed do not share their draws; a missing record is one."""
    keys = ("seeding_version", "vary", "initializers")
    return [
        Difference(key, "must", at(band, key), at(other, key))
        for key in keys
        if at(band, key) is None or at(band, key) != at(other, key)
    ]


def forbidding(found: list[Difference], *, strict: bool) -> list[Difference]:
    """Those that allow no verdict; under `strict` those that are otherwise only shown, too."""
    return [difference for difference in found if strict or difference.need != "shown"]


def _inner(key: str, need: Need, ours: Any, theirs: Any) -> list[Difference]:
    """A difference between two tables is told by their entries that differ, however deep."""
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        return [Difference(key, need, ours, theirs)]
    if need == "recorded":
        shared = ours.keys() & theirs.keys()
        ours, theirs = ({inner: table[inner] for inner in sorted(shared)} for table in (ours, theirs))
    if ours == theirs:
        return []
    return [Difference(key, need, _apart(ours, theirs), _apart(theirs, ours))]


def _apart(ours: Any, theirs: Any) -> Any:
    """The part of `ours` that differs in `theirs` or is missing there; None where `ours` lacks what `theirs` has."""
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        return ours
    keys = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key, MISSING) != theirs.get(key, MISSING))
    return {key: _apart(ours.get(key), theirs.get(key)) for key in keys}


def at(signature: JsonObject, path: str) -> Any:
    """The value at a key path; None where there is none."""
    value: Any = signature
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def stated(signature: Signature, key: str) -> Any:
    """The value at a key path of a signature, or the one that its absence implies."""
    value = at(signature, key)
    return IMPLIED.get(key) if value is None else value


def in_words(key: str, ours: Any, theirs: Any, other: str = "candidate") -> str:
    """Describe a difference on one line."""
    if key == "padding":
        old = "band" if _version(ours) < _version(theirs) else other
        return f"{old} was made with wrong padding: sweep again, or rescore its checkpoints"
    return f"{NAMES.get(key, key)}: band has {_brief(ours)}, {other} has {_brief(theirs)}"


def _version(value: Any) -> int:
    """A version as a record of unknown origin has it; one that is no number is older than all."""
    return value if isinstance(value, int) else 0


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {_brief(inner)}" for key, inner in value.items())
    text = "nothing on record" if value is None else str(value)
    if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text):  # noqa: PLR2004
        return text[:12] + "…"
    return text if len(text) <= 160 else text[:159] + "…"  # noqa: PLR2004
