"""Causal language models: a prompt is completed; learnt and scored is the completion alone.

Prompt and completion are tokenised apart, so that what is learnt from is what generation sees. Rows are padded on the
left: completions end at the same place, and only their logits are computed.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from seedband.data.dataset import Items
from seedband.data.rows import Reading, completed
from seedband.errors import Problem, UsageError
from seedband.models.encoded import Truncation, batches
from seedband.models.loading import Network, from_folder, load_tokenizer, network
from seedband.models.model_folders import end_ids, is_decoder, positions, read_config
from seedband.recipe.scoring import Base, Scoring
from seedband.recipe.sections import Recipe
from seedband.storage import json_files
from seedband.tasks import Outputs, Task
from seedband.tasks.base_check import TRIED, check_causal, check_complete, decoder_problems
from seedband.tasks.outputs import Generations

if TYPE_CHECKING:
    import torch

#: Logits of one forward pass in scoring at most, half a GiB of them: vocabularies have up to 262 144 tokens.
MAX_LOGITS = 2**27
#: What chat templates that print the date are told is today: the day that Llama's own falls back on.
TODAY = date(2024, 7, 26)
#: Put before such a template, it says that day whenever the template asks: scores must not depend on the calendar.
#: A variable would not do, for transformers makes text of functions that it hands to a template.
CALENDAR = (
    "{% macro strftime_now(format) %}{{ format"
    + "".join(f"|replace('%{mark}', '{TODAY.strftime('%' + mark)}')" for mark in "aAbBdHIjmMpSyYcxX")
    + "|replace('%-d', '26')|replace('%-m', '7') }}{% endmacro %}\n"
)


@dataclass(frozen=True)
class Row:
    """One row in tokens.

    Attributes:
        question: The prompt that is answered in scoring: what it may hold does not depend on the completion.
        prompt: What is given before the completion, in training and to find how likely the completion is.
        completion: What is to be said, its end included.
        question_cut: Tokens that the question lost to keep within the length.
        prompt_cut: Tokens that the prompt lost to keep within the length together with its completion.
        completion_cut: Tokens that the completion lost.
        bare: Whether one token remains of a prompt that was cut, or none.
        turn_end: The special token by which a chat's template ends an answer, if any.
    """

    question: list[int]
    prompt: list[int]
    completion: list[int]
    question_cut: int
    prompt_cut: int
    completion_cut: int
    bare: bool
    turn_end: int | None = None


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
        """Whether what fills a row whose answer has ended would be read: id 0 without a pad token."""
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
        """What the model reads of a row, by name."""
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


def tokenised(tokenizer: Any, items: Items, max_length: int) -> list[Row]:
    """Every row in tokens; what is too long loses the start of its prompt, then the end of its completion.

    A question loses the start of its prompt only where that is too long by itself. The mark that begins a text stays in
    its place: there are models that say nothing sensible without.
    """
    rows, begin, end = [], tokenizer.bos_token_id, tokenizer.eos_token_id
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    for prompt, completion in _texts(tokenizer, items):
        given = tokenizer(prompt, add_special_tokens=not items.chat, verbose=False)["input_ids"]
        said = tokenizer(completion, add_special_tokens=False, verbose=False)["input_ids"]
        if not items.chat and end is not None:
            given, said = given[:-1] if given[-1:] == [end] else given, [*said, end]
        marks = 1 if begin is not None and given[:1] == [begin] else 0
        row = _shortened(given, said, max_length, marks)
        rows.append(replace(row, turn_end=_turn_end(tokenizer, said, special) if items.chat else None))
    return rows


def ends_of(tokenizer: Any, rows: Sequence[Row], base: Path) -> list[int]:
    """Tokens that end an answer, whatever the checkpoint: the base's, its tokenizer's, and those that end a turn."""
    turns = {row.turn_end for row in rows}
    return sorted({*end_ids(base), tokenizer.eos_token_id, *turns} - {None})


def digest(rows: Iterable[Row]) -> str:
    """SHA-256 of what the model is given and shall say, token by token."""
    return json_files.digest([[row.question, row.prompt, row.completion] for row in rows])


def truncation(rows: Sequence[Row]) -> Truncation:
    """What was left out of them."""
    lost = [row.prompt_cut + row.completion_cut for row in rows]
    completions = sum(row.completion_cut > 0 for row in rows)
    return Truncation(sum(n > 0 for n in lost), sum(lost), sum(row.bare for row in rows), completions)


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
    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        template = CALENDAR + template
    pairs = []
    for talk, answer in zip(items.inputs, items.targets, strict=True):
        messages = json.loads(talk)
        answered = [*messages, {"role": "assistant", "content": answer}]
        prompt = _rendered(tokenizer, template, messages, add_generation_prompt=True)
        full = _rendered(tokenizer, template, answered, add_generation_prompt=False)
        if not full.startswith(prompt):
            raise UsageError(f"{items.path}: the chat template of the base says a prompt otherwise once it is answered")
        pairs.append((prompt, full.removeprefix(prompt)))
    return pairs


def _rendered(tokenizer: Any, template: str, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
    text: str = tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=False, add_generation_prompt=add_generation_prompt
    )
    return text


def _turn_end(tokenizer: Any, said: Sequence[int], special: set[int]) -> int | None:
    """The special token that an answer ends with, but for white space."""
    last = next((token for token in reversed(said) if tokenizer.decode([token]).strip()), None)
    return last if last in special else None


def _shortened(prompt: list[int], completion: list[int], max_length: int, marks: int) -> Row:
    """A row that keeps within the length, and the first `marks` tokens of its prompt."""
    said = completion[: max_length - 1]
    room = max_length - len(said)
    question, given = _last(prompt, max_length, marks), _last(prompt, room, marks)
    lost = len(prompt) - len(given)
    bare = lost > 0 and room - marks <= 1
    return Row(question, given, said, len(prompt) - len(question), lost, len(completion) - len(said), bare)


def _last(prompt: list[int], room: int, marks: int) -> list[int]:
    """The end of a prompt, after its first `marks` tokens, where there is no room for all of it."""
    return prompt if len(prompt) <= room else prompt[:marks] + prompt[len(prompt) - room + marks :]


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
