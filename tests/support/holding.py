"""A seedband command that stands still at a point of a test's choosing, and waiting for what a process brings about."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from standing import Point
from tiny import PATIENCE_S, Result


def _hear_signals() -> None:
    """A shell ignores SIGINT for background jobs, and nohup SIGHUP."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Held:
    """A command of which the first process that comes to a point stays there until told to go on.

    Args:
        folder: Where the command runs.
        arguments: Of seedband.
        point: As `Point` takes it.
    """

    def __init__(self, folder: Path, *arguments: str | Path, **point: str) -> None:
        self._point = Point(folder, **point)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedband", *map(str, arguments)],
            cwd=folder,
            env=self._point.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_signals,  # noqa: PLW1509
        )

    def pid(self) -> int:
        """The process that stands at the point, once it does."""
        wait_until(lambda: self._point.pid, self.process)
        return self._point.pid

    def go_on(self) -> None:
        """Let it go on."""
        self._point.go_on()

    def result(self) -> Result:
        """How the command ended, once it has."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Result(self.process.returncode, out, err)


def wait_until(condition, process: subprocess.Popen | None = None) -> None:
    """Wait for what a process brings about; one that ends before fails the test."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if process is not None and process.poll() is not None:
            assert condition(), f"it ended before, with exit code {process.returncode}"
        assert time.monotonic() < end, f"waited {PATIENCE_S} s"
        time.sleep(0.01)
