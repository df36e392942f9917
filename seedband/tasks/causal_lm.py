"""Causal language models: a prompt is completed; learnt and scored is the completion alone.

Prompt and completion are tokenised apart, so that what is learnt from is what generation sees. Rows are padded on the
left: completions end at the same place, and only their logits are computed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from seedband.dataset import Items
from seedband.errors import UsageError
from seedband.networks import Network, from_folder, load_tokenizer, network
from seedband.predictions import Generations
from seedband.records import Scoring, Truncation

PEFT = "CAUSAL_LM"
HEADS: frozenset[str] = frozenset()
#: Logits of one forward pass in scoring at most, half a GiB of them: vocabularies have up to 262 144 tokens.
MAX_LOGITS = 2**27


@dataclass(frozen=True)
class Row:
    """One row in tokens.

    Attributes:
        prompt: What is given.
        completion: What is to be said, its end included.
        prompt_cut: Tokens that the prompt lost to keep within the length.
        completion_cut: Tokens that the completion lost.
        bare: Whether one token remains of a prompt that was cut, or none.
    """

    prompt: list[int]
    completion: list[int]
    prompt_cut: int
    completion_cut: int
    bare: bool


def load(path: str, labels: Sequence[str]) -> Network:  # noqa: ARG001  every task has labels, this one none
    """A causal language model."""
    from transformers import AutoModelForCausalLM

    model, info = from_folder(AutoModelForCausalLM, path)
    return network(model, info)


class Lesson:
    """Prompts with their completions."""

    left_padded = True

    def __init__(self, items: Items, scoring: Scoring) -> None:
        self._tokenizer = load_tokenizer(scoring.base.path)
        self.rows = tokenised(self._tokenizer, items, scoring.max_length)
        self.by_length = sorted(range(len(self.rows)), key=lambda row: len(self.rows[row].prompt))
        self.truncated = truncation(self.rows)

    def batch(self, rows: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """Prompts and completions, padded on the left to the longest row."""
        return whole(self._tokenizer, [self.rows[row] for row in rows], device)

    def loss(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """Sum of the completions' cross-entropies."""
        return nll(logits, [self.rows[row] for row in rows]).sum()

    def units(self, rows: Sequence[int]) -> int:
        """Tokens of the completions."""
        return sum(len(self.rows[row].completion) for row in rows)


def encode(items: Items, scoring: Scoring) -> Lesson:
    """Rows to learn from."""
    return Lesson(items, scoring)


def predict(model: Network, items: Items, scoring: Scoring, device: str) -> Generations:
    """The greedy completion of every prompt, and how unlikely the reference was."""
    tokenizer = load_tokenizer(scoring.base.path)
    rows = tokenised(tokenizer, items, scoring.max_length)
    vocabulary = int(getattr(model.module.config, "vocab_size", len(tokenizer)))
    model.module.to(device).eval()
    greedy = _greedily(model, tokenizer, scoring.generation.max_new_tokens)
    order = sorted(range(len(rows)), key=lambda row: len(rows[row].prompt))
    texts, losses = [""] * len(rows), np.zeros(len(rows))
    with torch.inference_mode():
        for start in range(0, len(order), scoring.batch_size):
            chosen = order[start : start + scoring.batch_size]
            batch = [rows[row] for row in chosen]
            said = _generate(model, tokenizer, batch, greedy, torch.device(device))
            summed = _nll_in_parts(model, tokenizer, batch, vocabulary, torch.device(device))
            for row, text, value in zip(chosen, said, summed, strict=True):
                texts[row], losses[row] = text, value
    n_tokens = np.array([len(row.completion) for row in rows], dtype=np.int64)
    return Generations(tuple(texts), losses, n_tokens, vocabulary, truncation(rows))


def tokenised(tokenizer: Any, items: Items, max_length: int) -> list[Row]:
    """Every row in tokens; what is too long loses the start of its prompt, then the end of its completion.

    The mark that begins a text stays in its place: there are models that say nothing sensible without.
    """
    rows, begin, end = [], tokenizer.bos_token_id, tokenizer.eos_token_id
    for prompt, completion in _texts(tokenizer, items):
        given = tokenizer(prompt, add_special_tokens=not items.chat, verbose=False)["input_ids"]
        said = tokenizer(completion, add_special_tokens=False, verbose=False)["input_ids"]
        if not items.chat and end is not None:
            given, said = given[:-1] if given[-1:] == [end] else given, [*said, end]
        marks = 1 if begin is not None and given[:1] == [begin] else 0
        rows.append(_shortened(given, said, max_length, marks))
    return rows


def truncation(rows: Sequence[Row]) -> Truncation:
    """What was left out of them."""
    lost = [row.prompt_cut + row.completion_cut for row in rows]
    completions = sum(row.completion_cut > 0 for row in rows)
    return Truncation(sum(n > 0 for n in lost), sum(lost), sum(row.bare for row in rows), completions)


def whole(tokenizer: Any, rows: Sequence[Row], device: torch.device) -> dict[str, torch.Tensor]:
    """Prompts with their completions, how many logits from the end matter, and that nothing follows."""
    batch = _padded(tokenizer, [[*row.prompt, *row.completion] for row in rows], device)
    kept = max(len(row.completion) for row in rows) + 1
    return {**batch, "logits_to_keep": kept, "use_cache": False}  # type: ignore[dict-item]


def nll(logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """Negative log-likelihood of every row's completion, in nats, shape (rows,)."""
    # The logits of a token are those of the place before it; the last place has none to foretell.
    return torch.stack(
        [
            functional.cross_entropy(
                row[-len(said) - 1 : -1].float(), torch.tensor(said, device=row.device), reduction="sum"
            )
            for row, said in zip(logits, (row.completion for row in rows), strict=True)
        ]
    )


def _nll_in_parts(
    model: Network, tokenizer: Any, rows: Sequence[Row], vocabulary: int, device: torch.device
) -> list[float]:
    """What `nll` says, of as many rows at a time as `MAX_LOGITS` allows."""
    most = max(1, MAX_LOGITS // (vocabulary * (max(len(row.completion) for row in rows) + 1)))
    parts = [rows[start : start + most] for start in range(0, len(rows), most)]
    return [
        value for part in parts for value in nll(model.forward(whole(tokenizer, part, device)), part).double().tolist()
    ]


def _texts(tokenizer: Any, items: Items) -> list[tuple[str, str]]:
    if not items.chat:
        return list(zip(items.inputs, items.targets, strict=True))
    if not tokenizer.chat_template:
        raise UsageError(
            f"{items.path}: its rows are chats, and the base's tokenizer has no chat template",
            hint="give prompt and completion instead, or a base that was tuned for chats",
        )
    pairs = []
    for talk, answer in zip(items.inputs, items.targets, strict=True):
        messages = json.loads(talk)
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        full = tokenizer.apply_chat_template([*messages, {"role": "assistant", "content": answer}], tokenize=False)
        if not full.startswith(prompt):
            raise UsageError(f"{items.path}: the chat template of the base says a prompt otherwise once it is answered")
        pairs.append((prompt, full.removeprefix(prompt)))
    return pairs


def _shortened(prompt: list[int], completion: list[int], max_length: int, marks: int) -> Row:
    """A row that keeps within the length, and the first `marks` tokens of its prompt."""
    said = completion[: max_length - 1]
    room = max_length - len(said)
    if len(prompt) <= room:
        return Row(prompt, said, 0, len(completion) - len(said), bare=False)
    kept = room - marks
    given = prompt[:marks] + (prompt[-kept:] if kept else [])
    return Row(given, said, len(prompt) - len(given), len(completion) - len(said), bare=kept <= 1)


def _padded(tokenizer: Any, rows: Sequence[Sequence[int]], device: torch.device) -> dict[str, torch.Tensor]:
    """Token ids, their mask and their places, padded on the left."""
    length, pad = max(map(len, rows)), tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    ids = torch.tensor([[pad] * (length - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}


def _greedily(model: Network, tokenizer: Any, max_new_tokens: int) -> Any:
    """Greedy generation; of the model's own settings nothing is left but where an answer ends.

    transformers takes what a call leaves open from the model: its repetition penalty, its words that are forbidden.
    """
    from transformers import GenerationConfig

    module: Any = model.module
    own = getattr(module, "generation_config", None)
    ends = {tokenizer.eos_token_id, *_listed(getattr(own, "eos_token_id", None))} - {None}
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    module.generation_config = GenerationConfig(
        do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, eos_token_id=sorted(ends) or None, pad_token_id=pad
    )
    return module.generation_config


def _generate(model: Network, tokenizer: Any, rows: Sequence[Row], greedy: Any, device: torch.device) -> list[str]:
    """The completions of some prompts."""
    module: Any = model.module
    batch = _padded(tokenizer, [row.prompt for row in rows], device)
    del batch["position_ids"]  # generation counts them itself
    said = module.generate(**batch, generation_config=greedy)[:, batch["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(said, skip_special_tokens=True)]


def _listed(value: int | list[int] | None) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]
