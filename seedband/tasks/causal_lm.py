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
from seedband.networks import Network, load_tokenizer, loading, network
from seedband.predictions import Generations
from seedband.records import Scoring

PEFT = "CAUSAL_LM"
HEADS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Row:
    """One row in tokens.

    Attributes:
        prompt: What is given.
        completion: What is to be said, its end included.
        cut: Tokens that were left out to keep within the length.
    """

    prompt: list[int]
    completion: list[int]
    cut: int


def load(path: str, labels: Sequence[str]) -> Network:  # noqa: ARG001  every task has labels, this one none
    """A causal language model."""
    from transformers import AutoModelForCausalLM

    model, info = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True, **loading())
    return network(model, info)


class Lesson:
    """Prompts with their completions."""

    def __init__(self, items: Items, scoring: Scoring) -> None:
        self._tokenizer = load_tokenizer(scoring.base.path)
        self.rows = tokenised(self._tokenizer, items, scoring.max_length)
        self.by_length = sorted(range(len(self.rows)), key=lambda row: len(self.rows[row].prompt))

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
    model.module.to(device).eval()
    order = sorted(range(len(rows)), key=lambda row: len(rows[row].prompt))
    texts, losses = [""] * len(rows), np.zeros(len(rows))
    with torch.inference_mode():
        for start in range(0, len(order), scoring.batch_size):
            chosen = order[start : start + scoring.batch_size]
            batch = [rows[row] for row in chosen]
            said = _generate(model, tokenizer, batch, scoring.generation.max_new_tokens, device)
            summed = nll(model.forward(whole(tokenizer, batch, torch.device(device))), batch)
            for row, text, value in zip(chosen, said, summed.double().cpu().tolist(), strict=True):
                texts[row], losses[row] = text, value
    n_tokens = np.array([len(row.completion) for row in rows], dtype=np.int64)
    vocabulary = int(getattr(model.module.config, "vocab_size", len(tokenizer)))
    return Generations(tuple(texts), losses, n_tokens, vocabulary)


def tokenised(tokenizer: Any, items: Items, max_length: int) -> list[Row]:
    """Every row in tokens; what is too long loses the start of its prompt, then the end of its completion."""
    rows = []
    for prompt, completion in _texts(tokenizer, items):
        given = tokenizer(prompt, add_special_tokens=not items.chat)["input_ids"]
        said = tokenizer(completion, add_special_tokens=False)["input_ids"]
        if not items.chat and tokenizer.eos_token_id is not None:
            said = [*said, tokenizer.eos_token_id]
        rows.append(_shortened(given, said, max_length))
    return rows


def whole(tokenizer: Any, rows: Sequence[Row], device: torch.device) -> dict[str, torch.Tensor]:
    """Prompts with their completions, and how many logits from the end matter."""
    batch = _padded(tokenizer, [[*row.prompt, *row.completion] for row in rows], device)
    return {**batch, "logits_to_keep": max(len(row.completion) for row in rows) + 1}  # type: ignore[dict-item]


def nll(logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """Negative log-likelihood of every row's completion, in nats, shape (rows,)."""
    longest = max(len(row.completion) for row in rows)
    targets = torch.full((len(rows), longest), -100)
    for index, row in enumerate(rows):
        targets[index, longest - len(row.completion) :] = torch.tensor(row.completion)
    # The logits of a token are those of the place before it.
    before = logits[:, -longest - 1 : -1].float()
    each = functional.cross_entropy(before.transpose(1, 2), targets.to(logits.device), reduction="none")
    return each.sum(1)


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


def _shortened(prompt: list[int], completion: list[int], max_length: int) -> Row:
    kept = completion[: max_length - 1]
    room = max_length - len(kept)
    given = prompt if len(prompt) <= room else prompt[-room:]
    return Row(given, kept, len(prompt) - len(given) + len(completion) - len(kept))


def _padded(tokenizer: Any, rows: Sequence[Sequence[int]], device: torch.device) -> dict[str, torch.Tensor]:
    """Token ids, their mask and their places, padded on the left."""
    length, pad = max(map(len, rows)), tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    ids = torch.tensor([[pad] * (length - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}


def _generate(model: Network, tokenizer: Any, rows: Sequence[Row], max_new_tokens: int, device: str) -> list[str]:
    """Greedy completions; what the model's own generation config says of sampling is left aside."""
    from transformers import GenerationConfig

    module: Any = model.module
    own = getattr(module, "generation_config", None)
    ends = {tokenizer.eos_token_id, *_listed(getattr(own, "eos_token_id", None))} - {None}
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    config = GenerationConfig(
        do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, eos_token_id=sorted(ends) or None, pad_token_id=pad
    )
    batch = _padded(tokenizer, [row.prompt for row in rows], torch.device(device))
    del batch["position_ids"]  # generation counts them itself
    said = module.generate(**batch, generation_config=config)[:, batch["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(said, skip_special_tokens=True)]


def _listed(value: int | list[int] | None) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]
