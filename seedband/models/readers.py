"""Readers: what makes of an item what a model reads, a tokenizer or an image processor."""

from collections.abc import Callable
from typing import Any, NamedTuple

from seedband.models.loading import load_processor, load_tokenizer


class InputReader(NamedTuple):
    """One kind of reader.

    Attributes:
        name: What messages call it.
        files: A base has one of these.
        own: Patterns of files by which a checkpoint brings one of its own.
        beside: Patterns of what goes with them.
        load: Opens the one in a folder.
        needs_files: Whether there is none without one of `files`; else transformers may know another way.
    """

    name: str
    files: tuple[str, ...]
    own: tuple[str, ...]
    beside: tuple[str, ...]
    load: Callable[[str], Any]
    needs_files: bool


TOKENIZER = InputReader(
    name="tokenizer",
    files=(
        "tokenizer.json",
        "vocab.txt",
        "vocab.json",
        "tokenizer.model",
        "spiece.model",
        "sentencepiece.bpe.model",
    ),
    own=(
        "tokenizer.json", "vocab*", "*[-_]vocab*", "*.model", "*.model.v*", "*.bpe", "*.codes", "*.spm", "*.tiktoken",
        "tekken.json",
    ),
    beside=(
        "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template*",
        "additional_chat_templates/*",
    ),
    load=load_tokenizer,
    needs_files=False,
)  # fmt: skip
PROCESSOR = InputReader(
    name="image processor",
    files=("preprocessor_config.json", "processor_config.json"),
    own=("preprocessor_config.json", "processor_config.json"),
    beside=(),
    load=load_processor,
    needs_files=True,
)
