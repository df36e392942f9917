"""The configs of a model: what its JSON files say of it, without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Predicate

from seedband.storage import json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.validation import checked, read_foreign

#: Digits of a class number; nobody has more classes.
MAX_DIGITS = 9
#: Model types whose positions begin behind that of the padding.
AFTER_PADDING = frozenset({
    "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert", "mpnet", "longformer",
    "data2vec-text", "ibert", "luke", "lilt",
})  # fmt: skip


def a_class_number(value: str) -> bool:
    """Check whether a key of `id2label` counts outputs."""
    return value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS


@dataclass(frozen=True)
class _Config:
    """config.json of a model, likewise."""

    id2label: Mapping[Annotated[str, Predicate(a_class_number)], Any] | None = None
    model_type: str | None = None


@dataclass(frozen=True)
class _Ends:
    """generation_config.json, or config.json: where a text ends."""

    eos_token_id: int | list[int] | None = None


def read_config(folder: Path) -> JsonObject:
    """config.json of a model; empty where there is none."""
    config = folder / "config.json"
    return read_foreign(config, _Config)[1] if config.is_file() else {}


def is_decoder(folder: Path) -> bool:
    """Check whether a model writes texts, by its architecture."""
    config = read_config(folder)
    named = () if config.get("is_encoder_decoder") else config.get("architectures") or ()
    return any(str(name).endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) for name in named)


def own_labels(folder: Path) -> list[str]:
    """The labels that a whole model names, in the order of its outputs; names that libraries make up say nothing."""
    named = read_config(folder).get("id2label") or {}
    own = [str(named[key]) for key in sorted(named, key=int)]
    return [] if all(label.startswith("LABEL_") for label in own) else own


def end_ids(folder: Path) -> list[int]:
    """Tokens that end a text, as a model's generation_config.json says, or else its config.json.

    Raises:
        Refused: They are no token ids.
    """
    generation = folder / "generation_config.json"
    told = [read_foreign(generation, _Ends)[1]] if generation.is_file() else []
    for table in (*told, *_text_configs(folder)):
        found = checked({"eos_token_id": table.get("eos_token_id")}, _Ends, str(folder)).eos_token_id
        if found is not None:
            return found if isinstance(found, list) else [found]
    return []


def positions(folder: Path) -> int | None:
    """How many tokens a model has places for; None where its config does not say."""
    for table in _text_configs(folder):
        for value in (table.get("max_position_embeddings"), table.get("n_positions")):
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                pad = table.get("pad_token_id", 1)
                return value - (pad + 1 if table.get("model_type") in AFTER_PADDING and isinstance(pad, int) else 0)
    return None


def vocabulary(folder: Path) -> int | None:
    """How many tokens a model's embeddings have; None where its config does not say."""
    sizes = (table.get("vocab_size") for table in _text_configs(folder))
    return next((size for size in sizes if isinstance(size, int) and not isinstance(size, bool)), None)


def _text_configs(folder: Path) -> list[JsonObject]:
    """config.json, and what it says of texts apart where the model reads something else, too."""
    config = read_config(folder)
    inner = config.get("text_config")
    return [config, *([inner] if isinstance(inner, dict) else [])]


def has_chat_template(folder: Path) -> bool:
    """Check whether the tokenizer of a model knows how a chat is written down."""
    config = folder / "tokenizer_config.json"
    told = (
        json_files.parse_json(config, json_files.MAX_FOREIGN_BYTES).get("chat_template") if config.is_file() else None
    )
    named = (
        [entry.get("name") for entry in told if isinstance(entry, Mapping)] if isinstance(told, list) else ["default"]
    )
    return (bool(told) and "default" in named) or (folder / "chat_template.jinja").is_file()
