"""Rows of prompts and completions, in tokens: what they lose where they are too long, and how chats are spelled."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from seedband.data.dataset import Items
from seedband.errors import UsageError
from seedband.models.encoded import Truncation
from seedband.storage import json_files

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


def digest(rows: Iterable[Row]) -> str:
    """SHA-256 of what the model is given and shall say, token by token."""
    return json_files.digest([[row.question, row.prompt, row.completion] for row in rows])


def truncation(rows: Sequence[Row]) -> Truncation:
    """The part of them that was left out."""
    lost = [row.prompt_cut + row.completion_cut for row in rows]
    completions = sum(row.completion_cut > 0 for row in rows)
    return Truncation(sum(n > 0 for n in lost), sum(lost), sum(row.bare for row in rows), completions)


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
