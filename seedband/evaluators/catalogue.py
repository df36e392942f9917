"""The catalogue of evaluators that are installed, for people."""

import inspect
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from seedband.evaluators.prefixes import PREFIXES
from seedband.storage.registry import EVALUATORS

if TYPE_CHECKING:
    from seedband.evaluators import Evaluator


class Listed(NamedTuple):
    """One evaluator, for people.

    Attributes:
        name: As a recipe says it.
        summary: What it scores, in one line.
        reads: What it asks for; empty where that depends.
        better: "higher", "lower", or empty where that depends.
        origin: "seedband", or the package that brings it.
        missing: What to install for it; empty when nothing is.
    """

    name: str
    summary: str
    reads: str
    better: str
    origin: str
    missing: str


def listing() -> list[Listed]:
    """Every evaluator that is installed, by name; one that cannot be imported says so."""
    found = [_listed(name, place, "seedband") for name, place in sorted(EVALUATORS.built_in.items())]
    found += [
        Listed(
            f"{prefix}:{entry.names}", entry.summary, entry.reads, "", "seedband", _missing(entry.library, entry.extra)
        )
        for prefix, entry in sorted(PREFIXES.items())
    ]
    return found + [_listed(name, entry.value, _package(entry)) for name, entry in EVALUATORS.installed().items()]


def _listed(name: str, reference: str, origin: str) -> Listed:
    module, _, attribute = reference.partition(":")
    try:
        found: type[Evaluator] = getattr(import_module(module), attribute)
        summary = (inspect.getdoc(found) or "").partition("\n")[0]
        better = "higher" if found.higher_is_better else "lower"
        return Listed(name, summary, found.reads, better, origin, _missing(found.library, found.extra))
    except Exception as error:  # noqa: BLE001  a package of somebody's that is broken must not hide the others
        return Listed(name, f"cannot be used: {type(error).__name__}: {error}", "", "", origin, "")


def _missing(library: str, extra: str) -> str:
    installed = not library or find_spec(library.partition(".")[0]) is not None
    return "" if installed else f'pip install "seedband[{extra}]"'


def _package(entry: EntryPoint) -> str:
    return "" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
