"""Write the reference from the code: docs/reference/cli.md, config.md, and the JSON Schema of seedband.toml.

    python scripts/write_reference.py [--check]

--check writes nothing, and exits 1 where a page is not what the code says.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click

from seedband import keys, recipe
from seedband.cli import app

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
#: Bounds in a JSON Schema, as they are told.
BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
#: What is no bound that anybody meets: the largest 32-bit integer.
UNBOUNDED = 2**31 - 1
#: Types of JSON as people call them.
KINDS = {"boolean": "true, false", "object": "table", "string": "text"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    check = parser.parse_args().check
    stale = [name for name, text in pages().items() if not is_same(REFERENCE / name, text)]
    for name in stale:
        print(f"{name} {'is stale: python scripts/write_reference.py' if check else 'written'}")
        if not check:
            (REFERENCE / name).parent.mkdir(parents=True, exist_ok=True)
            (REFERENCE / name).write_text(pages()[name], encoding="utf-8")
    return int(check and bool(stale))


def is_same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def pages() -> dict[str, str]:
    """Path below docs/reference → content."""
    schema = recipe.json_schema()
    return {
        "cli.md": command_page(),
        "config.md": config_page(schema),
        "schemas/recipe.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
    }


def command_page() -> str:
    """Every command with its arguments and options, as `--help` has them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="seedband", title="Commands")
    return f"{text.rstrip()}\n"


def config_page(schema: Mapping[str, Any]) -> str:
    """A table a section."""
    lines = [
        "# seedband.toml",
        "Or `[tool.seedband]` in pyproject.toml. Relative paths start at the file.",
        "Unknown keys are mistakes, and every mistake is told at once.",
        "Editors read the [JSON Schema](schemas/recipe.schema.json).",
    ]
    for name, entry in schema["properties"].items():
        many = entry.get("type") == "array"
        section = schema["$defs"][(entry["items"] if many else entry)["$ref"].rpartition("/")[2]]
        lines += ["", f"## [[{name}]]" if many else f"## [{name}]", keys.sections()[name].text, ""]
        lines += ["| key | value | default | |", "|---|---|---|---|"]
        needed = section.get("required", [])
        for key, told in section["properties"].items():
            default = default_of(told)
            if key in needed:
                default = "**needed**"
            elif key in recipe.NEEDED.get(name, ()):
                default = "**needed**, but where a command reports its own scores"
            text = escape(" ".join(told["description"].split()), quote=False)
            lines.append(f"| `{key}` | {value_of(told)} | {default} | {text} |")
    return "\n".join(lines) + "\n"


def default_of(entry: Mapping[str, Any]) -> str:
    return "–" if entry.get("default") is None else f"`{json.dumps(entry['default'], ensure_ascii=False)}`"


def value_of(entry: Mapping[str, Any]) -> str:
    """What a key takes, in a table's cell."""
    return " or ".join(dict.fromkeys(_values(entry)))


def _values(entry: Mapping[str, Any]) -> Iterator[str]:
    if "anyOf" in entry:
        for inner in entry["anyOf"]:
            yield from _values(inner)
    elif "enum" in entry:
        yield ", ".join(f'`"{value}"`' for value in entry["enum"])
    elif "const" in entry:
        yield f'`"{entry["const"]}"`'
    elif entry.get("type") == "array":
        yield f"list of {value_of(entry.get('items', {})) or 'values'}"
    elif entry.get("type") != "null":
        kind = KINDS.get(entry["type"], entry["type"])
        bounds = [told.format(entry[key]) for key, told in BOUNDS.items() if entry.get(key, UNBOUNDED) != UNBOUNDED]
        yield " ".join([kind, ", ".join(bounds)]).strip()


if __name__ == "__main__":
    sys.exit(main())
