"""From exceptions to exit codes, in one place; docs/reference/exit-codes.md lists them."""

import functools
import tempfile
import traceback
from collections.abc import Callable
from typing import ParamSpec

import typer

from seedband.errors import SeedbandError

P = ParamSpec("P")
INTERRUPTED = 130
WORK_FAILED = 5
#: Exit codes that commands gave, last of all the one that the process ends with: a 1 of any other origin is a crash.
given: list[int] = []


def guarded(command: Callable[P, int]) -> Callable[P, None]:
    """Turn what a command returns or raises into an exit code; a crash is never exit 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        given.append(_exit_code(functools.partial(command, *args, **kwargs)))
        raise typer.Exit(given[-1])

    return run


def _exit_code(call: Callable[[], int]) -> int:
    from seedband import console

    try:
        return call()
    except SeedbandError as error:
        console.print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        console.print_note("interrupted; what was finished is kept, and the same command goes on from it")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  a bug: one line, and where the rest is
        with tempfile.NamedTemporaryFile("w", prefix="seedband-", suffix=".log", delete=False) as log:
            log.write(traceback.format_exc())
        console.print_error(
            SeedbandError(f"a bug in seedband: {type(error).__name__}: {error}", hint=f"the traceback is in {log.name}")
        )
        return WORK_FAILED
