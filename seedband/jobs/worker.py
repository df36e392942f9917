"""Worker: one job in one pinned child process.

    python -m seedband.jobs.worker JOB.json PARENT_PID

Events go to standard output, one JSON object a line; whatever libraries print goes to standard error, which the
parent keeps as the job's log. run.json is written last: its existence means that the run is finished. trained.json
stands there while a trained checkpoint is scored: whatever ends the process meanwhile, nothing is trained for it again.
"""

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from seedband.determinism.subprocesses import end_with_parent
from seedband.errors import SeedbandError, WorkFailed
from seedband.events import Emit
from seedband.jobs.spec import read_job


def main(arguments: Sequence[str]) -> int:
    """Run the job in a file; the exit code is that of the error tree."""
    events = _take_stdout()

    def emit(kind: str, seed: int | None, content: Mapping[str, object]) -> None:
        events.write(json.dumps({"kind": kind, "seed": seed, "content": dict(content)}) + "\n")
        events.flush()

    end_with_parent(int(arguments[1]))
    try:
        read_job(Path(arguments[0])).carry_out(emit)
        emit("done", None, {})
    except SeedbandError as error:
        return _tell(error, emit)
    except OSError as error:
        traceback.print_exc()
        return _tell(WorkFailed.from_os(error), emit)
    return 0


def _tell(error: SeedbandError, emit: Emit) -> int:
    """Give the parent the error as it is; the exit code is its own."""
    problems = [asdict(problem) for problem in error.problems]
    content = {"exit_code": error.exit_code, "message": error.message, "problems": problems, "hint": error.hint}
    emit("error", None, content)
    return error.exit_code


def _take_stdout() -> TextIO:
    """Keep standard output for events; what libraries print joins standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
