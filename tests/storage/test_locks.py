"""Locks: one process at a time in a folder, which is left as it was found."""

import shutil

import pytest

from seedband.errors import UsageError
from seedband.storage import locks


def test_a_folder_in_which_nothing_was_written_goes_with_its_lock(tmp_path):
    with pytest.raises(UsageError, match="no such recipe"), locks.locked(tmp_path / "runs" / "new"):
        raise UsageError("no such recipe")
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_stays_and_so_does_a_folder_that_was_there(tmp_path):
    with locks.locked(tmp_path / "runs" / "new"):
        (tmp_path / "runs" / "new" / "run.json").write_text("{}")
    assert (tmp_path / "runs" / "new" / "run.json").is_file()
    (tmp_path / "old").mkdir()
    with locks.locked(tmp_path / "old"):
        pass
    assert (tmp_path / "old").is_dir()


def test_a_folder_that_is_gone_hides_no_error_from_under_its_lock(tmp_path):
    def lose() -> None:
        shutil.rmtree(tmp_path / "new")
        raise UsageError("no such recipe")

    with pytest.raises(UsageError, match="no such recipe"), locks.locked(tmp_path / "new"):
        lose()


def test_the_second_holder_is_told_who_has_the_lock(tmp_path):
    with (
        locks.locked(tmp_path / "new"),
        pytest.raises(UsageError, match=r"new is in use by process \d+"),
        locks.locked(tmp_path / "new"),
    ):
        pass


def test_a_file_is_no_folder_to_lock(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(UsageError, match="runs is a file, not a folder"), locks.locked(tmp_path / "runs"):
        pass
