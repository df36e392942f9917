"""The keys of seedband.toml with their documentation: the text below each key in `sections`, said once for all."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from seedband.recipe.parse import json_schema


@dataclass(frozen=True)
class Section:
    """A section of seedband.toml.

    Attributes:
        text: What it is about.
        keys: Key → what it means.
    """

    text: str
    keys: Mapping[str, str]


@cache
def sections() -> Mapping[str, Section]:
    """Every section by its name.

    Examples:
        >>> sections()["lora"].keys["r"]
        'Rank.'
    """
    schema = json_schema()
    found = {}
    for name, entry in schema["properties"].items():
        section = schema["$defs"][entry.get("items", entry)["$ref"].rpartition("/")[2]]
        text = section["description"].partition(": ")[2]
        keys = {key: told["description"] for key, told in section["properties"].items()}
        found[name] = Section(text[:1].upper() + text[1:], keys)
    return found
