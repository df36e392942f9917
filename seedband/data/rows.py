"""Rows: what a task reads from one row of a data file, and what can be wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from seedband.errors import Problem
from seedband.recipe.scoring import Columns
from seedband.storage import json_files
from seedband.storage.registry import DEFAULT_TASK, TASKS

ROLES = ("system", "user", "assistant")
#: What ShareGPT's format calls them.
SHAREGPT_ROLES: Mapping[str, str] = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "bard": "assistant",
    "assistant": "assistant", "system": "system",
}  # fmt: skip


#: A row of a user's data: column → value, as JSON would hold it. Which columns there are is the user's own affair.
DataRow: TypeAlias = Mapping[str, object]


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
        pair: The second text, where the recipe names a column of it.
    """

    id: str
    given: str
    target: str
    context: str | None
    slices: tuple[str, ...]
    chat: bool = False
    pair: str | None = None


class Reading(NamedTuple):
    """What a task reads of a row.

    Attributes:
        roles: What the input and the target are called; so are their columns, unless the recipe says otherwise.
        read: Reads these two, and whether the input is a chat.
        also: Columns that may stand beside them, or in their place.
        named: Columns that are read only where the recipe names them.
        files: Whether the input is the path of a file, whose content counts.
    """

    roles: tuple[str, str]
    read: Callable[..., tuple[str, str, bool]]
    also: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    files: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it reads."""
        return (*self.roles, *self.also, *self.named)


def reading_of(columns: Columns) -> Reading:
    """The reading of the task of some columns; records of the first releases name no task.

    Raises:
        UsageError: Unknown task.
    """
    found: Reading = TASKS.find(str(columns.get("task", DEFAULT_TASK))).reading
    return found


def read_row(value: DataRow, where: str, columns: Columns, number: int) -> tuple[Row | None, list[Problem]]:
    """The columns of a row that are used, and what is wrong with them.

    Args:
        value: Column → value.
        where: The row, for messages.
        columns: The task, and the names of its columns.
        number: Of the row: its name where it has no other.
    """
    problems: list[Problem] = []
    reading = reading_of(columns)
    given, target, chat = reading.read(value, where, columns, problems)
    name = value.get(str(columns["id"]))
    problems += [
        Problem(where, f"nothing in {column!r}", "a value of this slice column")
        for column in slices_of(columns)
        if value.get(column) is None
    ]
    slices = tuple(str(value.get(column)) for column in slices_of(columns))
    has_context = "context" in reading.also and value.get(str(columns["context"])) is not None
    context = _text(value, where, str(columns["context"]), "context", problems) if has_context else None
    pair = _text(value, where, str(column), "second text", problems) if (column := columns.get("text_pair")) else None
    row = Row(f"row-{number}" if name is None else str(name), given, target, context, slices, chat, pair)
    asked, answered = reading.roles
    texts = {"id": row.id, asked: given, answered: target, "context": context or "", "text_pair": pair or ""}
    texts |= _named(columns, slices)
    broken = [role for role, text in texts.items() if not _encodable(text)]
    problems += [Problem(where, f"half a surrogate pair in {role!r}", "text that UTF-8 can hold") for role in broken]
    return (None if problems else row), problems


def slices_of(columns: Columns) -> tuple[str, ...]:
    """Names of the slice columns."""
    return tuple(columns["slices"] or ())


def _named(columns: Columns, slices: Sequence[str]) -> dict[str, str]:
    return {f"slice {name}": text for name, text in zip(slices_of(columns), slices, strict=True)}


def labelled(role: str) -> Callable[..., tuple[str, str, bool]]:
    """Reads an input of this role, and its label."""

    def read(value: DataRow, where: str, columns: Columns, problems: list[Problem]) -> tuple[str, str, bool]:
        given = _text(value, where, str(columns[role]), role, problems)
        return given, _label(value, where, str(columns["label"]), problems), False

    return read


def completed(value: DataRow, where: str, columns: Columns, problems: list[Problem]) -> tuple[str, str, bool]:
    """A prompt and its completion, or a chat whose last word is the assistant's."""
    column = str(columns["messages"])
    if value.get(column) is None:
        prompt = _with_input(value, where, columns, problems)
        return prompt, _text(value, where, str(columns["completion"]), "completion", problems), False
    others = [str(columns[name]) for name in ("prompt", "completion")]
    both = [name for name in others if value.get(name) not in (None, "")]
    if both:
        found = f"{column!r} and {both[0]!r}"
        problems.append(Problem(where, found, "a chat, or a prompt with its completion: data.messages or data.prompt"))
        return "", "", True
    expected = f"a list of messages with role ({', '.join(ROLES)}) and content, the last one the assistant's"
    chat = as_chat(value[column])
    if chat is None:
        problems.append(Problem(where, f"another thing in {column!r}", expected))
        return "", "", True
    return json_files.canonical(chat[:-1]), str(chat[-1]["content"]), True


def _with_input(value: DataRow, where: str, columns: Columns, problems: list[Problem]) -> str:
    """The prompt, and below it the text of the column `input`, where the recipe names one and the row has any."""
    prompt = _text(value, where, str(columns["prompt"]), "prompt", problems)
    column = columns.get("input")
    if column is None or value.get(str(column)) in (None, ""):
        return prompt
    return f"{prompt}\n{_text(value, where, str(column), 'input', problems)}"


def as_chat(messages: object) -> list[DataRow] | None:
    """A chat whose last message is the assistant's, as messages of text; None for anything else.

    Content in parts of text is joined, and ShareGPT's `from` and `value` are role and content.
    """
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return None
    chat = [_message(message) for message in messages]
    texts = [message["content"] for message in chat]
    whole = all(isinstance(text, str) and text.strip() for text in texts)
    if len(chat) < 2 or not whole or not all(message["role"] in ROLES for message in chat):  # noqa: PLR2004
        return None
    return chat if chat[-1]["role"] == "assistant" else None


def _message(message: DataRow) -> DataRow:
    """A message with role and content; what else a plain one holds stays, for templates that read it."""
    if "from" in message and "role" not in message:
        role, content = SHAREGPT_ROLES.get(str(message["from"])), message.get("value")
        return {"role": role, "content": content}
    return {**message, "role": message.get("role"), "content": _joined(message.get("content"))}


def _joined(content: Any) -> Any:
    """Parts of text as one text; anything else as it is."""
    if not isinstance(content, list) or not content:
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    plain = len(texts) == len(content) and all(isinstance(text, str) for text in texts)
    return "".join(map(str, texts)) if plain else content


def _text(value: DataRow, where: str, column: str, role: str, problems: list[Problem]) -> str:
    content = value.get(column)
    if isinstance(content, str) and content.strip():
        return content
    found = "nothing" if content is None else repr(content)[:80]
    problems.append(Problem(where, f"{found} in {column!r}", f"a {role} that is not empty"))
    return ""


def _label(value: DataRow, where: str, column: str, problems: list[Problem]) -> str:
    content = value.get(column)
    if isinstance(content, int) and not isinstance(content, bool):
        return str(content)
    if isinstance(content, bool | float):
        problems.append(Problem(where, f"{content} in {column!r}", "a label: a text or a whole number"))
        return ""
    return _text(value, where, column, "label", problems)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
