"""Pooling: how an embedding model makes one vector of a text, by its own files."""

from pathlib import Path
from typing import Literal

from seedband.errors import UsageError
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject

Pooling = Literal["mean", "cls", "model"]
#: Letters of a pooling that a message shows.
MAX_SHOWN = 80


def resolve_pooling(asked: str, base: Path) -> Pooling:
    """The pooling that `[head] pooling` means for this base.

    Raises:
        UsageError: The embedding model pools in a way that is not supported.
    """
    if asked in ("mean", "cls", "model"):
        return asked  # type: ignore[return-value]
    config = base / "1_Pooling" / "config.json"
    if not config.is_file():
        return "model"
    modes = _pooling_modes(json_files.parse_json(config, json_files.MAX_FOREIGN_BYTES))
    own: dict[str, Pooling] = {"mean": "mean", "cls": "cls"}
    if len(modes) != 1 or modes[0] not in own:
        found = " and ".join(modes)[:MAX_SHOWN] or "no pooling that is known"
        raise UsageError(f"head.pooling: {config} asks for {found}", hint='set pooling = "mean", "cls" or "model"')
    return own[modes[0]]


def _pooling_modes(settings: JsonObject) -> list[str]:
    """What sentence-transformers pools by: since 5.4 `pooling_mode`, one name or several; before, switches."""
    told = settings.get("pooling_mode")
    if told is None:
        switches = (name for name, on in settings.items() if name.startswith("pooling_mode_") and on is True)
        return [name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token") for name in switches]
    return [str(mode) for mode in (told if isinstance(told, list) else [told])]


def after_pooling(base: Path) -> list[str]:
    """Modules of an embedding model that act on its pooled vectors, which a head here is not given.

    Raises:
        UsageError: modules.json is no list of modules.
    """
    path = base / "modules.json"
    if not path.is_file():
        return []
    try:
        modules = json_files.loads(json_files.read_text(path, json_files.MAX_FOREIGN_BYTES))
        types = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path}: not the modules of an embedding model") from error
    later = types[types.index("Pooling") + 1 :] if "Pooling" in types else []
    # A linear head can do with vectors of any length, and most embedding models end with it.
    return [name for name in later if name != "Normalize"]
