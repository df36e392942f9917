"""Jobs: what a process of its own is asked to do, and what came of it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

from seedband.determinism.settings import DeterminismSection
from seedband.events import Emit
from seedband.storage import json_files
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import JOB_KINDS, Known
from seedband.storage.validation import checked, read_record


class Job(Protocol):
    """A record of what to do, and what does it; a dataclass."""

    __dataclass_fields__: ClassVar[Any]

    @property
    def kind(self) -> str:
        """As its file says it."""
        ...

    @property
    def name(self) -> str:
        """For people and log files."""
        ...

    @property
    def determinism(self) -> DeterminismSection:
        """The pins of its process."""
        ...

    @property
    def launched_on(self) -> str:
        """The device of a launcher that may fork it; empty for one that has no use for a launcher."""
        ...

    def carry_out(self, emit: Emit) -> None:
        """Do it, in a process whose environment is pinned."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: Which.
        exit_code: Of its process; negative for a signal.
        message: What went wrong, in one line; empty when nothing did.
        log: What its libraries printed.
        error: The job's own account: exit_code, message, problems, hint; empty when it gave none.
    """

    job: Job
    exit_code: int
    message: str
    log: Path
    error: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class _Kind:
    kind: Annotated[str, Known(JOB_KINDS)]


@dataclass(frozen=True)
class _JobFile:
    job: _Kind


def write_job(path: Path, job: Job) -> None:
    """Write a job for a child to read."""
    json_files.write_json(path, "job", {"job": asdict(job)})


def read_job(path: Path) -> Job:
    """Read what `write_job` wrote."""
    content = read_record(path, "job", _JobFile)[1]["job"]
    job: Job = checked(content, JOB_KINDS.find(content["kind"]), f"{path}: not a job that holds together")
    return job
