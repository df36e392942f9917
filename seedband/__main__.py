"""`python -m seedband`; control goes to seedband.cli."""

import io
import os
import sys
import traceback

WORK_FAILED = 5


def main() -> None:
    """Run the command line; exit 1 is an answer that only a command gives, whatever else happens is 5 or more."""
    _reopen_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows a question mark
    try:
        from seedband.cli import app
        from seedband.cli.errors import given

        try:
            app()
        except SystemExit as ended:
            sys.exit(WORK_FAILED if ended.code == 1 and given[-1:] != [1] else ended.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:  # noqa: BLE001  a broken installation, a full disk: nothing is left that could tell it better
        traceback.print_exc()
        sys.exit(WORK_FAILED)


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
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: PTH123, SIM115


if __name__ == "__main__":
    main()
