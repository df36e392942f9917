"""How a job's process is started: forked from a launcher that has imported everything, or spawned.

Nothing that a job does depends on which of the two it was: its environment is the same, and pinned before Python
started. Forking saves it the seconds that imports take.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from seedband.jobs.launcher import MAX_MESSAGE
from seedband.jobs.spec import Job

#: Where a GPU is, there is one of these; elsewhere "auto" means the CPU.
GPUS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/nvhost-ctrl")
#: Seconds that a launcher gets to end.
GRACE_S = 5.0


class Process(Protocol):
    """A job's process, as `subprocess.Popen` has it."""

    @property
    def stdout(self) -> IO[str] | None:
        """Its events."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended; negative for a signal."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


def spawn(file: Path, environment: Mapping[str, str], log: IO[str]) -> "subprocess.Popen[str]":
    """Start a Python of its own for the job in a file."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "seedband.jobs.worker", str(file), str(os.getpid())],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        encoding="utf-8",
        # Ctrl-C reaches the parent alone, which then ends its jobs in order.
        start_new_session=True,
    )


def may_fork(job: Job) -> bool:
    """Check whether it is worth asking a launcher; what it finds out by itself would cost its imports in vain."""
    device = job.launched_on
    alone = device == "cpu" or (device == "auto" and not any(Path(path).exists() for path in GPUS))
    # With more threads than one, OpenBLAS starts them when numpy is imported.
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and alone and job.determinism.threads == 1


class Launcher:
    """The other side of `seedband.jobs.launcher`: has jobs forked, and hears how they ended.

    Args:
        environment: Pinned.
        log: File that gets what its imports print.
        module: What it runs.
    """

    def __init__(self, environment: Mapping[str, str], log: Path, module: str = "seedband.jobs.launcher") -> None:
        self.codes: dict[int, int] = {}
        self._unsafe: str | None = None
        self._started = 0
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno()), str(os.getpid())],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def start(self, file: Path, device: str, log: IO[str]) -> "Forked | None":
        """Have a job forked; None where that cannot be done, for which it need not be asked again."""
        if not self._is_ready():
            return None
        self._started += 1
        read, write = os.pipe()
        order = {"job": self._started, "file": str(file), "device": device}
        try:
            socket.send_fds(self._socket, [json.dumps(order).encode()], [write, log.fileno()])
        except OSError:
            os.close(read)
            return None
        finally:
            os.close(write)
        return Forked(self, self._started, os.fdopen(read, encoding="utf-8"))

    def hear(self, timeout: float | None = None) -> bool:
        """Take one message in; False where the launcher is gone.

        Raises:
            TimeoutError: None came in so many seconds.
        """
        try:
            self._socket.settimeout(timeout)
            text = self._socket.recv(MAX_MESSAGE)
        except TimeoutError:
            raise
        except OSError:  # its end or ours is closed
            return False
        if not text:
            return False
        message = json.loads(text)
        if "job" in message:
            self.codes[message["job"]] = message["code"]
        else:
            self._unsafe = str(message["unsafe"])
        return True

    def send(self, job: int, number: int) -> None:
        """Send a signal to a job; one that has ended gets none."""
        with suppress(OSError):
            self._socket.send(json.dumps({"job": job, "signal": number}).encode())

    def close(self) -> None:
        """End it, and with it every job that it has forked."""
        self._socket.close()
        if self._unsafe is None:  # it is importing, and hears of nothing
            self._process.kill()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        """Check whether it forks, which it tells after its imports."""
        while self._unsafe is None:
            if not self.hear():
                return False
        return not self._unsafe


@dataclass(frozen=True)
class Forked:
    """A job's process whose parent is a launcher.

    Attributes:
        launcher: Which.
        job: What both call it.
        stdout: Its events.
    """

    launcher: Launcher
    job: int
    stdout: IO[str]

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended; negative for a signal.

        Raises:
            subprocess.TimeoutExpired: It runs on after so many seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self.job not in self.launcher.codes:
            try:
                told = self.launcher.hear(None if end is None else max(0.001, end - time.monotonic()))
            except TimeoutError as error:
                raise subprocess.TimeoutExpired("job", timeout or 0.0) from error
            if not told:  # it died, and the kernel ended its children
                return -signal.SIGKILL
        return self.launcher.codes[self.job]

    def terminate(self) -> None:
        """Ask it to end."""
        self.launcher.send(self.job, signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.launcher.send(self.job, signal.SIGKILL)
