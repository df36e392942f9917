"""Events: what a flow says while it works, for whoever shows it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened in a flow; the console shows it, nothing depends on it but the step-0 refusal.

    Attributes:
        kind: "warning", "note", "plan", "job", "start", "step", "witness", "scored", "probed", "environment",
            "output", "finished" or "crashed".
        seed: Root seed of the run that it concerns, if any.
        content: What happened, JSON-ready.
    """

    kind: str
    seed: int | None = None
    content: Mapping[str, Any] = field(default_factory=dict)


#: How a job tells its parent of an event: kind, seed, content.
Emit = Callable[[str, int | None, Mapping[str, object]], None]
