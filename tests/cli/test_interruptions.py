"""What befalls a sweep from outside: a run that dies, a signal, a full or read-only disk, data that vanish."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from holding import Held
from tiny import Tiny, gone, recipe_text, run_cli

HEADS = recipe_text(train_method='"head"', train_epochs="10")


@pytest.fixture
def heads(tiny: Tiny) -> Tiny:
    """The tiny recipe with method head, which is trained soonest."""
    tiny.config.write_text(HEADS, encoding="utf-8")
    return tiny


def test_a_run_that_dies_leaves_the_others_and_no_band_unless_told_to_go_on(tiny):
    sweep = ["sweep", "--seeds", "3", "--out", tiny.runs]

    def killed(*flags):
        held = Held(tiny.folder, *sweep, *flags, opens="*/seed-1/trace.jsonl")
        os.kill(held.pid(), signal.SIGKILL)
        return held.result()

    done = killed()
    assert done.code == 5, done.err
    assert "seed 1 crashed: killed by SIGKILL, which is how Linux ends a process when memory runs out" in done.err
    assert "logs/seed-1.log; sweep again to train it" in done.err
    assert (tiny.runs / "seed-2" / "run.json").is_file()
    assert not tiny.band.exists()
    record = json.loads((tiny.runs / "sweep.json").read_text())
    assert record["crashed"] == {"1": {"message": record["crashed"]["1"]["message"], "log": "logs/seed-1.log"}}
    assert "SIGKILL" in record["crashed"]["1"]["message"]

    done = killed("--keep-going")
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
    held = Held(heads.folder, "sweep", "--seeds", "2", "--out", heads.runs, opens="*/seed-0/trace.jsonl")
    child = held.pid()
    held.process.send_signal(number)
    done = held.result()
    assert done.code == 130, done.err
    assert f"ended by {number.name}; what was finished is kept" in done.err
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
    held = Held(heads.folder, "sweep", "--seeds", "2", "--out", "runs", opens="*.job.json")
    held.pid()
    (heads.folder / "train.jsonl").rename(heads.folder / "elsewhere.jsonl")
    held.go_on()
    done = held.result()
    assert done.code == 2, done.err
    assert "train.jsonl: no such file" in done.err
    assert not heads.band.exists()


def test_a_sweep_moves_with_its_data(tiny_heads, tmp_path):
    moved = Path(shutil.copytree(tiny_heads.folder, tmp_path / "elsewhere"))
    records = [*moved.rglob("run.json"), *moved.rglob("sweep.json")]
    assert len(records) == 4
    for path in records:
        assert str(tiny_heads.folder) not in json.dumps(json.loads(path.read_text())["provenance"])
    done = run_cli("check", "runs/seed-1", "--band", "band.json", cwd=moved)
    assert done.code == 0, done.err
