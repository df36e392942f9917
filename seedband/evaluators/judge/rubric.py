"""Rubrics: what a judge is told, as versioned text, and the requests that are made of it.

A rubric that has been released is never changed: what reads otherwise is another version, in a file of its own.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from seedband.storage import json_files

RubricName = Literal["task-completion-1"]
#: Grades, from the worst to the best.
LOWEST, HIGHEST = 1, 5
#: The form of an answer; the reason stands first, so that it is thought of first.
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "score": {"type": "integer", "enum": list(range(LOWEST, HIGHEST + 1))},
    },
    "required": ["reason", "score"],
    "additionalProperties": False,
}


class Material(TypedDict):
    """What is graded, and what by: of a chat, `prompt` holds its messages."""

    prompt: object
    context: NotRequired[str | None]
    reference: str
    output: str


class ChatRequest(TypedDict):
    """The body of a request, as endpoints for chats take it."""

    model: str
    temperature: int
    messages: list[dict[str, str]]
    response_format: dict[str, object]
    seed: NotRequired[int]


@dataclass(frozen=True)
class Rubric:
    """A rubric, and what a user adds to it.

    Attributes:
        name: Of its file, with its version.
        instructions: The user's own words, which stand behind it.
    """

    name: RubricName
    instructions: str = ""

    @property
    def text(self) -> str:
        """All that the judge is told beside the material."""
        text = (Path(__file__).parent / "rubrics" / f"{self.name}.md").read_text(encoding="utf-8")
        return f"{text}\nFor this task in particular:\n\n{self.instructions}\n" if self.instructions else text

    @property
    def sha256(self) -> str:
        """Of the text and of the form that answers must have."""
        return json_files.digest([self.text, SCHEMA])

    def request(self, model: str, material: Material, seed: int | None = None) -> ChatRequest:
        """The request to the endpoint.

        The material goes into a message of its own, as one JSON object: whatever stands in a value is escaped, so that
        it cannot end the value that it stands in.

        Args:
            model: As the endpoint calls it.
            material: What is graded, and what by.
            seed: For endpoints that take one.
        """
        request: ChatRequest = {
            "model": model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": self.text},
                {"role": "user", "content": json.dumps(material, ensure_ascii=False)},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "grade", "strict": True, "schema": SCHEMA},
            },
        }
        return request if seed is None else {**request, "seed": seed}


def as_share(grade: int) -> float:
    """A grade as a score from 0 to 1.

    Examples:
        >>> [as_share(grade) for grade in (1, 3, 5)]
        [0.0, 0.5, 1.0]
    """
    return (grade - LOWEST) / (HIGHEST - LOWEST)
