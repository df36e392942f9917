"""What holds for every command: exit 1 is an answer, and a reader who leaves does not change it."""

import os
import subprocess
import sys

import pytest

from seedband import fit_band


def shell(command, cwd):
    done = subprocess.run(["bash", "-c", command], cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    return done.stdout.split()[-1]


@pytest.fixture
def worked(tmp_path):
    fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]}).save(tmp_path / "band.json")
    (tmp_path / "pass.json").write_text('{"accuracy": [0.88]}')
    (tmp_path / "fail.json").write_text('{"accuracy": [0.80]}')
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("check --scores pass.json", "0"),
        ("check --scores fail.json", "1"),
        ("check --scores none.json", "2"),
        ("show band.json --json", "0"),
        ("--help", "0"),
        ("no-such-command", "2"),
    ],
)
def test_reader_who_leaves_does_not_change_the_exit_code(worked, arguments, code):
    # The reader is gone before anything is written.
    command = f"({sys.executable} -m seedband {arguments} 2>&1; echo $? > code) | true; cat code"
    assert shell(command, worked) == code


@pytest.mark.parametrize("errors", ["2> /dev/full", "2>&-"])
def test_errors_that_nobody_reads_do_not_change_the_exit_code(worked, errors):
    assert shell(f"{sys.executable} -m seedband check --scores none.json {errors}; echo $?", worked) == "2"


def test_errors_that_nobody_reads_leave_the_output(worked):
    (worked / "more.json").write_text('{"accuracy": [0.88], "f1": [0.5]}')
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "seedband", "check", "--scores", "more.json"]
    done = subprocess.run(command, cwd=worked, stdout=subprocess.PIPE, stderr=writing, text=True, check=True)
    os.close(writing)
    assert "PASS" in done.stdout


@pytest.mark.parametrize("arguments", ["--help", "show band.json", "check --scores pass.json"])
def test_full_disk_under_the_output_is_no_answer(worked, arguments):
    assert shell(f"{sys.executable} -m seedband {arguments} > /dev/full 2> err; echo $?", worked) == "5"
    assert "Traceback" not in (worked / "err").read_text()


def test_broken_installation_is_no_answer(worked):
    (worked / "typer.py").write_text("raise ImportError('broken')")
    assert shell(f"{sys.executable} -m seedband check --scores fail.json; echo $?", worked) == "5"
