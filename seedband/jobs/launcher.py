"""Imports once: a process that has imported what jobs import, and forks a child for each.

    python -P -m seedband.jobs.launcher SOCKET PARENT_PID

Its environment was pinned before it started, as a job's is, and a job inherits it: what the worker finds in a fork is
what it would find in a process of its own, but for the seconds that imports take. Executors talk to it over a socket,
one JSON object a message: a job to be started, with its two files, and a signal to be sent to one; back come how a job
ended and, first of all, why no job can be forked here. It does nothing beside, so that nothing is under way in it when
it forks: it starts no thread, runs no operation of torch and draws no number.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from seedband.counts import counted
from seedband.determinism.subprocesses import end_with_parent
from seedband.jobs import worker
from seedband.storage.json_files import JsonObject
from seedband.storage.registry import METHODS, TASKS

#: Bytes of the longest message, and how many files come with one: events and log of a job.
MAX_MESSAGE, FILES = 64 * 1024, 2
#: What jobs import sooner or later, the slowest of it. What a recipe alone names is left to its job.
LIBRARIES = (
    "torch",
    "torch._inductor.config",  # by torch itself, when it is told to be deterministic
    "transformers",
    "peft",
    "pandas",
    "pyarrow.compute",
    "pyarrow.parquet",
    "pydantic",
    "sklearn.metrics",
    "seedband.trainers.loop.adapters",
    "seedband.trainers.loop.heads",
)
#: The allocator of pyarrow would start a thread when it is loaded.
ALLOCATOR = "JE_ARROW_MALLOC_CONF"


@dataclass(frozen=True)
class Order:
    """A job to be started.

    Attributes:
        job: Its number, by which both sides call it.
        file: Holds the job.
        device: "auto" or "cpu".
        events: File descriptor that its events go to.
        log: File descriptor that everything else goes to.
    """

    job: int
    file: str
    device: str
    events: int
    log: int


def main(arguments: Sequence[str]) -> int:
    """Import, then fork a child for every order, until nobody is left to give one."""
    end_with_parent(int(arguments[1]))
    environment, launcher = dict(os.environ), os.getpid()
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    _import_libraries()
    if reason := why_not():
        sys.stderr.write(f"every job gets a process of its own: {reason}\n")
    _tell(control, {"unsafe": reason})
    order = None if reason else _Forks(control).serve()
    if order is None:
        sys.stderr.flush()
        os._exit(0)  # taking apart what was imported takes long, and is of no use
    # Here the child goes on, alone on the stack: what it raises ends it as it would any Python process.
    leave(_be_job(order, launcher, environment))


def _import_libraries() -> None:
    given = os.environ.get(ALLOCATOR)
    os.environ[ALLOCATOR] = "background_thread:false" + ("" if given is None else f",{given}")
    gc.disable()  # next to nothing of what imports make is garbage, and looking for it takes long
    for registry in (TASKS, METHODS):
        for name in registry.built_in:
            registry.find(name)
    for name in LIBRARIES:
        importlib.import_module(name)
    del os.environ[ALLOCATOR]
    if given is not None:
        os.environ[ALLOCATOR] = given
    # What is there now stays: a collection in a child would copy every page of it.
    gc.freeze()
    gc.enable()


def why_not() -> str:
    """The reason why a child forked here would not be as good as a process of its own; empty where it is."""
    from torch import cuda, version

    try:
        threads = len(list(Path("/proc/self/task").iterdir()))
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        return f"this system does not tell what forking takes: {error}"
    if threads > 1:
        return f"imports started {counted(threads - 1, 'thread')}"
    if cuda.is_initialized() or version.hip is not None or "/libcuda.so" in maps:  # type: ignore[no-untyped-call]
        return "imports touched the GPU"
    return ""


@dataclass
class _Forks:
    """The children, by the file descriptor that tells of their end."""

    control: socket.socket
    children: dict[int, tuple[int, int]] = field(default_factory=dict)

    def serve(self) -> Order | None:
        """Serve until the other side is gone; in a child, what it is to do."""
        while True:
            talk = self.control.fileno()
            for file in select.select([talk, *self.children], [], [])[0]:
                if file != talk:
                    self._bury(file)
                    continue
                text, files, _, _ = socket.recv_fds(self.control, MAX_MESSAGE, FILES)
                if not text:
                    self._end()
                    return None
                order = self._follow(json.loads(text), files)
                if order is not None:
                    return order

    def _follow(self, message: JsonObject, files: Sequence[int]) -> Order | None:
        if "signal" in message:
            for job, pid in self.children.values():
                if job == message["job"]:  # which nobody has buried, so that its id is no one else's
                    os.kill(pid, message["signal"])
            return None
        order = Order(**message, events=files[0], log=files[1])
        try:
            pid = os.fork()
        except OSError as error:
            os.write(order.log, f"cannot fork: {error}\n".encode())
            _tell(self.control, {"job": order.job, "code": 1})
        else:
            if pid == 0:
                self._leave()
                return order
            self.children[os.pidfd_open(pid)] = (order.job, pid)
        for file in files:
            os.close(file)
        return None

    def _leave(self) -> None:
        """In a child: its brothers and its parent's talk are no business of its own."""
        self.control.close()
        for file in self.children:
            os.close(file)

    def _bury(self, file: int) -> None:
        job, pid = self.children.pop(file)
        os.close(file)
        _tell(self.control, {"job": job, "code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})

    def _end(self) -> None:
        for _, pid in self.children.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _tell(control: socket.socket, message: Mapping[str, object]) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # the next read tells that nobody listens
        control.send(json.dumps(message).encode())


def _be_job(order: Order, launcher: int, environment: Mapping[str, str]) -> int:
    """Be what the executor would have started: files, session, arguments and draws are those of a process of its own.

    Args:
        order: What to do.
        launcher: Process id of the parent.
        environment: That the launcher was started with.
    """
    end_with_parent(launcher)
    os.setsid()
    for file, place in ((order.events, 1), (order.log, 2)):
        os.dup2(file, place)
        os.close(file)
    sys.argv[1:] = [order.file, str(launcher)]
    if order.device == "auto" and _finds_gpu():
        # A GPU begins in a process that has seen none.
        command = [sys.executable, "-P", "-m", "seedband.jobs.worker", *sys.argv[1:]]
        os.execve(sys.executable, command, dict(environment))  # noqa: S606
    if "numpy" in sys.modules:  # whose generator, unlike Python's own, no fork seeds anew
        sys.modules["numpy"].random.seed()
    return worker.main(sys.argv[1:])


def leave(code: int) -> NoReturn:
    """End as Python does, but for taking apart what was imported, which takes long and is of no use.

    Threads are waited for, what was registered for the end is called, and what was printed is written, as
    `multiprocessing` does at the end of its children.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # taken away, gone or closed by somebody's code
            stream.flush()
    ctypes.CDLL(None).fflush(None)  # of libraries that print by themselves
    os._exit(code)


def _finds_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
