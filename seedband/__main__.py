"""`python -m seedband`; control goes to seedband.cli."""

import io
import sys


def main() -> None:
    """Run the command line; an interrupt while it starts is an interrupt, too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows a question mark
    try:
        from seedband.cli import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
