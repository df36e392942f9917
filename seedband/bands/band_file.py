"""The form of band.json, checked by hand when it is read: `check --scores` must not wait for pydantic.

As in `schema`, the name of a predicate is what a message expects. What a band has on record beside its scores, its
provenance, is checked as far as commands rely on it; a band of bare scores has little of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seedband.bands.admission import MAX_SCORE
from seedband.determinism.seeds import MAX_ROOT_SEED
from seedband.errors import Refused
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import a_path, brief

Form = Mapping[str, Callable[[object], bool]]
MISSING = object()


def a_table(value: object) -> bool:
    """Keys with values."""
    return isinstance(value, dict)


def a_text(value: object) -> bool:
    """Text that UTF-8 can hold."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def a_name(value: object) -> bool:
    """Text that stands in a line of output, and does not drive the terminal."""
    return isinstance(value, str) and value.isprintable() and bool(value)


def a_number(value: object) -> bool:
    """A number that scores can have."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_SCORE


def a_number_of_0_or_more(value: object) -> bool:
    """What a standard deviation can be."""
    return a_number(value) and value >= 0  # type: ignore[operator]


def a_root_seed(value: object) -> bool:
    """What runs are told apart by."""
    return type(value) is int and 0 <= value <= MAX_ROOT_SEED


def a_root_seed_as_text(value: object) -> bool:
    """A root seed as a key of JSON."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_ROOT_SEED))


def true_or_false(value: object) -> bool:
    """A direction."""
    return isinstance(value, bool)


def a_text_or_null(value: object) -> bool:
    """Text that may be absent."""
    return value is None or a_text(value)


def a_list_of_numbers(value: object) -> bool:
    """Scores."""
    return isinstance(value, list) and all(map(a_number, value))


def a_list_of_root_seeds(value: object) -> bool:
    """Seeds."""
    return isinstance(value, list) and all(map(a_root_seed, value))


def a_list_of_names(value: object) -> bool:
    """Metrics."""
    return isinstance(value, list) and all(map(a_name, value))


def a_list_of_texts(value: object) -> bool:
    """Labels; a language model has none."""
    return isinstance(value, list) and all(map(a_text, value))


def a_table_of_metrics(value: object) -> bool:
    """Metric → its part of the band."""
    return isinstance(value, dict) and bool(value) and all(map(a_name, value)) and all(map(a_table, value.values()))


def a_table_of_texts(value: object) -> bool:
    """Of score files, or of a group of their rows."""
    return isinstance(value, dict) and all(map(a_text, value.values()))


def a_table_of_texts_by_seed(value: object) -> bool:
    """Hashes of what every seed left, or why it left nothing."""
    return isinstance(value, dict) and all(map(a_root_seed_as_text, value)) and all(map(a_text, value.values()))


def a_list_of_slices(value: object) -> bool:
    """Parts of the items with their scores under every seed."""
    return isinstance(value, list) and all(map(_a_slice, value))


def a_list_of_what_was_accepted(value: object) -> bool:
    """Why bands were replaced, when, by whom, and where they lie now."""
    return isinstance(value, list) and all(map(_an_acceptance, value))


def fingerprints_of_16_digits_a_row(value: object) -> bool:
    """Rows of the eval data; null where they are too many."""
    digits = isinstance(value, str) and len(value) % 16 == 0 and set(value) <= set("0123456789abcdef")
    return value is None or digits


def three_numbers_of_0_or_more(value: object) -> bool:
    """A prior; null stands for the last of them where it is infinite."""
    if not isinstance(value, list) or len(value) != 3:  # noqa: PLR2004
        return False
    return all(map(a_number_of_0_or_more, value[:2])) and (value[2] is None or a_number_of_0_or_more(value[2]))


BAND: Form = {
    "primary": a_name,
    "gates": a_list_of_names,
    "rule": a_text,
    "alpha": a_number,
    "seeds": a_list_of_root_seeds,
    "failed_seeds": a_list_of_root_seeds,
    "metrics": a_table_of_metrics,
    "provenance": a_table,
}
METRIC: Form = {
    "scores": a_list_of_numbers,
    "higher_is_better": true_or_false,
    "unit": a_text,
    "floor": a_number_of_0_or_more,
    "resolution": a_number_of_0_or_more,
    "prior": three_numbers_of_0_or_more,
}
#: What a sweep puts on record: a band that says how to score a checkpoint has all of it.
SWEPT: Form = {
    "recipe": a_table,
    "base": a_table,
    "base.reference": a_path,
    "base.revision": a_text_or_null,
    "base.sha256": a_text,
    "data": a_table,
    "data.name": a_text,
    "data.version": a_text,
    "data.n_train": a_number,
    "data.n_eval": a_number,
    "data.eval": a_table,
    "data.eval.path": a_path,
    "data.eval.sha256": a_text,
    "signature": a_table,
    "signature.labels": a_list_of_texts,
    "signature.method": a_text,
    "checkpoints": a_table_of_texts_by_seed,
    "items": a_table_of_texts_by_seed,
    "runs": a_path,
}
SCORED: Form = {
    "scores": a_table,
    "scores.path": a_path,
    "scores.files": a_table_of_texts,
    "scores.where": a_table_of_texts,
    "scores.percent": true_or_false,
    "items_sha256": a_text_or_null,
}
#: Optional: the first releases had none, nor has a data set of many rows.
ROWS: Form = {"data.eval.rows": fingerprints_of_16_digits_a_row}
#: Where what evaluators name starts from.
FOLDER: Form = {"folder": a_path}
CRASHED: Form = {"crashed": a_table_of_texts_by_seed}
#: What was accepted on the way to this band.
ACCEPTED: Form = {"accepted": a_list_of_what_was_accepted}
SLICED: Form = {"slices": a_list_of_slices}
HISTORY: Form = {
    "history": a_table,
    "history.bands": a_number,
    "history.comparability": a_text,
}


def check_band(content: JsonObject) -> None:
    """Refuse a band.json of another form than `Band.save` writes; keys beside those are left alone.

    Raises:
        Refused: With the key path of the first mistake.
    """
    check(content, BAND)
    for name, metric in content["metrics"].items():
        check(metric, METRIC, f"metrics.{name}.")
    facts = content["provenance"]
    check(facts, SWEPT, "provenance.", required="recipe" in facts)
    check(facts, SCORED, "provenance.", required=False)
    check(facts, ROWS, "provenance.", required=False)
    check(facts, FOLDER, "provenance.", required=False)
    check(facts, CRASHED, "provenance.", required=False)
    check(facts, SLICED, "provenance.", required=False)
    check(facts, ACCEPTED, "provenance.", required=False)
    moderated = any(metric["prior"][0] > 0 for metric in content["metrics"].values())
    check(facts, HISTORY, "provenance.", required=moderated)


def check(table: JsonObject, form: Form, where: str = "", *, required: bool = True) -> None:
    """Refuse a table whose values are not as their key paths ask; what is not `required` may be absent."""
    for path, is_right in form.items():
        value = _at(table, path.split("."))
        if value is MISSING and not required:
            continue
        if not is_right(value):
            found = "nothing" if value is MISSING else brief(value)
            raise Refused(f"{where}{path}: found {found}, expected {is_right.__name__.replace('_', ' ')}")


def _a_slice(value: object) -> bool:
    return (
        isinstance(value, dict)
        and a_text(value.get("column"))
        and a_text(value.get("value"))
        and a_number_of_0_or_more(value.get("n_items"))
        and a_table(value.get("metrics"))
        and all(map(_scores_of_a_slice, value["metrics"].values()))
    )


def _an_acceptance(value: object) -> bool:
    return (
        isinstance(value, dict)
        and a_text(value.get("when"))
        and a_text(value.get("reason"))
        and all(a_text_or_null(value.get(key)) for key in ("by", "commit"))
        and a_list_of_texts(value.get("changed"))
        and isinstance(value.get("replaced"), dict)
        and all(a_text(value["replaced"].get(key)) for key in ("file", "sha256"))
    )


def _scores_of_a_slice(value: object) -> bool:
    return (
        isinstance(value, dict)
        and a_list_of_numbers(value.get("scores"))
        and len(value["scores"]) > 1
        and a_number_of_0_or_more(value.get("n_items"))
        and isinstance(value.get("unscored"), list)
        and all(map(a_text, value["unscored"]))
        and a_number_of_0_or_more(value.get("floor"))
        and a_number_of_0_or_more(value.get("resolution"))
    )


def _at(table: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        table = table.get(part, MISSING) if isinstance(table, Mapping) else MISSING
    return table
