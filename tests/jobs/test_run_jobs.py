"""Workspaces of jobs: kept after a crash, removed after anything else, a kill included."""

import subprocess
import sys
import tempfile

import pytest

from seedband import WorkFailed
from seedband.jobs.run_jobs import workspace

KILLED = """
import os, signal, tempfile
tempfile.tempdir = {folder!r}
from seedband.jobs.run_jobs import workspace
with workspace("check") as work:
    (work / "log").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_workspace_is_gone_when_its_work_is_done(folder):
    with workspace("check") as work:
        assert work.stat().st_mode & 0o077 == 0
        (work / "log").write_text("")
    with pytest.raises(KeyboardInterrupt), workspace("check"):
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []


def test_one_whose_work_crashed_is_kept_for_its_logs(folder):
    with pytest.raises(WorkFailed), workspace("check") as work:
        _crash(work)
    with workspace("check"):
        pass
    assert [path.name for path in folder.iterdir()] == [work.name]
    assert (work / "log").read_text() == "why"


def _crash(work):
    (work / "log").write_text("why")
    raise WorkFailed("crashed")


def test_one_that_a_killed_process_left_is_removed_by_the_next_call(folder):
    done = subprocess.run([sys.executable, "-c", KILLED.format(folder=str(folder))], check=False)
    assert done.returncode == -9
    left = [path for path in folder.iterdir() if path.is_dir()]
    assert len(left) == 1
    with workspace("check") as used, workspace("reproduce"):
        assert not left[0].exists()
        assert used.is_dir()
    assert list(folder.iterdir()) == []
