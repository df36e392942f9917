"""What holds for every command: exit 1 is an answer, and a reader who leaves does not change it."""

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
    [("check --scores pass.json", "0"), ("check --scores fail.json", "1"), ("show band.json --json", "0")],
)
def test_reader_who_leaves_does_not_change_the_exit_code(worked, arguments, code):
    # The reader is gone before anything is written.
    command = f"({sys.executable} -m seedband {arguments}; echo $? > code) | true; cat code"
    assert shell(command, worked) == code


@pytest.mark.parametrize("arguments", ["--help", "show band.json", "check --scores pass.json"])
def test_full_disk_under_the_output_is_no_answer(worked, arguments):
    assert shell(f"{sys.executable} -m seedband {arguments} > /dev/full; echo $?", worked) == "5"


def test_broken_installation_is_no_answer(worked):
    (worked / "typer.py").write_text("raise ImportError('broken')")
    assert shell(f"{sys.executable} -m seedband check --scores fail.json; echo $?", worked) == "5"
