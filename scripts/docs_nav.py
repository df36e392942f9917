"""A hook of MkDocs: an entry of the navigation that names a folder, such as `decisions/`, stands for all its pages."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.nav = spelled_out(config.nav, Path(config.docs_dir))
    return config


def spelled_out(entry: Any, docs: Path) -> Any:
    """The navigation without folders; their pages stand in the order of their names, the index first."""
    if isinstance(entry, list):
        return [spelled_out(part, docs) for part in entry]
    if isinstance(entry, dict):
        return {title: spelled_out(part, docs) for title, part in entry.items()}
    if not entry.endswith("/"):
        return entry
    pages = sorted((docs / entry).glob("*.md"), key=lambda page: (page.name != "index.md", page.name))
    if not pages:
        raise PluginError(f"mkdocs.yml, nav: {entry}: no pages in this folder of {docs}")
    return [page.relative_to(docs).as_posix() for page in pages]
