"""A seedband command that stands still at a point of a test's choosing, however fast or slow the machine is.

The point is a file that one of its processes opens or moves. Processes learn of it from an audit hook, which Python
itself calls; nothing in seedband knows of it.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tiny import PATIENCE_S, ROOT, Result

#: Imported by every Python process that is started with the environment below; forks inherit it.
HOOK = """
import fnmatch, os, sys, time

mark, kind, pattern, later = os.environ["HOLD"].split("\\n")
reached = standing = False

def hold(event, arguments):
    global reached, standing
    if standing or not (reached or event == kind) or os.path.lexists(mark):
        return
    paths = [os.fspath(part) for part in arguments[:2] if isinstance(part, (str, os.PathLike))]
    # The last one is where a file is moved to; what is opened is the only path.
    if not reached and not (paths and fnmatch.fnmatch(paths[-1] if kind == "os.rename" else paths[0], pattern)):
        return
    if later and not reached:
        reached = True
        return
    standing = True
    try:
        os.symlink(str(os.getpid()), mark)
        while not os.path.lexists(mark + ".go"):
            time.sleep(0.01)
    except FileExistsError:  # another process stands there
        pass
    finally:
        standing = False

sys.addaudithook(hold)
"""


class Held:
    """A command of which the first process that comes to a point stays there until told to go on.

    Args:
        folder: Where the command runs.
        arguments: Of seedband.
        opens: Pattern of a file: the point is before it is opened.
        moves: Pattern of a file: the point is before a file is moved there.
        moved: Pattern of a file: the point is after a file was moved there.
    """

    def __init__(self, folder: Path, *arguments: str | Path, opens: str = "", moves: str = "", moved: str = "") -> None:
        site = folder / ".hold"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
        self._mark = site / str(len(list(site.iterdir())))
        kind = "open" if opens else "os.rename"
        point = "\n".join((str(self._mark), kind, opens or moves or moved, "later" if moved else ""))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedband", *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "HOLD": point, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell ignores the signal for background jobs.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def pid(self) -> int:
        """The process that stands at the point, once it does."""
        wait_until(self._mark.is_symlink, self.process)
        return int(self._mark.readlink().name)

    def go_on(self) -> None:
        """Let it go on."""
        self._mark.with_name(f"{self._mark.name}.go").touch()

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
