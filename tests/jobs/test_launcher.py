"""The process that imports once: what forbids it to fork, and how its forks end."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seedband.jobs.launcher import why_not

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux only")


def test_a_thread_forbids_forking():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    assert re.fullmatch(r"imports started \d+ threads", why_not())
    over.set()
    thread.join()


@pytest.mark.parametrize("touched", ["nothing", "a device", "the driver"])
def test_a_gpu_that_was_touched_forbids_forking(monkeypatch, touched):
    import torch

    maps = "7f00-7f10 r--p 00000000 /usr/lib/libcuda.so.1" if touched == "the driver" else ""
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(["one thread"]))
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: maps)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: touched == "a device")
    monkeypatch.setattr(torch.version, "hip", None)
    assert why_not() == ("" if touched == "nothing" else "imports touched the GPU")


def test_a_system_that_does_not_tell_forbids_forking(monkeypatch):
    def refuse(_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("os.pidfd_open", refuse)
    assert "does not tell what forking takes: [Errno 38]" in why_not()


def test_a_fork_ends_with_all_that_a_python_process_does_at_its_end(tmp_path):
    script = tmp_path / "ends.py"
    script.write_text(
        """
import atexit, ctypes, threading, time
from concurrent.futures import ThreadPoolExecutor
from seedband.jobs.launcher import leave

def slow(word):
    time.sleep(0.2)
    print(word)

atexit.register(print, "registered")
threading.Thread(target=slow, args=["thread"]).start()
ThreadPoolExecutor(1).submit(slow, "pool")
ctypes.CDLL(None).printf(b"library\\n")
leave(7)
"""
    )
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    ended = subprocess.run([sys.executable, script], env=buffered, capture_output=True, text=True, check=False)
    assert ended.returncode == 7
    assert sorted(ended.stdout.split()) == ["library", "pool", "registered", "thread"]
