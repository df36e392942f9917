"""Reports: what one call of `check` found, as a record, and the kinds of files that tell it.

A kind is a module with `render(report) -> str`; files are written whole or not at all, and also where no verdict could
be given: a build that broke says why in the same place as one that failed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from seedband import store
from seedband.band import Band
from seedband.errors import Problem, SeedbandError, UsageError
from seedband.verdict import Verdict
from seedband.words import conclusion

#: Kind → module; each is imported when it is asked for.
KINDS: Mapping[str, str] = {
    "json": "seedband.reports.json",
}
#: Version of the JSON form.
VERSION = 1
#: What the exit codes of errors are called in a report.
OUTCOMES: Mapping[int, Literal["refused", "error"]] = {3: "refused"}


@dataclass(frozen=True)
class Report:
    """What one call of `check` found.

    Attributes:
        status: The verdict; "refused" where the evidence allows none, "error" where what was asked could not be done.
        exit_code: What the command ends with.
        message: Why, in one line.
        band_path: The band, as the user named it.
        candidates: The candidates or the score file, as the user named them.
        command: The command as it was typed.
        next_command: What to do or to run next; may be empty.
        problems: Every single mistake, where it was refused for several.
        verdict: The verdict, where there is one.
        band: The band, where it could be read.
    """

    status: Literal["pass", "fail", "suspect", "refused", "error"]
    exit_code: int
    message: str
    band_path: str
    candidates: tuple[str, ...]
    command: str
    next_command: str = ""
    problems: tuple[Problem, ...] = ()
    verdict: Verdict | None = None
    band: Band | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: what the verdict holds, and around it what the call was."""
        known = {} if self.verdict is None else self.verdict.as_dict()
        return {
            "format": "seedband.report",
            "version": VERSION,
            **known,
            "status": self.status,
            "exit_code": self.exit_code,
            "message": self.message,
            "problems": [asdict(problem) for problem in self.problems],
            "band": self.band_path,
            "asked": list(self.candidates),
            "command": self.command,
            "next": self.next_command,
        }


class Kind(Protocol):
    """A module that tells a report."""

    def render(self, report: Report) -> str:
        """The whole file."""
        ...


def of_error(error: SeedbandError, **call: Any) -> Report:
    """The report of a call that gave no verdict."""
    status = OUTCOMES.get(error.exit_code, "error")
    return Report(status, error.exit_code, error.message, next_command=error.hint, problems=error.problems, **call)


def of_verdict(verdict: Verdict, band: Band, exit_code: int, next_command: str = "", **call: Any) -> Report:
    """The report of a call that gave a verdict."""
    return Report(
        verdict.status, exit_code, conclusion(verdict), next_command=next_command, verdict=verdict, band=band, **call
    )


def parse(requests: Sequence[str]) -> list[tuple[str, Path]]:
    """What `--report KIND=FILE` asks for.

    Raises:
        UsageError: No such kind, no file, or one file twice.
    """
    found: list[tuple[str, Path]] = []
    for request in requests:
        kind, _, file = request.partition("=")
        if kind not in KINDS or not file:
            raise UsageError(f"--report {request}: expected KIND=FILE", hint=f"KIND is {', '.join(KINDS)}")
        if Path(file) in [path for _, path in found]:
            raise UsageError(f"--report {request}: {file} is asked for twice")
        found.append((kind, Path(file)))
    return found


def write(report: Report, asked: Iterable[tuple[str, Path]]) -> None:
    """Write every report that was asked for."""
    for kind, path in asked:
        module: Any = import_module(KINDS[kind])
        told: Kind = module
        store.write_text(path, told.render(report))
