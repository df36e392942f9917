"""Features on disk: read, made anew where damaged, made once by jobs at the same time, trimmed."""

import os
import threading
import time

import pytest
import torch

from seedband.feature_cache import FeatureCache, trim

KEY = ["base", "rows"]


def counted(calls):
    def compute(index):
        calls.append(index)
        return torch.full((2, 3), float(index))

    return compute


def test_what_was_computed_is_read_again(tmp_path):
    calls = []
    for _ in range(2):
        parts = FeatureCache(tmp_path / "features", "here").parts(KEY, 3, counted(calls))
        assert [float(part[0, 0]) for part in parts] == [0.0, 1.0, 2.0]
    assert calls == [0, 1, 2]


@pytest.mark.parametrize(("identity", "key"), [("there", KEY), ("here", ["base", "other rows"])])
def test_other_rows_models_or_numerics_are_computed_anew(tmp_path, identity, key):
    calls = []
    FeatureCache(tmp_path, "here").parts(KEY, 1, counted(calls))
    FeatureCache(tmp_path, identity).parts(key, 1, counted(calls))
    assert calls == [0, 0]


@pytest.mark.parametrize("content", [b"", b"half", None])
def test_a_damaged_part_is_made_anew(tmp_path, content):
    cache, calls = FeatureCache(tmp_path, "here"), []
    cache.parts(KEY, 1, counted(calls))
    (file,) = tmp_path.glob("*/0.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if content is None else content)
    assert torch.equal(cache.parts(KEY, 1, counted(calls))[0], torch.zeros(2, 3))
    assert calls == [0, 0]


def test_jobs_at_the_same_time_share_the_work(tmp_path):
    calls = []

    def slow(index):
        calls.append(index)
        time.sleep(0.05)
        return torch.full((1, 1), float(index))

    found = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: FeatureCache(tmp_path, "x").parts(KEY, 8, slow)}))
        for n in range(2)
    ]
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
        assert len(cache.parts(KEY, 2, counted(calls))) == 2
        assert calls == [0, 1]


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    cache = FeatureCache(tmp_path, "here")
    for age, key in enumerate(["new", "old", "oldest"]):
        cache.parts([key], 1, counted([]))
        for place in tmp_path.iterdir():
            if place.stat().st_mtime > time.time() - 50:
                os.utime(place, (time.time() - 100 * (age + 1),) * 2)
    size = sum(file.stat().st_size for file in next(tmp_path.iterdir()).iterdir())
    trim(tmp_path, limit=2 * size)
    calls = []
    for key in ["new", "old", "oldest"]:
        cache.parts([key], 1, counted(calls))
    assert len(calls) == 1
