"""Between a job and a command of the user's own: whatever ends the job ends the command, with all that it started.

    python -m seedband.determinism.command_guard FOLDER COMMAND [ARGUMENT ...]

The guard leads the process group that the command and its children are in. The job holds the other end of its
standard input: when that closes, the job is dead, and the group is killed. A signal of the kernel at the parent's death
would reach the command alone, not the processes that it started.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

#: What shells answer for a program that cannot be started, and add to the number of a signal.
NOT_STARTED, BY_SIGNAL = 127, 128


def main(arguments: Sequence[str]) -> int:
    """Run the command in the folder; the exit code is its own, of a signal as shells tell it."""
    folder, *command = arguments
    try:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_STARTED
    # The whole group is asked to end, and the guard tells how the command took it.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=_end_with_job, daemon=True).start()
    code = process.wait()
    return code if code >= 0 else BY_SIGNAL - code


def _end_with_job() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
