"""Write the reference from the code: docs/reference/cli.md, config.md, score-files.md, and a JSON Schema.

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

from seedband.cli import app
from seedband.recipe import contradictions, key_docs, parse
from seedband.scorefiles.registry import readers
from seedband.storage import registry

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
#: Bounds in a JSON Schema, as they are told.
BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
#: What is no bound that anybody meets: the largest 32-bit integer.
UNBOUNDED = 2**31 - 1
#: Types of JSON as people call them.
KINDS = {"boolean": "true, false", "object": "table", "string": "text"}

SCORE_FILES = """# Score files
What `seedband band`, `seedband check --scores`, `check_scores` in pytest and the Action read: scores that anything else made.

    seedband band runs/seed_*/eval_results.json
    seedband band runs
    seedband band table.csv --where model=small --metric test_f1
    seedband check --scores runs/new/eval_results.json --band band.json

The format is found by content, and a line on standard error says what was read, what was left, and where the seeds came from.
A plain table that is read whole is read without a word.

| format | what is read | where the seeds come from | in a folder |
|---|---|---|---|
{rows}

Formats of your own are classes in the entry-point group `{entry_points}`; they are asked first.

## Files
Several files are several runs, or several tables; a folder stands for the first kind of file in the table above that is in it,
else for all files of one kind whose paths name seeds. `checkpoint-*` folders are passed over.
A band goes into the place of a band of the same files, to which others may have come, and of the same group.

## Seeds
From the file's own field or column; of a file of one run, else from its path: `seed_42`, `seed-3`, `run-3`, `s42`, of which
`seed` goes before `run`, and `run` before `s`; what all paths have in common tells nothing.
`seed_0`, `0.0` and `"42"` are seeds, too. Where a file and its path disagree, or a path names two seeds, it is refused.
`check` needs no seeds, rule `paired` does.

## Metrics
Every column or field of numbers, apart from settings, counts, times and spreads (epoch, steps, runtime, samples, stderr,
learning rate …), which are left and named; `--metric NAME` reads what it names and nothing else.
Columns of text, empty columns, and rows and columns that sum others up (mean, std, 95%) are left and named.
`check` reads the band's metrics alone.

Which way is better: as the built-in evaluator of that name has it, as `--lower-is-better` and `--higher-is-better` say
(`all` stands for every other metric), as the file says it (lm-evaluation-harness), else by a name that leaves no doubt
(`eval_loss`, `test/macro_f1`), which is told. Any other metric is asked about.
Without `--primary`, the first metric gates of which higher is better, else the first; that is told, too.

## What is refused
| found | what decides |
|---|---|
| rows of several recipes: a seed twice, or a column whose values recur | `--where COLUMN=VALUE`; `'COLUMN=*'` takes all as one |
| several columns that may hold the seeds, or none | `--seed-column NAME` |
| `87.1%` | `--percent` reads it as .871; such a band reads candidates so, too |
| N/A, None, -, an empty cell, NaN | `--failed SEED` where the run failed, `--metric NAME` where another metric is meant |
| no seed in a file of one run, and none in its path | a folder named `seed_3` |
| a metric, seed or item that some runs have and others lack | the missing scores |
"""  # noqa: E501  a row of a table is a line


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
    schema = parse.json_schema()
    return {
        "cli.md": command_page(),
        "config.md": config_page(schema),
        "score-files.md": score_files_page(),
        "schemas/recipe.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
    }


def command_page() -> str:
    """Every command with its arguments and options, as `--help` has them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="seedband", title="Commands")
    return f"{text.rstrip()}\n"


def score_files_page() -> str:
    """A row a format, as the registry has them."""
    rows = []
    for name, reader in readers():
        files = ", ".join(f"`{pattern}`" for pattern in reader.files)
        rows.append(f"| {name} | {reader.summary} | {reader.seeds} | {files} |")
    return SCORE_FILES.format(rows="\n".join(rows), entry_points=registry.SCORE_FILES.group)


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
        lines += ["", f"## [[{name}]]" if many else f"## [{name}]", key_docs.sections()[name].text, ""]
        lines += ["| key | value | default | |", "|---|---|---|---|"]
        needed = section.get("required", [])
        for key, told in section["properties"].items():
            default = default_of(told)
            if key in needed:
                default = "**needed**"
            elif key in contradictions.NEEDED.get(name, ()):
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
