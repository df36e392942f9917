"""Causal language models: a prompt is completed; learnt and scored is the completion alone.

Prompt and completion are tokenised apart, so that what is learnt from is what generation sees. Rows are padded on the
left: completions end at the same place, and only their logits are computed.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from seedband.data.dataset import Items
from seedband.data.rows import Reading, completed
from seedband.errors import Problem
from seedband.models.encoded import batches
from seedband.models.loading import Network, from_folder, load_tokenizer, network
from seedband.models.model_config import end_ids, is_decoder, positions, read_config
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import Recipe
from seedband.tasks import Outputs, Task
from seedband.tasks.base_check import TRIED, check_causal, check_complete, decoder_problems
from seedband.tasks.outputs import Generations
from seedband.tasks.prompt_rows import Row, digest, tokenised, truncation

if TYPE_CHECKING:
    import torch

#: Logits of one forward pass in scoring at most, half a GiB of them: vocabularies have up to 262 144 tokens.
MAX_LOGITS = 2**27


class Lesson:
    """Prompts with their completions."""

    left_padded = True
    equal_lengths = False
    sides = (True,)

    def __init__(self, items: Items, scoring: Scoring, reader: Any = None) -> None:
        self.tokenizer = reader or load_tokenizer(scoring.base.path)
        self.spell = self.tokenizer.batch_decode
        self.padding_id = self.tokenizer.pad_token_id or 0
        self.rows = tokenised(self.tokenizer, items, scoring.max_length)
        self.lengths = [len(row.prompt) + len(row.completion) for row in self.rows]
        self.truncated = truncation(self.rows)

    def batch(self, rows: Sequence[int], device: "torch.device") -> "dict[str, torch.Tensor]":
        """Prompts and completions, padded on the left to the longest row."""
        return whole(self.tokenizer, [self.rows[row] for row in rows], device)

    def loss(self, logits: "torch.Tensor", rows: Sequence[int]) -> "torch.Tensor":
        """Sum of the completions' cross-entropies."""
        return nll(logits, [self.rows[row] for row in rows]).sum()

    def units(self, rows: Sequence[int]) -> int:
        """Tokens of the completions."""
        return sum(len(self.rows[row].completion) for row in rows)

    def misread(self, _: int | None) -> bool:
        """Check whether what fills a row whose answer has ended would be read: id 0 without a pad token."""
        filled = self.tokenizer.pad_token_id is None
        return filled and self.tokenizer.decode([0], skip_special_tokens=True) != ""


class CausalLm(Task):
    """Prompts, or chats, with their completions."""

    name = "causal-lm"
    reading = Reading(("prompt", "completion"), completed, ("messages", "context"), ("input",))
    outputs: ClassVar[Outputs] = "texts"
    scored_by = ("texts", "checkpoint", "any")
    architectures = ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "a decoder that completes texts, such as Llama or Qwen")
    auto = "AutoModelForCausalLM"
    peft = "CAUSAL_LM"
    spells = True
    pipeline = "text-generation"

    def problems(self, recipe: Recipe) -> list[Problem]:
        """A length that leaves no room for both a prompt and its completion."""
        if recipe.model.max_length > 1:
            return []
        return [Problem("model.max_length", "1", "at least 2: a token of the prompt and one of its completion")]

    def base_problems(self, recipe: Recipe, base: Base) -> list[Problem]:  # noqa: ARG002
        """A model that reads texts in both directions, or that has an encoder."""
        return decoder_problems(read_config(Path(base.path)), self.architectures[1])

    def length_problems(self, recipe: Recipe, base: Base) -> list[Problem]:
        """Rows and their answers have one row of places."""
        most, length, more = positions(Path(base.path)), recipe.model.max_length, recipe.generation.max_new_tokens
        if most is None or length + more <= most:
            return []
        found = f"{length}, and generation.max_new_tokens = {more}: {length + more} together"
        return [Problem("model.max_length", found, f"at most {most} together, the positions of {base.reference}")]

    def recognise(self, survey: Any, said: Collection[str], *, generates: bool) -> int | None:
        """A chat, or a prompt with its completion: the model decides where the columns could be for two tasks."""
        if {"messages", "prompt", "completion"} & {*said}:
            return 0
        answered = bool(survey.column_of("prompt") and survey.column_of("completion"))
        if survey.column_of("messages") is not None or (answered and generates):
            return 1
        return 2 if answered else None

    def unfit(self, base: Path) -> str:
        """A model that does not write texts."""
        return "" if is_decoder(base) else f"no language model, and {self.name} needs one"

    def load(self, path: str, labels: Sequence[str]) -> Network:  # noqa: ARG002  it has none
        """A causal language model."""
        from transformers import AutoModelForCausalLM

        model, info = from_folder(AutoModelForCausalLM, path)
        return network(model, info)

    def encode(self, items: Items, scoring: Scoring, reader: Any = None) -> "Lesson":
        """Prompts with their completions, as the base's tokenizer reads them, or another one."""
        return Lesson(items, scoring, reader)

    def reads(self, lesson: "Lesson", row: int) -> dict[str, list[int]]:
        """The inputs of the model for a row, by name."""
        found = lesson.rows[row]
        return {"prompt": found.question, "completion": found.completion, "prompt before its completion": found.prompt}

    def encoded_sha256(self, lesson: "Lesson") -> str:
        """SHA-256 of what the model is given and shall say, token by token."""
        return digest(lesson.rows)

    def check_loaded(self, network: Network) -> None:
        """Refuse a language model of which a part would be drawn by chance."""
        check_complete(network, self)

    def check_trainable(self, network: Network, lesson: "Lesson") -> None:
        """Refuse a language model that knows the tokens which it is to foretell, or counts them otherwise."""
        check_causal(network, [[*row.prompt, *row.completion] for row in lesson.rows[:TRIED]], self)

    def padded_wrongly(self, config: Any, tokenizer: Any) -> Literal["", "scoring", "training"]:  # noqa: ARG002
        """Where answers that had ended were filled with a token that is spelled out."""
        spoken = tokenizer.pad_token_id is None and tokenizer.decode([0], skip_special_tokens=True) != ""
        return "scoring" if spoken else ""

    def predict(self, network: Network, lesson: "Lesson", scoring: Scoring, device: str) -> Generations:
        """The greedy completion of every prompt, and how unlikely the reference was."""
        import torch

        tokenizer, rows = lesson.tokenizer, lesson.rows
        vocabulary = int(getattr(network.module.config, "vocab_size", len(tokenizer)))
        network.module.to(device).eval()
        ends = ends_of(tokenizer, rows, Path(scoring.base.path))
        greedy = _greedily(network, tokenizer, ends, scoring.generation.max_new_tokens)
        asked, equal = [len(row.question) for row in rows], lesson.equal_lengths
        texts, losses = [""] * len(rows), np.zeros(len(rows))
        with torch.inference_mode():
            # Where padding leaks, so may what a model keeps of a batch between tokens, as in RWKV: each row by itself.
            for chosen in batches(asked, 1 if equal else scoring.batch_size, equal=equal):
                said = _generate(network, lesson, [rows[row] for row in chosen], greedy, torch.device(device))
                for row, text in zip(chosen, said, strict=True):
                    texts[row] = text
            # Batches are those of the questions wherever padding does not matter, as they always were.
            for chosen in batches(lesson.lengths if equal else asked, scoring.batch_size, equal=equal):
                batch = [rows[row] for row in chosen]
                losses[chosen] = _nll_in_parts(network, tokenizer, batch, vocabulary, torch.device(device))
        n_tokens = np.array([len(row.completion) for row in rows], dtype=np.int64)
        truncated = replace(lesson.truncated, questions=sum(row.question_cut > 0 for row in rows))
        return Generations(tuple(texts), losses, n_tokens, vocabulary, truncated, {"ends": ends})


def ends_of(tokenizer: Any, rows: Sequence[Row], base: Path) -> list[int]:
    """Tokens that end an answer, whatever the checkpoint: the base's, its tokenizer's, and those that end a turn."""
    turns = {row.turn_end for row in rows}
    return sorted({*end_ids(base), tokenizer.eos_token_id, *turns} - {None})


def whole(tokenizer: Any, rows: Sequence[Row], device: "torch.device") -> "dict[str, torch.Tensor]":
    """Prompts with their completions, how many logits from the end matter, and that nothing follows."""
    batch = _padded(tokenizer, [[*row.prompt, *row.completion] for row in rows], device)
    kept = max(len(row.completion) for row in rows) + 1
    return {**batch, "logits_to_keep": kept, "use_cache": False}  # type: ignore[dict-item]


def nll(logits: "torch.Tensor", rows: Sequence[Row]) -> "torch.Tensor":
    """Negative log-likelihood of every row's completion, in nats, shape (rows,)."""
    import torch
    from torch.nn import functional

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
    model: Network, tokenizer: Any, rows: Sequence[Row], vocabulary: int, device: "torch.device"
) -> list[float]:
    """The losses of `nll`, of as many rows at a time as `MAX_LOGITS` allows."""
    most = max(1, MAX_LOGITS // (vocabulary * (max(len(row.completion) for row in rows) + 1)))
    parts = [rows[start : start + most] for start in range(0, len(rows), most)]
    return [
        value for part in parts for value in nll(model.forward(whole(tokenizer, part, device)), part).double().tolist()
    ]


def _padded(tokenizer: Any, rows: Sequence[Sequence[int]], device: "torch.device") -> "dict[str, torch.Tensor]":
    """Token ids, their mask and their places, padded on the left."""
    import torch

    length, pad = max(map(len, rows)), tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    ids = torch.tensor([[pad] * (length - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}


def _greedily(model: Network, tokenizer: Any, ends: list[int], max_new_tokens: int) -> Any:
    """Greedy generation; of the model's own settings nothing is left.

    transformers takes what a call leaves open from the model: its repetition penalty, its words that are forbidden. A
    whole model brings its own file of them, by which it must not gain over an adapter.
    """
    from transformers import GenerationConfig

    module: Any = model.module
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    module.generation_config = GenerationConfig(
        do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, eos_token_id=ends or None, pad_token_id=pad
    )
    return module.generation_config


def _generate(model: Network, lesson: Lesson, rows: Sequence[Row], greedy: Any, device: "torch.device") -> list[str]:
    """The answers to some questions."""
    module: Any = model.module
    batch = _padded(lesson.tokenizer, [row.question for row in rows], device)
    del batch["position_ids"]  # generation counts them itself
    said = module.generate(**batch, generation_config=greedy)[:, batch["input_ids"].shape[1] :].tolist()
    ended = [_until_end(tokens, greedy.eos_token_id or ()) for tokens in said]
    return [text.strip() for text in lesson.spell(ended, skip_special_tokens=True)]


def _until_end(tokens: list[int], ends: Collection[int]) -> list[int]:
    """An answer up to its first end token: what fills its row behind that may decode to something."""
    first = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[: first + 1]
