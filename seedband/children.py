"""Children of a job: libraries that seed generators, set variables or start threads get a process of their own.

A child reads a request, writes an answer, and ends with its parent: `ask` on the one side, `answer` on the other.
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
from pathlib import Path
from typing import IO, Any

from seedband.determinism import inherited, pinned_environment, without_secrets
from seedband.errors import Refused, UsageError, WorkFailed

#: A child that says nothing for so long, in seconds, hangs: each of them tells its progress.
SILENCE_S = 3600.0
#: Seconds between two looks at whether a silent child has ended, and how long what it left behind is still read.
LOOK_S, LAST_WORDS_S = 0.2, 5.0
#: Errors of a child that are its answer.
MISTAKES = {kind.__name__: kind for kind in (UsageError, Refused, WorkFailed)}
#: Last lines of its output that a message holds, and letters of each.
LAST_LINES, MAX_LINE = 3, 300


def ask(
    module: str, request: Mapping[str, Any], who: str, variables: Mapping[str, str], log: IO[str] | None = None
) -> dict[str, Any]:
    """What a child says to a request, pinned as its parent is.

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
        content: dict[str, Any] = json.loads(files[1].read_text(encoding="utf-8"))
    if "mistake" in content:
        raise MISTAKES[content["kind"]](f"{who}: {content['mistake']}", hint=content["hint"])
    return content


def answer(arguments: Sequence[str], reply: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Be the child: reply to the request in a file. A mistake is an answer, too, and anything else a crash.

    Args:
        arguments: Of its command line: the request, the answer, and the parent's process id.
        reply: From the request to the answer.
    """
    end_with_parent(int(arguments[2]))
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        content = reply(request)
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
    """What became of a process that a signal ended.

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
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        for line in _heard(process, lines, who):
            text = without_secrets(line.rstrip(), os.environ)
            if log is not None:
                log.write(f"{text}\n")
            if text.strip():
                last.append(text.strip()[:MAX_LINE])
        code = process.wait()
    finally:
        _end(process)
        process.wait()
        reader.join(LAST_WORDS_S)
    return code, list(last)


def _heard(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]", who: str) -> Iterator[str]:
    """Lines of a child until it has ended: processes that it leaves behind would hold its output open.

    Raises:
        WorkFailed: It said nothing for too long.
    """
    heard, ended = time.monotonic(), None
    while ended is None or time.monotonic() - ended < LAST_WORDS_S:
        try:
            line = lines.get(timeout=LOOK_S)
        except queue.Empty:
            if ended is None and time.monotonic() - heard > SILENCE_S:
                raise WorkFailed(f"{who} said nothing for {SILENCE_S:.0f} s, and was ended") from None
        else:
            if line is None:
                return
            heard = time.monotonic()
            yield line
        if ended is None and process.poll() is not None:
            ended = time.monotonic()
            _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    """End a child and what it started, which is of its process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
