"""Jobs as child processes of this one."""

import json
import os
import queue
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from seedband.determinism.pins import overridden, pinned_environment, without_secrets
from seedband.determinism.subprocesses import killed_by
from seedband.errors import WorkFailed
from seedband.events import Event
from seedband.jobs.executors import OnEvent
from seedband.jobs.executors.processes import Forked, Launcher, Process, may_fork, spawn
from seedband.jobs.spec import Job, Outcome, write_job
from seedband.storage.json_files import JsonObject

#: Seconds that a job gets to end after it was asked to.
GRACE_S = 5.0
#: A job that ends so found a mistake, or refuses: what waits would end likewise.
FOUND_WRONG = (2, 3)
#: Bytes of a log, and letters of its last line, that a message is made of.
LOG_TAIL, MAX_MESSAGE = 16 * 1024, 300


@dataclass
class _Child:
    """A job that runs."""

    job: Job
    process: Process
    log: Path
    file: Path
    error: JsonObject = field(default_factory=dict)
    done: bool = False


class LocalExecutor:
    """Runs up to `slots` jobs at a time on this machine.

    What jobs import is imported once, for all of them, until the executor is left.
    """

    def __init__(self, *, slots: int, offline: bool) -> None:
        self._slots = slots
        self._offline = offline
        self._launchers: dict[tuple[tuple[str, str], ...], Launcher] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for launcher in self._launchers.values():
            launcher.close()
        self._launchers.clear()

    def run(self, jobs: Sequence[Job], logs: Path, on_event: OnEvent) -> list[Outcome]:
        """Run all jobs, in order, `slots` at a time."""
        pins = [pinned_environment(job.determinism, offline=self._offline) for job in jobs]
        for name, found, value in dict.fromkeys(entry for pinned in pins for entry in overridden(pinned, os.environ)):
            on_event(Event("note", content={"text": f"{name}={found} in the shell, pinned to {value} in every job"}))
        waiting, running, outcomes = list(jobs), list[_Child](), list[Outcome]()
        lines: queue.Queue[tuple[_Child, str | None]] = queue.Queue()
        try:
            while waiting or running:
                while waiting and len(running) < self._slots:
                    child = self._start(waiting.pop(0), logs, lines)
                    running.append(child)
                    told = {"name": child.job.name, "log": str(child.log), "forked": isinstance(child.process, Forked)}
                    on_event(Event("job", content=told))
                child, line = lines.get()
                if line is not None:
                    _dispatch(child, line, on_event)
                    continue
                running.remove(child)
                outcomes.append(_ended(child))
                if outcomes[-1].exit_code in FOUND_WRONG:
                    waiting.clear()
                if outcomes[-1].message:
                    on_event(Event("crashed", content={"name": child.job.name, "message": outcomes[-1].message}))
        finally:
            for child in running:
                _end(child)
        return outcomes

    def _start(self, job: Job, logs: Path, lines: "queue.Queue[tuple[_Child, str | None]]") -> _Child:
        environment = {**os.environ, **pinned_environment(job.determinism, offline=self._offline)}
        name = re.sub(r"[^\w-]+", "-", job.name).strip("-")[:80]
        file, log = logs / f"{name}.job.json", logs / f"{name}.log"
        write_job(file, job)
        try:
            with log.open("w", encoding="utf-8") as output:
                process = self._fork(job, file, environment, output) or spawn(file, environment, output)
        except BaseException:
            file.unlink()
            raise
        child = _Child(job, process, log, file)
        assert process.stdout is not None
        threading.Thread(target=_read, args=(child, process.stdout, lines), daemon=True).start()
        return child

    def _fork(self, job: Job, file: Path, environment: Mapping[str, str], log: IO[str]) -> Process | None:
        if not may_fork(job):
            return None
        pinned = tuple(sorted(environment.items()))
        if pinned not in self._launchers:
            self._launchers[pinned] = Launcher(environment, file.with_name("launcher.log"))
        return self._launchers[pinned].start(file, job.launched_on, log)


def _read(child: _Child, stream: IO[str], lines: "queue.Queue[tuple[_Child, str | None]]") -> None:
    with stream:
        for line in stream:
            lines.put((child, line))
    lines.put((child, None))


def _dispatch(child: _Child, line: str, on_event: OnEvent) -> None:
    try:
        event = json.loads(line)
    except ValueError:
        return  # half a line of a job that was killed
    if event["kind"] == "error":
        child.error = event["content"]
    elif event["kind"] == "done":
        child.done = True
    else:
        on_event(Event(event["kind"], event["seed"], event["content"]))


def _ended(child: _Child) -> Outcome:
    code = child.process.wait()
    child.file.unlink(missing_ok=True)
    if code == 0 and not child.done:  # somebody's code ended the process
        return Outcome(child.job, WorkFailed.exit_code, "ended before its work was done", child.log, child.error)
    return Outcome(child.job, code, _message(code, child), child.log, child.error)


def _message(code: int, child: _Child) -> str:
    if code == 0:
        return ""
    if child.error:
        return str(child.error["message"])
    if code < 0:
        return killed_by(-code)
    return without_secrets(_last_line(child.log), os.environ)[:MAX_MESSAGE] or f"ended with exit code {code}"


def _last_line(log: Path) -> str:
    """The last line of a job, usually the error that ended it."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL))
        lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _end(child: _Child) -> None:
    child.process.terminate()
    try:
        child.process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
    child.file.unlink(missing_ok=True)
