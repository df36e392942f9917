"""How long texts are, in tokens of a base model, and what they are cut to for it."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seedband.counts import counted
from seedband.data.dataset import Items
from seedband.models import model_config

#: What texts and answers are cut to, in tokens.
LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
ANSWER_LENGTHS = (8, 16, 32, 64, 128, 256, 512)
#: Of a language, for a guess where there is no tokenizer.
TOKENS_PER_WORD = 1.4
#: Share of texts that fit uncut, and what a chat template puts around a message, in tokens.
UNCUT, AROUND_MESSAGE = 0.995, 8


class Lengths(NamedTuple):
    """Lengths in tokens.

    Attributes:
        shortest: Of a row; for a language model with what it shall say.
        longest: Likewise.
        kept: What rows are cut to: `[model] max_length`.
        n_cut: Rows that are longer.
        answered: Tokens of an answer at most; 0 where nothing is answered.
    """

    shortest: int
    longest: int
    kept: int
    n_cut: int
    answered: int

    def in_words(self) -> str:
        """All of it, on one line."""
        cut = f"; {counted(self.n_cut, 'row is', 'rows are')} cut" if self.n_cut else ""
        answers = f", answers of up to {self.answered}" if self.answered else ""
        return f"lengths: {self.shortest} to {counted(self.longest, 'token')}, max_length {self.kept}{answers}{cut}"


def lengths_of(items: Items, base: Path, *, answers: bool) -> Lengths:
    """Lengths of the rows of a data set, with their answers or without, and the length that keeps them."""
    count, places = _counter(base), model_config.positions(base) or LENGTHS[-1]
    counts, answered = count([_plain(text, chat=items.chat) for text in items.inputs]), 0
    if items.pairs is not None:
        counts = [sum(both) for both in zip(counts, count(items.pairs), strict=True)]
    if answers:
        said = count(items.targets)
        answered = _enough(ANSWER_LENGTHS, [n + 1 for n in said], max(1, places // 2))
        around = [AROUND_MESSAGE * (2 + text.count('"role"')) if items.chat else 2 for text in items.inputs]
        counts = [sum(parts) for parts in zip(counts, said, around, strict=True)]
    kept = _enough(LENGTHS, counts, places - answered)
    return Lengths(min(counts), max(counts), kept, sum(n > kept for n in counts), answered)


def _counter(base: Path) -> Callable[[Sequence[str]], list[int]]:
    """A counter of tokens: the model's own tokenizer, or a guess from words."""
    if not (base / "tokenizer.json").is_file():
        return lambda texts: [2 + math.ceil(TOKENS_PER_WORD * len(text.split())) for text in texts]
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))]


def _enough(lengths: Sequence[int], counts: Sequence[int], places: int) -> int:
    """The shortest of some lengths that leaves almost all texts whole, as far as there are places."""
    wanted = sorted(counts)[math.ceil(UNCUT * len(counts)) - 1]
    return min(places, next((length for length in lengths if length >= wanted), lengths[-1]))


def _plain(text: str, *, chat: bool) -> str:
    return "\n".join(str(message["content"]) for message in json.loads(text)) if chat else text
