"""Executors: where jobs go. An executor is one file."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from seedband.events import Event
from seedband.jobs.spec import Job, Outcome
from seedband.storage.registry import EXECUTORS

OnEvent = Callable[[Event], None]


class Executor(AbstractContextManager["Executor"], Protocol):
    """Runs jobs, each in a process of its own whose environment is pinned before it starts.

    Entered by the command that has work for it; left, it keeps no process.
    """

    def run(self, jobs: Sequence[Job], logs: Path, on_event: OnEvent) -> list[Outcome]:
        """Run all jobs; one that crashes leaves the others running.

        An exception out of `on_event` ends every job and goes on to the caller.

        Args:
            jobs: In the order in which they begin.
            logs: Folder for what their libraries print.
            on_event: Called with everything that happens.
        """
        ...


def make(name: str, *, slots: int, offline: bool) -> Executor:
    """An executor by name.

    Args:
        name: A registered one.
        slots: Jobs that run at the same time.
        offline: Whether model hubs must not be asked.
    """
    factory: Any = EXECUTORS.find(name)
    executor: Executor = factory(slots=slots, offline=offline)
    return executor
