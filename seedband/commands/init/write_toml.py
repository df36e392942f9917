"""A recipe as a seedband.toml that says what its keys mean."""

import json
import textwrap
from collections.abc import Mapping
from typing import TypeAlias

from seedband.recipe.key_docs import Section, sections

#: Keys of a section and their values, as TOML has them.
SectionValues: TypeAlias = Mapping[str, object]
#: Sections by their names; `evaluate` is a list of them.
RecipeTable: TypeAlias = Mapping[str, SectionValues | list[SectionValues]]
#: Letters of a line.
WIDTH = 100


def commented(table: RecipeTable, head: str) -> str:
    """The text of seedband.toml: every key of the table with its meaning, in the order of the table.

    Args:
        table: Section → key → value; `evaluate` is a list of such sections.
        head: What stands above, one line or several.
    """
    parts = [_comment(head)]
    known = sections()
    for name, section in table.items():
        if isinstance(section, list):
            parts += [_section(f"[[{name}]]", entry, known[name], first=entry is section[0]) for entry in section]
        else:
            parts.append(_section(f"[{name}]", section, known[name]))
    return "\n".join(parts)


def _section(title: str, values: SectionValues, known: Section, *, first: bool = True) -> str:
    lines = [title, *([_comment(known.text).rstrip()] if first else [])]
    for key, value in values.items():
        line, text = f"{key} = {_toml(value)}", known.keys[key] if first else ""
        beside = f"{line:<36}  # {text}"
        if not text:
            lines.append(line)
        elif len(beside) <= WIDTH:
            lines.append(beside)
        else:
            lines += [_comment(text).rstrip(), line]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    wrapped = [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH - 2, break_long_words=False)]
    return "\n".join(f"# {line}" for line in wrapped) + "\n"


def _toml(value: object) -> str:
    """A value as TOML writes it; a list stays on its line."""
    import tomli_w

    if isinstance(value, list | tuple):
        return json.dumps(list(value), ensure_ascii=False)
    return tomli_w.dumps({"key": value}).removeprefix("key = ").strip()
