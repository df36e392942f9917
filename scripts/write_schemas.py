"""Write docs/reference/schemas: the JSON Schemas of the files that seedband writes, from the code that reads them.

    python scripts/write_schemas.py [--check]

--check writes nothing, and exits 1 where a schema is not what the code says. Keys beside those that are named are
always allowed: another release may write more.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from seedband.bands import band_file
from seedband.bands.admission import MAX_SCORE
from seedband.bands.rules import names
from seedband.determinism.seeds import MAX_ROOT_SEED
from seedband.reports.json import ReportFile
from seedband.runs import run_file, sweep_file
from seedband.storage import validation
from seedband.storage.json_files import VERSIONS

FOLDER = Path(__file__).parents[1] / "docs" / "reference" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NUMBER = {"type": "number", "minimum": -MAX_SCORE, "maximum": MAX_SCORE}
NOT_NEGATIVE = {"type": "number", "minimum": 0, "maximum": MAX_SCORE}
SEED = {"type": "integer", "minimum": 0, "maximum": MAX_ROOT_SEED}
NAME = {"type": "string", "minLength": 1}
TEXT = {"type": "string"}
LIST = {"type": "array"}
TABLE = {"type": "object"}
SLICE = {
    "type": "object",
    "properties": {
        "column": TEXT,
        "value": TEXT,
        "n_items": NOT_NEGATIVE,
        "metrics": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "scores": {**LIST, "items": NUMBER, "minItems": 2},
                    "n_items": NOT_NEGATIVE,
                    "unscored": {**LIST, "items": TEXT},
                    "floor": NOT_NEGATIVE,
                    "resolution": NOT_NEGATIVE,
                },
                "required": ["scores", "n_items", "unscored", "floor", "resolution"],
            },
        },
    },
    "required": ["column", "value", "n_items", "metrics"],
}
#: What each predicate of band.json's form is in JSON Schema.
FRAGMENTS: dict[Any, dict[str, Any]] = {
    band_file.a_table: TABLE,
    band_file.a_text: TEXT,
    band_file.a_name: NAME,
    band_file.a_number: NUMBER,
    band_file.a_number_of_0_or_more: NOT_NEGATIVE,
    band_file.true_or_false: {"type": "boolean"},
    band_file.a_text_or_null: {"type": ["string", "null"]},
    band_file.a_list_of_numbers: {**LIST, "items": NUMBER},
    band_file.a_list_of_root_seeds: {**LIST, "items": SEED},
    band_file.a_list_of_names: {**LIST, "items": NAME},
    band_file.a_list_of_texts: {**LIST, "items": TEXT},
    band_file.a_table_of_texts_by_seed: {
        **TABLE,
        "propertyNames": {"pattern": "^[0-9]+$"},
        "additionalProperties": TEXT,
    },
    band_file.a_table_of_texts: {**TABLE, "additionalProperties": TEXT},
    band_file.a_list_of_slices: {**LIST, "items": SLICE},
    band_file.fingerprints_of_16_digits_a_row: {"type": ["string", "null"], "pattern": "^([0-9a-f]{16})*$"},
    band_file.three_numbers_of_0_or_more: {
        **LIST,
        "prefixItems": [NOT_NEGATIVE, NOT_NEGATIVE, {"anyOf": [NOT_NEGATIVE, {"type": "null"}]}],
        "minItems": 3,
        "maxItems": 3,
    },
    validation.a_path: NAME,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    stale = []
    check = parser.parse_args().check
    for name, content in schemas().items():
        path = FOLDER / f"{name}.schema.json"
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            stale.append(path)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
    for path in stale:
        print(f"{path.name}: {'is not what the code says' if check else 'written'}")
    return 1 if check and stale else 0


def schemas() -> dict[str, str]:
    """Name → text of each schema."""
    found = {
        "report": {"title": "Report of seedband check", **described(ReportFile)},
        "band": {"title": "band.json", **sealed("band", band())},
        "run": {"title": "run.json", **sealed("run", described(run_file.RunFile))},
        "sweep": {"title": "sweep.json", **sealed("sweep", described(sweep_file.SweepFile))},
    }
    return {
        name: json.dumps({"$schema": DIALECT, **content}, indent=2, ensure_ascii=False) + "\n"
        for name, content in found.items()
    }


def described(shape: Any) -> dict[str, Any]:
    """Schema of a dataclass: what its docstring says of an attribute is that attribute's description."""
    found = TypeAdapter(shape).json_schema()
    text = re.sub(r'"#/\$defs/_', '"#/$defs/', json.dumps(found))
    found = json.loads(text)
    found["$defs"] = {name.lstrip("_"): entry for name, entry in found.get("$defs", {}).items()}
    for entry in [found, *found["$defs"].values()]:
        entry.pop("title", None)
        summary, attributes = taken_apart(entry.pop("description", ""))
        if summary:
            entry["description"] = summary
        for name, inner in entry.get("properties", {}).items():
            inner.pop("title", None)
            if name in attributes:
                inner["description"] = attributes[name]
    return found


def taken_apart(docstring: str) -> tuple[str, dict[str, str]]:
    """The summary of a docstring, and what stands below `Attributes:`."""
    summary, _, rest = docstring.partition("Attributes:")
    found: dict[str, str] = {}
    for line in rest.splitlines():
        if start := re.match(r" +(\w+): (.*)", line):
            name = start[1]
            found[name] = start[2]
        elif line.strip() and found:
            found[name] += f" {line.strip()}"
    return " ".join(summary.split()), found


def sealed(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """With what every file of ours carries."""
    seal = {
        "format": {"const": f"seedband.{kind}"},
        "version": {"type": "integer", "minimum": 1, "maximum": VERSIONS[kind]},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Of the rest, as canonical JSON."},
    }
    properties = {**seal, **content["properties"]}
    return {**content, "properties": properties, "required": [*seal, *content["required"]]}


def band() -> dict[str, Any]:
    """Schema of band.json from its form; what a sweep puts on record stands together or not at all."""
    found = nested(band_file.BAND)
    found["properties"]["rule"] = {"enum": [rule for rule in names() if rule != "paired"]}
    found["properties"]["metrics"] = {**TABLE, "minProperties": 1, "additionalProperties": nested(band_file.METRIC)}
    swept = nested(band_file.SWEPT)
    facts = {}
    for optional in (band_file.SCORED, band_file.FOLDER, band_file.CRASHED, band_file.SLICED, band_file.HISTORY):
        facts.update(nested(optional, required=optional is not band_file.SCORED)["properties"])
    facts.update(swept["properties"])
    [rows] = band_file.ROWS.values()
    facts["data"]["properties"]["eval"]["properties"]["rows"] = FRAGMENTS[rows]
    needed = {"recipe": [name for name in swept["required"] if name != "recipe"]}
    found["properties"]["provenance"] = {**TABLE, "properties": facts, "dependentRequired": needed}
    return found


def nested(asked: band_file.Form, *, required: bool = True) -> dict[str, Any]:
    """Key paths and their predicates as tables within tables."""
    found: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for path, predicate in asked.items():
        table, *parts = found, *path.split(".")
        for part in parts[:-1]:
            table = table["properties"][part]
        if predicate is not band_file.a_table_of_metrics:
            table.setdefault("properties", {})[parts[-1]] = dict(FRAGMENTS[predicate])
        if required:
            table.setdefault("required", []).append(parts[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
