"""What befalls a sweep from outside: a run that dies, a signal, a full or read-only disk, data that vanish."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiny import Tiny, gone, recipe_text, run_cli

HEADS = recipe_text(train_method='"head"', train_epochs="10")


@pytest.fixture
def heads(tiny: Tiny) -> Tiny:
    """The tiny recipe with method head, which is trained soonest."""
    tiny.config.write_text(HEADS, encoding="utf-8")
    return tiny


def job_of(folder: Path, seed: int) -> int | None:
    """Process of the job that trains a seed in this folder: the one that writes its log."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            log = str((process / "fd" / "2").readlink())
        except OSError:
            continue
        if re.fullmatch(rf"{folder}/logs/seed(-\d+)*-{seed}(-\d+)*\.log", log):
            return int(process.name)
    return None


class Killing:
    """Kills the job of a seed as soon as it runs, as the kernel does when memory runs out."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed, self._over = folder, seed, False
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over:
            if (pid := job_of(self._folder, self._seed)) is not None:
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.02)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()


def test_a_run_that_dies_leaves_the_others_and_no_band_unless_told_to_go_on(tiny):
    sweep = ["sweep", "--seeds", "3", "--out", tiny.runs]
    with Killing(tiny.runs, 1):
        done = run_cli(*sweep, cwd=tiny.folder)
    assert done.code == 5, done.err
    assert "seed 1 crashed: killed by SIGKILL, which is how Linux ends a process when memory runs out" in done.err
    assert "logs/seed-1.log; sweep again to train it" in done.err
    assert (tiny.runs / "seed-2" / "run.json").is_file()
    assert not tiny.band.exists()
    record = json.loads((tiny.runs / "sweep.json").read_text())
    assert record["crashed"] == {"1": {"message": record["crashed"]["1"]["message"], "log": "logs/seed-1.log"}}
    assert "SIGKILL" in record["crashed"]["1"]["message"]

    with Killing(tiny.runs, 1):
        done = run_cli(*sweep, "--keep-going", cwd=tiny.folder)
    assert done.code == 0, done.err
    assert "seed 1 is no part of the band, for its run crashed: killed by SIGKILL" in done.out
    assert json.loads(tiny.band.read_text())["seeds"] == [0, 2]

    done = run_cli(*sweep, "--json", cwd=tiny.folder)
    assert done.code == 0, done.err
    assert json.loads(tiny.band.read_text())["seeds"] == [0, 1, 2]
    assert "crashed" not in done.out
    assert json.loads((tiny.runs / "sweep.json").read_text())["crashed"] == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_is_an_interruption(heads, number):
    command = [sys.executable, "-m", "seedband", "sweep", "--seeds", "2", "--out", str(heads.runs)]
    parent = subprocess.Popen(command, cwd=heads.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child = None
    while child is None:
        assert parent.poll() is None
        child = job_of(heads.runs, 0)
        time.sleep(0.02)
    parent.send_signal(number)
    _, err = parent.communicate(timeout=60)
    assert parent.returncode == 130, err
    assert f"ended by {number.name}; what was finished is kept" in err
    assert gone(child)
    assert not list(heads.runs.rglob("*.part"))


@pytest.fixture
def disk(tmp_path):
    """A disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "none", folder], check=False, capture_output=True)
    if made.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_is_told_and_the_same_call_goes_on_once_there_is_room(heads, disk):
    (disk / "filler").write_bytes(bytes(440_000))
    sweep = ["sweep", "--seeds", "2", "--out", disk / "runs"]
    done = run_cli(*sweep, cwd=heads.folder)
    assert done.code == 5, done.err
    assert "No space left on device" in done.err
    assert not heads.band.exists()
    (disk / "filler").unlink()
    done = run_cli(*sweep, cwd=heads.folder)
    assert done.code == 0, done.err
    assert json.loads(heads.band.read_text())["seeds"] == [0, 1]


def test_a_read_only_disk_is_told_before_any_training(heads, disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    done = run_cli("sweep", "--seeds", "2", "--out", disk / "runs", cwd=heads.folder)
    assert done.code == 5, done.err
    assert f"cannot make {disk}/runs: Read-only file system" in done.err
    done = run_cli("sweep", "--seeds", "2", "--out", heads.runs, "--band", disk / "band.json", cwd=heads.folder)
    assert done.code == 5, done.err
    assert f"cannot write {disk}/band.json: Read-only file system" in done.err


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs Linux")
def test_a_folder_that_cannot_be_made_is_told(heads):
    done = run_cli("sweep", "--seeds", "2", "--out", "/sys/kernel/runs", cwd=heads.folder)
    assert done.code == 5, done.err
    assert "cannot make /sys/kernel/runs: " in done.err


def test_training_data_that_vanish_during_a_sweep_are_named(heads):
    def vanish() -> None:
        while not (heads.runs / "logs" / "seed-0-1.job.json").is_file():
            time.sleep(0.02)
        (heads.folder / "train.jsonl").rename(heads.folder / "elsewhere.jsonl")

    thread = threading.Thread(target=vanish, daemon=True)
    thread.start()
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=heads.folder)
    assert done.code == 2, done.err
    assert "train.jsonl: no such file" in done.err
    assert not heads.band.exists()


def test_a_sweep_moves_with_its_data(tiny_heads, tmp_path):
    moved = Path(shutil.copytree(tiny_heads.folder, tmp_path / "elsewhere"))
    for name in ("run.json", "sweep.json"):
        for path in moved.rglob(name):
            assert str(tiny_heads.folder) not in json.dumps(json.loads(path.read_text())["provenance"])
    done = run_cli("check", "runs/seed-1", "--band", "band.json", cwd=moved)
    assert done.code == 0, done.err
