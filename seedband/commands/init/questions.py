"""What `init` asks, and what flags said so that it need not be asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from seedband.commands.init.survey import Survey, guessed_columns
from seedband.counts import counted
from seedband.errors import UsageError


class Question(NamedTuple):
    """Something that is asked, unless a flag said it.

    Attributes:
        flag: That answers it.
        text: What is asked.
        default: What it probably is; empty where nobody knows.
        optional: Whether nothing is an answer, too.
    """

    flag: str
    text: str
    default: str = ""
    optional: bool = False


Ask = Callable[[Question], str]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What flags said; None or nothing where they did not.

    Attributes:
        data: The data file, or the training rows where there is `eval`.
        eval: The eval rows.
        model: A folder, package:<package>/<folder>, or org/name@commit.
        task: What the model learns to do.
        method: How it is trained.
        command: What trains one seed, for method `command`.
        metric: The metric that gates.
        name: Of the data set.
        columns: Role → column.
        workflows: CI systems that get a workflow.
    """

    data: str | None = None
    eval: str | None = None
    model: str | None = None
    task: str | None = None
    method: str | None = None
    command: str | None = None
    metric: str | None = None
    name: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    workflows: Sequence[Literal["github", "gitlab"]] = ()


@dataclass(frozen=True)
class Interview:
    """Asks for what no flag said.

    Attributes:
        folder: That a recipe is made in, for messages.
        ask: Answers a question, or raises what the caller should see instead.
    """

    folder: Path
    ask: Ask

    def answer(self, said: str | None, question: Question, found: Sequence[Path] = ()) -> str:
        """The value of a flag, or else the answer to a question.

        Args:
            said: By the flag; None where it was not given.
            question: To ask then.
            found: Files that could be meant, for messages.

        Raises:
            UsageError: There is no answer, and the question needs one.
        """
        answer = said if said is not None else self.ask(question).strip()
        if answer or question.optional:
            return answer
        listed = f"; there are {', '.join(map(str, found))}" if found else ""
        found_out = f"{question.flag}: nothing was said, and nothing can be guessed{listed}"
        if question.flag == "--data" and not found:
            found_out = f"no data file in {self.folder.absolute()}"
        raise UsageError(found_out, hint=f"give {question.flag}")

    def columns(self, survey: Survey, roles: Sequence[str], said: Mapping[str, str]) -> dict[str, str]:
        """Role → the column of a data file that holds it.

        Raises:
            UsageError: Fewer columns are named than there are roles, or more.
        """
        guessed = guessed_columns(survey, roles, said)
        flags = " ".join(f"--{role}" for role in roles if role not in said)
        default = ", ".join(guessed[role] for role in roles) if all(guessed.values()) else ""
        question = Question(flags, f"Columns of {' and '.join(roles)}", default)
        answer = self.answer(None, question)
        named = [part.strip() for part in answer.split(",")] if len(roles) > 1 else [answer]
        if len(named) != len(roles):
            raise UsageError(
                f"{answer!r}: expected {counted(len(roles), 'column')}, with a comma between them", hint=f"or {flags}"
            )
        return dict(zip(roles, named, strict=True))
