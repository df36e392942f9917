"""Features on disk: read, made anew where damaged, made once by jobs at the same time, trimmed."""

import errno
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest
import safetensors.torch
import torch
from signatures import SCORING

from seedband.models.speedups import feature_cache
from seedband.models.speedups.feature_cache import FeatureCache, distrust, is_near, make_folder, trim
from seedband.tasks import cache_key
from seedband.tasks.cache_key import rows_key

KEY = ["base", "rows"]


def counted(calls):
    def compute(index):
        calls.append(index)
        return torch.full((2, 3), float(index))

    return compute


def read(cache, key, n, compute):
    """All parts in their order."""
    return [part for _, part in sorted(cache.parts(key, n, compute), key=lambda pair: pair[0])]


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_was_computed_is_read_again(tmp_path):
    calls = []
    for _ in range(2):
        parts = read(FeatureCache(tmp_path / "features", "here"), KEY, 3, counted(calls))
        assert [float(part[0, 0]) for part in parts] == [0.0, 1.0, 2.0]
    assert calls == [2, 1, 0]  # the longest rows first


@pytest.mark.parametrize(("identity", "key"), [("there", KEY), ("here", ["base", "other rows"])])
def test_other_rows_models_or_numerics_are_computed_anew(tmp_path, identity, key):
    calls = []
    read(FeatureCache(tmp_path, "here"), KEY, 1, counted(calls))
    read(FeatureCache(tmp_path, identity), key, 1, counted(calls))
    assert calls == [0, 0]


@pytest.mark.parametrize("content", [b"", b"half", None])
def test_a_damaged_part_is_made_anew(tmp_path, content):
    cache, calls = FeatureCache(tmp_path, "here"), []
    read(cache, KEY, 1, counted(calls))
    (file,) = tmp_path.glob("*/0.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if content is None else content)
    assert torch.equal(read(cache, KEY, 1, counted(calls))[0], torch.zeros(2, 3))
    assert calls == [0, 0]


def test_jobs_at_the_same_time_share_the_work(tmp_path):
    calls, begun = [], threading.Barrier(2)

    def counted_slowly(index):
        calls.append(index)
        time.sleep(0)  # lets the other one on
        return torch.full((1, 1), float(index))

    found = {}

    def ask(number):
        begun.wait()
        found[number] = read(FeatureCache(tmp_path, "x"), KEY, 8, counted_slowly)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(calls) == list(range(8))
    assert all([float(part) for part in found[n]] == [float(index) for index in range(8)] for n in range(2))


def test_without_a_folder_or_where_nothing_can_be_written_all_is_computed(tmp_path):
    (tmp_path / "file").write_text("")
    for cache in (FeatureCache(), FeatureCache(tmp_path / "file" / "below", "x")):
        calls = []
        assert len(read(cache, KEY, 2, counted(calls))) == 2
        assert calls == [0, 1]


def test_a_disk_that_is_full_costs_time_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    calls = []
    written = safetensors.torch.save_file

    def half(tensors, path, metadata):
        written(tensors, path, metadata)
        full()

    monkeypatch.setattr(safetensors.torch, "save_file", half)
    for _ in range(2):
        assert len(read(FeatureCache(tmp_path, "here"), KEY, 2, counted(calls))) == 2
    assert calls == [1, 0, 1, 0]
    assert {file.suffix for file in tmp_path.glob("*/*")} <= {".lock"}


def test_what_a_killed_process_left_half_written_goes_with_the_next_write(tmp_path):
    cache = FeatureCache(tmp_path, "here")
    read(cache, KEY, 1, counted([]))
    (file,) = tmp_path.glob("*/0.safetensors")
    file.rename(file.with_name(".0.safetensors.xyz.part"))
    read(cache, KEY, 1, counted([]))
    assert {found.name for found in file.parent.iterdir()} - {"0.lock"} == {"0.safetensors"}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSPC])
def test_where_no_lock_can_be_had_all_is_computed(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    calls = []
    assert len(read(FeatureCache(tmp_path, "here"), KEY, 2, counted(calls))) == 2
    assert calls == [1, 0]


def test_a_part_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, "MAX_WAIT", 0.01)
    cache, calls = FeatureCache(tmp_path, "here"), []
    read(cache, KEY, 1, counted([]))
    (file,) = tmp_path.glob("*/0.safetensors")
    file.unlink()
    with filelock.FileLock(file.with_suffix(".lock")):
        assert torch.equal(read(cache, KEY, 1, counted(calls))[0], torch.zeros(2, 3))
    assert calls == [0]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of this kind")
def test_a_folder_that_others_can_write_is_not_believed(tmp_path, monkeypatch):
    folder = tmp_path / "cache" / "features"
    assert distrust(folder) == ""
    before = os.umask(0o002)
    try:
        make_folder(folder)
    finally:
        os.umask(before)
    assert distrust(folder) == ""
    folder.chmod(0o770)
    assert distrust(folder) == "can be written by other users"
    monkeypatch.setattr(os, "getuid", lambda: Path(folder).stat().st_uid + 1)
    assert distrust(folder) == "belongs to another user"


def test_what_was_not_used_for_longest_goes_first_and_what_may_be_in_use_stays(tmp_path):
    cache, hour = FeatureCache(tmp_path, "here"), feature_cache.IN_USE

    def aged():
        for age, key in [(2 * hour, "new"), (3 * hour, "old"), (4 * hour, "oldest")]:
            before = set(tmp_path.iterdir())
            read(cache, [key], 1, counted([]))
            for place in set(tmp_path.iterdir()) - before:
                os.utime(place, (time.time() - age,) * 2)

    def kept():
        return len(list(tmp_path.iterdir()))

    aged()
    size = sum(file.stat().st_size for file in next(tmp_path.iterdir()).iterdir())
    trim(tmp_path, limit=2 * size)
    assert kept() == 2
    calls = []
    read(cache, ["new"], 1, counted(calls))
    read(cache, ["old"], 1, counted(calls))
    assert calls == []
    trim(tmp_path, limit=1)
    assert kept() == 2


def test_many_parts_lie_in_a_bounded_number_of_files(tmp_path):
    cache, calls = FeatureCache(tmp_path, "here"), []
    for _ in range(2):
        parts = list(cache.parts(KEY, 130, counted(calls)))
        assert sorted(number for number, _ in parts) == list(range(130))
        assert all(float(part[0, 0]) == number for number, part in parts)
    assert len(calls) == 130
    assert 32 <= len(list(tmp_path.glob("*/*.safetensors"))) <= feature_cache.MAX_FILES


def test_what_is_dropped_is_computed_anew(tmp_path):
    cache, calls = FeatureCache(tmp_path, "here"), []
    read(cache, KEY, 2, counted(calls))
    cache.drop(["other"], 2)
    read(cache, KEY, 2, counted(calls))
    assert calls == [1, 0]
    cache.drop(KEY, 2)
    assert not list(tmp_path.glob("*/*.safetensors"))
    read(cache, KEY, 2, counted(calls))
    assert calls == [1, 0, 1, 0]
    FeatureCache().drop(KEY, 2)


def test_near_is_what_differs_in_the_last_digits_of_the_largest():
    known = torch.tensor([[1.0, -100.0], [0.0, 3.0]])
    assert is_near(known, known + 0.0009)
    assert not is_near(known, known + 0.0011)
    assert not is_near(known, known[:1])
    assert is_near(torch.zeros(2), torch.zeros(2))


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of this kind")
def test_the_folder_is_of_this_user_alone_and_where_there_are_no_owners_it_is_believed(tmp_path, monkeypatch):
    make_folder(tmp_path / "features")
    assert (tmp_path / "features").stat().st_mode & 0o777 == 0o700
    (tmp_path / "features").chmod(0o777)
    monkeypatch.delattr(os, "getuid")
    assert distrust(tmp_path / "features") == ""


def test_the_release_that_decides_pixels_is_a_key_of_images_alone(monkeypatch):
    items, keys = SimpleNamespace(contents=["a"], targets=[0], chat=None), []
    for installed in ("1", "2"):
        monkeypatch.setattr(cache_key, "version", {"pillow": installed}.__getitem__)
        keys += [rows_key(replace(SCORING, task=task), items) for task in (SCORING.task, "image-classification")]
    text, image, text_later, image_later = keys
    assert text == text_later
    assert image != image_later


def test_a_use_is_remembered(tmp_path):
    cache = FeatureCache(tmp_path, "here")
    read(cache, KEY, 1, counted([]))
    (place,) = tmp_path.iterdir()
    os.utime(place, (1, 1))
    read(cache, KEY, 1, counted([]))
    assert place.stat().st_mtime > 1
