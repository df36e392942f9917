"""Packages that add a task, a method, an evaluator …, as far as Python knows of them: their entry points."""

from importlib.metadata import EntryPoint

from seedband.storage import registry


def install(monkeypatch, kind: registry.Registry, *plugins: tuple[str, str]) -> None:
    """Have packages claim names of a kind: name and `module:attribute` of each."""
    entries = tuple(EntryPoint(name, value, kind.group) for name, value in plugins)
    monkeypatch.setattr(registry, "_entries", lambda group: entries if group == kind.group else ())
