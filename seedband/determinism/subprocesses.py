"""Children of a job: libraries that seed generators, set variables or start threads get a process of their own.

A child reads a request, writes an answer, and ends with its parent: `ask` on the one side, `answer` on the other.
A command of the user's own is attended to: heard while it runs, and ended with everything that it started.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from seedband.determinism.command_guard import BY_SIGNAL
from seedband.determinism.pins import inherited, pinned_environment, without_secrets
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.storage.json_files import JsonObject

#: A child that says nothing for so long, in seconds, hangs: each of them tells its progress.
SILENCE_S = 3600.0
#: Seconds between two looks at whether a silent child has ended, and how long what it left behind is still read.
LOOK_S, LAST_WORDS_S = 0.2, 5.0
#: Seconds that a command gets to end after it was asked to; a job gets more.
GRACE_S = 3.0
#: Errors of a child that are its answer.
MISTAKES = {kind.__name__: kind for kind in (UsageError, Refused, WorkFailed)}
#: Last lines of its output that a message holds, and letters of each.
LAST_LINES, MAX_LINE = 3, 300


def ask(
    module: str, request: Mapping[str, object], who: str, variables: Mapping[str, str], log: IO[str] | None = None
) -> JsonObject:
    """The answer of a child to a request; the child is pinned as its parent is.

    Args:
        module: What it runs: a module that calls `answer`.
        request: As JSON.
        who: Asks, for messages.
        variables: Of its environment, beside the pins and the parent's own.
        log: Where its output goes; nowhere unless said.

    Raises:
        UsageError: The request is wrong.
        Refused: The child refuses it.
        WorkFailed: It failed or crashed, or fell silent for too long and was ended.
    """
    pins = pinned_environment(inherited(os.environ), offline="HF_HUB_OFFLINE" in os.environ)
    with tempfile.TemporaryDirectory(prefix="seedband-child-") as folder:
        files = [Path(folder) / name for name in ("request.json", "answer.json")]
        files[0].write_text(json.dumps(request), encoding="utf-8")
        command = [sys.executable, "-P", "-m", module, *map(str, files), str(os.getpid())]
        code, last = _run(command, {**os.environ, **pins, **variables}, who, log)
        if not files[1].is_file():
            told = killed_by(-code) if code < 0 else f"exit code {code}"
            raise WorkFailed(f"{who} crashed ({told}): {' / '.join(last)}")
        content: JsonObject = json.loads(files[1].read_text(encoding="utf-8"))
    if "mistake" in content:
        raise MISTAKES[content["kind"]](f"{who}: {content['mistake']}", hint=content["hint"])
    return content


def attend(
    command: Sequence[str], folder: Path, who: str, hear: Callable[[str], None], timeout_s: float | None = None
) -> str:
    """Run a command of the user's own in this process's environment, and be told its output line by line.

    Args:
        command: Program and arguments.
        folder: Where it starts.
        who: Runs, for messages.
        hear: Told every line as it comes, without secrets.
        timeout_s: Seconds after which it is ended; it takes its time unless said.

    Returns:
        What went wrong, with its last lines; empty when nothing did.
    """
    guard = [sys.executable, "-P", "-m", "seedband.determinism.command_guard", str(folder), *command]
    # A program whose output goes to a pipe keeps it back by the kilobyte.
    process = _start(guard, {**os.environ, "PYTHONUNBUFFERED": "1"}, stdin=subprocess.PIPE)
    try:
        code, last = _listen(process, _Patience(who, limit_s=timeout_s), hear)
    except WorkFailed as error:
        return error.message
    how = f"was {killed_by(code - BY_SIGNAL)}" if code > BY_SIGNAL else f"ended with exit code {code}"
    return " / ".join([f"{who} {how}", *last]) if code else ""


def answer(arguments: Sequence[str], reply: Callable[[JsonObject], Mapping[str, object]]) -> int:
    """Be the child: reply to the request in a file. A mistake is an answer, too, and anything else a crash.

    Args:
        arguments: Of its command line: the request, the answer, and the parent's process id.
        reply: From the request to the answer.
    """
    end_with_parent(int(arguments[2]))
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        content: Mapping[str, object] = reply(request)
    except tuple(MISTAKES.values()) as error:
        content = {"kind": type(error).__name__, "mistake": error.message, "hint": error.hint}
    part = Path(f"{arguments[1]}.part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(arguments[1])
    return 0


def end_with_parent(parent: int) -> None:
    """On Linux, be killed when the parent dies: an orphan would go on writing into its folder.

    Args:
        parent: Process id of the parent.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # it died while this process was starting, so no signal will come
            os.kill(os.getpid(), signal.SIGKILL)


def killed_by(number: int) -> str:
    """Describe a process that a signal ended.

    Examples:
        >>> killed_by(15)
        'killed by SIGTERM'
    """
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hint = ", which is how Linux ends a process when memory runs out" if name == "SIGKILL" else ""
    return f"killed by {name}{hint}"


def _run(
    command: Sequence[str], environment: Mapping[str, str], who: str, log: IO[str] | None
) -> tuple[int, list[str]]:
    """Exit code and last lines of a child; what it says is passed on as it comes, without secrets."""

    def hear(line: str) -> None:
        if log is not None:
            log.write(f"{line}\n")

    return _listen(_start(command, environment), _Patience(who, silence_s=SILENCE_S), hear)


def _start(
    command: Sequence[str], environment: Mapping[str, str], stdin: int = subprocess.DEVNULL
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        env=dict(environment),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


@dataclass(frozen=True)
class _Patience:
    """How long a process may take.

    Attributes:
        who: Runs it, for messages.
        silence_s: Seconds without a line.
        limit_s: Seconds in all.
    """

    who: str
    silence_s: float | None = None
    limit_s: float | None = None

    def check(self, started: float, heard: float) -> None:
        """Check whether it is over.

        Raises:
            WorkFailed: It is.
        """
        now = time.monotonic()
        if self.silence_s is not None and now - heard > self.silence_s:
            raise WorkFailed(f"{self.who} said nothing for {self.silence_s:.0f} s, and was ended")
        if self.limit_s is not None and now - started > self.limit_s:
            raise WorkFailed(f"{self.who} was still running after {self.limit_s:g} s, and was ended")


def _listen(
    process: "subprocess.Popen[str]", patience: _Patience, hear: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Exit code and last lines of a process, which is over when this returns or raises."""
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        for line in _heard(process, lines, patience):
            text = without_secrets(line.rstrip(), os.environ)
            hear(text)
            if text.strip():
                last.append(text.strip()[:MAX_LINE])
        code = process.wait()
    except BaseException:
        _ask_to_end(process)
        raise
    finally:
        _end(process)
        process.wait()
        reader.join(LAST_WORDS_S)
        if process.stdin is not None:
            process.stdin.close()
    return code, list(last)


def _heard(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]", patience: _Patience) -> Iterator[str]:
    """Lines of a child until it has ended: processes that it leaves behind would hold its output open.

    Raises:
        WorkFailed: It took too long.
    """
    started = heard = time.monotonic()
    ended = None
    while ended is None or time.monotonic() - ended < LAST_WORDS_S:
        if ended is None:
            patience.check(started, heard)
        try:
            line = lines.get(timeout=LOOK_S)
        except queue.Empty:
            pass
        else:
            if line is None:
                return
            heard = time.monotonic()
            yield line
        if ended is None and process.poll() is not None:
            ended = time.monotonic()
            _end(process)


def _ask_to_end(process: "subprocess.Popen[str]") -> None:
    """Let a child and what it started end by themselves: launchers end workers that are of other groups."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)


def _end(process: "subprocess.Popen[str]") -> None:
    """End a child and what it started, which is of its process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
