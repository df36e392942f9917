"""Reports: what one call of `check` found, as a record, and the kinds of files that tell it.

A kind is one file; files are written whole or not at all, and also where no verdict could
be given: a build that broke says why in the same place as one that failed. What an earlier call left there is removed
first, so that a call that is killed leaves no report that passes.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from seedband.bands.band import Band
from seedband.bands.verdict import Verdict
from seedband.errors import Problem, SeedbandError, UsageError
from seedband.reports.wording import conclusion
from seedband.storage import atomic_files, optional
from seedband.storage.registry import REPORTS

#: Bytes of a file that hold any of them.
BEGINNING_BYTES = 400
#: Version of the JSON form.
VERSION = 1
#: Exit codes that a pipeline may take for "go on".
LET_THROUGH = (0, 4)
#: What the exit codes of errors are called in a report.
OUTCOMES: Mapping[int, Literal["refused", "error"]] = {3: "refused"}


@dataclass(frozen=True)
class Report:
    """What one call of `check` found.

    Attributes:
        status: The verdict; "refused" where the evidence allows none, "error" where what was asked could not be done.
        exit_code: What the command ends with; 0 beside the status "suspect" where such are let through.
        message: Why, in one line.
        band_path: The band, as the user named it.
        candidates: The candidates or the score file, as the user named them.
        command: The command as it was typed.
        next_command: What to do or to run next; may be empty.
        problems: Every single mistake, where it was refused for several.
        verdict: The verdict, where there is one.
        band: The band, where it could be read.
        time: When, UTC: what a trend puts verdicts in order by.
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
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def as_dict(self) -> dict[str, object]:
        """The JSON form: what the verdict holds, and around it what the call was."""
        known = {} if self.verdict is None else self.verdict.as_dict()
        return {
            "format": "seedband.report",
            "version": VERSION,
            **known,
            "status": self.status,
            "exit_code": self.exit_code,
            "time": self.time,
            "message": self.message,
            "problems": [asdict(problem) for problem in self.problems],
            "band": self.band_path,
            "asked": list(self.candidates),
            "command": self.command,
            "next": self.next_command,
        }


@dataclass(frozen=True)
class Kind:
    """A kind of report.

    Attributes:
        render: The whole file.
        begins: What a file of it begins with: only such a file is replaced.
        needs: Libraries of the extra `report` that it needs.
        tell: What it says beside its file, as lines for standard error.
    """

    render: Callable[[Report], str]
    begins: re.Pattern[bytes]
    needs: tuple[str, ...] = ()
    tell: Callable[[Report], list[str]] = lambda _: []


def find(name: str) -> Kind:
    """The kind of a name."""
    kind: Kind = REPORTS.find(name)
    return kind


def names() -> list[str]:
    """Names of all kinds: the built-in ones, and those that are installed."""
    return [*REPORTS.built_in, *sorted(REPORTS.installed())]


def of_error(error: SeedbandError, **call: Any) -> Report:
    """The report of a call that gave no verdict."""
    status = OUTCOMES.get(error.exit_code, "error")
    return Report(status, error.exit_code, error.message, next_command=error.hint, problems=error.problems, **call)


def of_verdict(verdict: Verdict, band: Band, exit_code: int, next_command: str = "", **call: Any) -> Report:
    """The report of a call that gave a verdict."""
    return Report(
        verdict.status, exit_code, conclusion(verdict), next_command=next_command, verdict=verdict, band=band, **call
    )


def parse(requests: Sequence[str], inputs: Sequence[Path] = ()) -> list[tuple[str, Path]]:
    """Kinds and files of `--report KIND=FILE`.

    Where a request is wrong, what an earlier call left for the others is removed: a report that passed then does not
    stand for a call that judged nothing.

    Args:
        requests: As typed.
        inputs: Files and folders that the call reads: no report may replace them, or lie in them.

    Raises:
        UsageError: No such kind, no file, one file twice, or a file that is no report's place.
    """
    found: list[tuple[str, Path]] = []
    errors: list[UsageError] = []
    for request in requests:
        try:
            found.append(_parsed(request, found, inputs))
            check_installed(found[-1][0])
        except UsageError as error:
            errors.append(error)
    if errors:
        clear(found)
        raise errors[0]
    return found


def _parsed(request: str, known: Sequence[tuple[str, Path]], inputs: Sequence[Path]) -> tuple[str, Path]:
    kind, _, file = request.partition("=")
    if kind not in REPORTS or not file:
        raise UsageError(f"--report {request}: expected KIND=FILE", hint=f"KIND is {', '.join(names())}")
    path = Path(file)
    if path.resolve() in [other.resolve() for _, other in known]:
        raise UsageError(f"--report {request}: {file} is asked for twice")
    check_target(kind, path, inputs, f"--report {request}: ")
    return kind, path


def check_target(kind: str, path: Path, inputs: Sequence[Path] = (), asked: str = "") -> None:
    """Refuse to write a report where it would destroy something, before any work is done for it.

    Args:
        kind: Of the report.
        path: Its file.
        inputs: Files and folders that the call reads.
        asked: What the messages begin with.

    Raises:
        UsageError: What is there is no report of this kind, or the place belongs to what is read.
    """
    for known in inputs:
        if path.resolve() == known.resolve():
            raise UsageError(f"{asked}{path} is what this call reads")
        if path.resolve().is_relative_to(known.resolve()):
            raise UsageError(
                f"{asked}{path} lies in {known}, which this call reads", hint="write it beside that folder"
            )
    try:
        if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
            raise UsageError(f"{asked}{path} is no place for a file", hint="check --json prints the JSON report")
        begins = _beginning(path)
    except OSError as error:
        raise UsageError(f"{asked}{path} is no place for a file: {error.strerror}") from error
    if begins and not find(kind).begins.match(begins):
        expected = f"expected a new file, or an earlier {kind} report to replace"
        raise UsageError(f"{asked}{path} is no {kind} report of seedband; {expected}", hint="name another file")


def _beginning(path: Path) -> bytes:
    """The beginning of a file; empty where there is none."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(BEGINNING_BYTES)


def check_installed(kind: str) -> None:
    """Refuse a kind whose libraries are not installed, before any work is done for it.

    Raises:
        UsageError: With the extra that brings them.
    """
    for library in find(kind).needs:
        optional.require(library, "report")


def clear(asked: Iterable[tuple[str, Path]]) -> None:
    """Remove the reports of an earlier call; where that is not allowed, writing will tell."""
    for _, path in asked:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def ours(error: BaseException) -> SeedbandError:
    """An error of ours as it is; anything else is raised."""
    if isinstance(error, SeedbandError):
        return error
    raise error


def write(
    report: Report, asked: Sequence[tuple[str, Path]], as_error: Callable[[BaseException], SeedbandError] = ours
) -> tuple[Report, list[SeedbandError]]:
    """Write every report that was asked for, also where another one cannot be written.

    A report that is missing is no evidence: the call then ends with exit 5 instead of 0 or 4, and the other reports say
    so. What is red for a reason of its own keeps it.

    Args:
        report: What to tell.
        asked: Kinds and files.
        as_error: Makes an error of whatever a kind may raise; bugs are raised unless it is given.

    Returns:
        The report that holds in the end, and why some could not be written.
    """
    failures = _write(report, asked, as_error)
    if not failures or report.exit_code not in LET_THROUGH:
        return report, failures
    message = f"the verdict is {report.status}, and a report of it is missing: {failures[0].message}"
    final = replace(report, status="error", exit_code=failures[0].exit_code, message=message, next_command="")
    _write(final, asked, as_error)
    return final, failures


def tell(report: Report, asked: Iterable[tuple[str, Path]]) -> list[str]:
    """What kinds have to say beside their file, as lines for standard error."""
    return [line for kind, _ in asked for line in find(kind).tell(report)]


def _write(
    report: Report, asked: Iterable[tuple[str, Path]], as_error: Callable[[BaseException], SeedbandError]
) -> list[SeedbandError]:
    failures = []
    for kind, path in asked:
        try:
            atomic_files.write_text(path, find(kind).render(report))
        except Exception as error:  # noqa: BLE001  the other reports are written, and the call does not end green
            failures.append(as_error(error))
    return failures
