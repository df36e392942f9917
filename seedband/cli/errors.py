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
WORK_FAILED = 5
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


def _exit_code(call: Callable[[], int]) -> int:
    from seedband import console

    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP, and that is to stay so
            signal.signal(number, _interrupt)
    try:
        return call()
    except SeedbandError as error:
        console.print_error(error)
        return error.exit_code
    except OSError as error:
        console.print_error(WorkFailed.from_os(error))
        return WORK_FAILED
    except KeyboardInterrupt as interrupt:
        what = f"ended by {interrupt}" if str(interrupt) else "interrupted"
        console.print_note(f"{what}; what was finished is kept, and the same command goes on")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  a bug: one line, and where the rest is
        with tempfile.NamedTemporaryFile("w", prefix="seedband-", suffix=".log", delete=False) as log:
            log.write(traceback.format_exc())
        console.print_error(
            SeedbandError(f"a bug in seedband: {type(error).__name__}: {error}", hint=f"the traceback is in {log.name}")
        )
        return WORK_FAILED
