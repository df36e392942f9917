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
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from seedband.determinism import inherited, pinned_environment, without_secrets
from seedband.errors import UsageError, WorkFailed

#: A child that says nothing for so long, in seconds, hangs: it tells its progress batch by batch.
SILENCE_S = 3600.0
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
        WorkFailed: It crashed, or fell silent for too long and was ended.
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
        raise UsageError(f"{who}: {content['mistake']}", hint=content["hint"])
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
    except UsageError as error:
        content = {"mistake": error.message, "hint": error.hint}
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
        while (line := lines.get(timeout=SILENCE_S)) is not None:
            text = without_secrets(line.rstrip(), os.environ)
            if log is not None:
                log.write(f"{text}\n")
            if text.strip():
                last.append(text.strip()[:MAX_LINE])
        code = process.wait()
    except queue.Empty:
        raise WorkFailed(f"{who} said nothing for {SILENCE_S:.0f} s, and was ended") from None
    finally:
        process.kill()
        process.wait()
        reader.join()
    return code, list(last)


def _read(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
