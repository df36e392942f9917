"""From exceptions to exit codes, in one place; docs/reference/exit-codes.md lists them."""

import functools
import signal
import tempfile
import traceback
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from seedband.errors import SeedbandError, WorkFailed

P = ParamSpec("P")
INTERRUPTED = 130
#: What a scheduler or a closed terminal sends.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
#: Exit codes that commands gave, last of all the one that the process ends with: a 1 of any other origin is a crash.
given: list[int] = []


def _interrupt(number: int, _: object) -> NoReturn:
    """A signal to end is an interruption like Ctrl-C: jobs are ended, and what is half-written is removed."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def guarded(command: Callable[P, int]) -> Callable[P, None]:
    """Turn what a command returns or raises into an exit code; a crash is never exit 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        given.append(_exit_code(functools.partial(command, *args, **kwargs)))
        raise typer.Exit(given[-1])

    return run


class Interrupted(SeedbandError):
    """Ctrl-C, or a signal to end."""

    exit_code = INTERRUPTED


def as_error(error: BaseException) -> SeedbandError:
    """Turn whatever ended a command into an error with an exit code; the traceback of a bug goes to a file.

    Args:
        error: Whatever was raised; one of ours comes back as it is.
    """
    if isinstance(error, SeedbandError):
        return error
    if isinstance(error, OSError):
        return WorkFailed.from_os(error)
    if isinstance(error, KeyboardInterrupt):
        what = f"ended by {error}" if str(error) else "interrupted"
        return Interrupted(f"{what}; what was finished is kept, and the same command goes on")
    with tempfile.NamedTemporaryFile("w", prefix="seedband-", suffix=".log", delete=False, errors="replace") as log:
        log.write("".join(traceback.format_exception(error)))
    return WorkFailed(f"a bug in seedband: {type(error).__name__}: {error}", hint=f"the traceback is in {log.name}")


def _exit_code(call: Callable[[], int]) -> int:
    from seedband.cli import console

    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP, and that is to stay so
            signal.signal(number, _interrupt)
    try:
        return call()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  a bug, too, has its exit code
        told = as_error(error)
        if isinstance(told, Interrupted):
            console.print_note(told.message)
        else:
            console.print_error(told)
        return told.exit_code
