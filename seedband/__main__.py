"""`python -m seedband`; control goes to seedband.cli."""

import io
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

WORK_FAILED = 5


class _Unbroken(io.FileIO):
    """A stream whose failures to write are forgiven: what is left goes nowhere, for the answer is the exit code."""

    forgiven: type[OSError] = BrokenPipeError

    def write(self, content: "Buffer") -> int:
        try:
            return super().write(content)
        except self.forgiven:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.fileno())
            os.close(nothing)
            return super().write(content)


def main() -> None:
    """Run the command line; exit 1 is an answer that only a command gives, whatever else happens is 5 or more."""
    _reopen_closed_streams()
    sys.stdout = _unbroken(sys.stdout, BrokenPipeError)
    sys.stderr = _unbroken(sys.stderr, OSError)  # nobody is left who could be told
    try:
        from seedband.cli import app
        from seedband.cli.errors import given

        try:
            app()
        except SystemExit as ended:
            sys.exit(WORK_FAILED if ended.code == 1 and given[-1:] != [1] else ended.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.stderr.write(
            f"error: the operating system: {error.strerror or error}\nhint: check the disk and the output\n"
        )
        sys.exit(WORK_FAILED)
    except Exception:  # noqa: BLE001  a broken installation: nothing is left that could tell it better
        traceback.print_exc()
        sys.exit(WORK_FAILED)


def _unbroken(stream: TextIO, forgiven: type[OSError]) -> TextIO:
    """The stream, whose reader may go away; a terminal that lacks a sign shows a question mark."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = _Unbroken(stream.fileno(), "w", closefd=False)
    raw.forgiven = forgiven
    buffer: Any = raw if stream.write_through else io.BufferedWriter(raw)  # as Python opens it with -u
    return io.TextIOWrapper(
        buffer,
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _reopen_closed_streams() -> None:
    """Print into nothing where the caller closed a stream (`>&-`): the answer is the exit code.

    A closed descriptor would be given to the next file that is opened, and what is printed would land in it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    main()
