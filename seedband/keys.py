"""The keys of seedband.toml with their documentation: the text below each key in `records`, said once for all.

Python keeps no text of an attribute, so it is read from the source that the package carries.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from seedband import records
from seedband.errors import SeedbandError


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
    classes = {node.name: node for node in ast.parse(_source()).body if isinstance(node, ast.ClassDef)}
    return {name: _section(classes[kind]) for name, kind in _kinds(classes["Recipe"])}


def _source() -> str:
    try:
        return inspect.getsource(records)
    except OSError as error:
        raise SeedbandError("the source of seedband.records is not installed", hint="install seedband anew") from error


def _kinds(recipe: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Name of every section, and the dataclass that describes it."""
    for node in recipe.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            named = [inner.id for inner in ast.walk(node.annotation) if isinstance(inner, ast.Name)]
            yield node.target.id, next(name for name in named if name.endswith("Section"))


def _section(node: ast.ClassDef) -> Section:
    text = (ast.get_docstring(node) or "").partition(": ")[2]
    keys = {}
    for key, below in zip(node.body, node.body[1:], strict=False):
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and isinstance(below, ast.Expr):
            keys[key.target.id] = inspect.cleandoc(str(ast.literal_eval(below.value)))
    return Section(text[:1].upper() + text[1:], keys)
