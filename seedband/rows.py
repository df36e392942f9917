"""Rows: what a task reads from one row of a data file, and what can be wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seedband import store
from seedband.errors import Problem

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        id: Its name.
        given: What the model is given: a text, a prompt, a chat as JSON, the path of an image.
        target: What it shall answer.
        context: What the answer has to rest on, where the row has any.
        slices: Values of the slice columns, in their order.
        chat: Whether `given` is a chat.
    """

    id: str
    given: str
    target: str
    context: str | None
    slices: tuple[str, ...]
    chat: bool = False


class Reading(NamedTuple):
    """What a task reads of a row.

    Attributes:
        roles: What the input and the target are called; so are their columns, unless the recipe says otherwise.
        read: Reads these two, and whether the input is a chat.
        also: Columns that may stand beside them, or in their place.
    """

    roles: tuple[str, str]
    read: Callable[..., tuple[str, str, bool]]
    also: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it reads."""
        return (*self.roles, *self.also)


def read_row(
    value: Mapping[str, Any], where: str, columns: Mapping[str, Any], number: int
) -> tuple[Row | None, list[Problem]]:
    """The columns of a row that are used, and what is wrong with them.

    Args:
        value: Column → value.
        where: The row, for messages.
        columns: The task, and the names of its columns.
        number: Of the row: its name where it has no other.
    """
    problems: list[Problem] = []
    reading = READINGS[str(columns.get("task", "text-classification"))]
    given, target, chat = reading.read(value, where, columns, problems)
    name = value.get(columns["id"])
    problems += [
        Problem(where, f"nothing in {column!r}", "a value of this slice column")
        for column in columns["slices"]
        if value.get(column) is None
    ]
    slices = tuple(str(value.get(column)) for column in columns["slices"])
    has_context = "context" in reading.also and value.get(columns["context"]) is not None
    context = _text(value, where, str(columns["context"]), "context", problems) if has_context else None
    row = Row(f"row-{number}" if name is None else str(name), given, target, context, slices, chat)
    asked, answered = reading.roles
    texts = {"id": row.id, asked: given, answered: target, "context": context or "", **_named(columns, slices)}
    broken = [role for role, text in texts.items() if not _encodable(text)]
    problems += [Problem(where, f"half a surrogate pair in {role!r}", "text that UTF-8 can hold") for role in broken]
    return (None if problems else row), problems


def _named(columns: Mapping[str, Any], slices: Sequence[str]) -> dict[str, str]:
    return {f"slice {name}": text for name, text in zip(columns["slices"], slices, strict=True)}


def _labelled(role: str) -> Callable[..., tuple[str, str, bool]]:
    def read(
        value: Mapping[str, Any], where: str, columns: Mapping[str, Any], problems: list[Problem]
    ) -> tuple[str, str, bool]:
        given = _text(value, where, str(columns[role]), role, problems)
        return given, _label(value, where, str(columns["label"]), problems), False

    return read


def _completed(
    value: Mapping[str, Any], where: str, columns: Mapping[str, Any], problems: list[Problem]
) -> tuple[str, str, bool]:
    """A prompt and its completion, or a chat whose last word is the assistant's."""
    if value.get(columns["messages"]) is None:
        prompt = _text(value, where, str(columns["prompt"]), "prompt", problems)
        return prompt, _text(value, where, str(columns["completion"]), "completion", problems), False
    messages = value[columns["messages"]]
    both = [columns[name] for name in ("prompt", "completion") if value.get(columns[name]) not in (None, "")]
    if both:
        found = f"{columns['messages']!r} and {both[0]!r}"
        problems.append(Problem(where, found, "a chat, or a prompt with its completion: data.messages or data.prompt"))
        return "", "", True
    expected = f"a list of messages with role ({', '.join(ROLES)}) and content, the last one the assistant's"
    if not is_chat(messages):
        problems.append(Problem(where, f"another thing in {columns['messages']!r}", expected))
        return "", "", True
    return store.canonical(messages[:-1]), str(messages[-1]["content"]), True


def is_chat(messages: Any) -> bool:
    """Whether a value is a chat whose last word is the assistant's."""
    return (
        isinstance(messages, list)
        and len(messages) > 1
        and all(isinstance(message, dict) and message.get("role") in ROLES for message in messages)
        and all(isinstance(message.get("content"), str) and message["content"].strip() for message in messages)
        and messages[-1]["role"] == "assistant"
    )


def _text(value: Mapping[str, Any], where: str, column: str, role: str, problems: list[Problem]) -> str:
    content = value.get(column)
    if isinstance(content, str) and content.strip():
        return content
    found = "nothing" if content is None else repr(content)[:80]
    problems.append(Problem(where, f"{found} in {column!r}", f"a {role} that is not empty"))
    return ""


def _label(value: Mapping[str, Any], where: str, column: str, problems: list[Problem]) -> str:
    content = value.get(column)
    if isinstance(content, int) and not isinstance(content, bool):
        return str(content)
    return _text(value, where, column, "label", problems)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


#: Task → what it reads of a row.
READINGS: Mapping[str, Reading] = {
    "text-classification": Reading(("text", "label"), _labelled("text")),
    "image-classification": Reading(("image", "label"), _labelled("image")),
    "causal-lm": Reading(("prompt", "completion"), _completed, ("messages", "context")),
}
