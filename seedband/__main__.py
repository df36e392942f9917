"""`python -m seedband`; control goes to seedband.cli."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it starts is an interrupt, too."""
    try:
        from seedband.cli import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
