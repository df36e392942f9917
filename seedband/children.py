"""Child processes: that they end with their parent, and how one that was killed is told."""

import os
import signal
import sys


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
