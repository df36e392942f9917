"""Files: sealed, versioned, replaced in one go, locked."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedband.errors import Refused, SeedbandError, UsageError, WorkFailed
from seedband.storage import atomic_files, json_files, locks

CONTENT = {"scores": [0.5, 0.25], "name": "é", "inner": {"b": 1, "a": None}}
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=12
)
tables = st.dictionaries(text.map("x".__add__), values, max_size=4)


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "run.json"
    json_files.write_json(path, "run", CONTENT)
    return path


def only(path):
    """Whether no other file lies beside it."""
    return list(path.parent.iterdir()) == [path]


def rewrite(path, **changes):
    value = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    path.write_text(json.dumps(value), encoding="utf-8")


def reseal(path, **changes):
    value = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    del value["sha256"]
    rewrite(path, **changes, sha256=json_files.digest(value))


def shuffled(value, draw):
    if isinstance(value, list):
        return [shuffled(inner, draw) for inner in value]
    if not isinstance(value, dict):
        return value
    return {key: shuffled(value[key], draw) for key in draw.sample(sorted(value), len(value))}


def test_reads_what_it_wrote(sealed):
    assert json_files.read_json(sealed, "run") == {"format": "seedband.run", "version": 1, **CONTENT}
    assert only(sealed)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_files_are_as_readable_as_the_umask_has_it(tmp_path, umask):
    before = os.umask(umask)
    try:
        atomic_files.write_text(tmp_path / "new.json", "{}")
    finally:
        os.umask(before)
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o666 & ~umask


@given(tables)
@settings(deadline=None, max_examples=50)
def test_reads_back_whatever_json_it_wrote(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    json_files.write_json(path, "run", content)
    assert json_files.read_json(path, "run") == {"format": "seedband.run", "version": 1, **content}


@pytest.mark.parametrize(
    "change", [{"scores": [0.5, 0.26]}, {"scores": [0.25, 0.5]}, {"new": 1}, {"sha256": "0" * 64}, {"sha256": None}]
)
def test_refuses_tampering(sealed, change):
    rewrite(sealed, **change)
    with pytest.raises(Refused, match="does not fit its sha256"):
        json_files.read_json(sealed, "run")


@pytest.mark.parametrize("version", [0, -1, 2, "1", None, True, 1.0, [1]])
def test_refuses_an_unknown_version(sealed, version):
    reseal(sealed, version=version)
    with pytest.raises(Refused, match="is unknown, this release reads 1 to 1"):
        json_files.read_json(sealed, "run")


@pytest.mark.parametrize("kind", ["band", "seedband.run", "", None, 3])
def test_refuses_another_format(sealed, kind):
    reseal(sealed, format=f"seedband.{kind}")
    with pytest.raises(Refused, match=r"expected 'seedband\.run'"):
        json_files.read_json(sealed, "run")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_never_writes_nan(sealed, number):
    before = sealed.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_files.write_json(sealed, "run", {"scores": [number]})
    assert sealed.read_bytes() == before
    assert only(sealed)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_never_reads_nan(sealed, number):
    sealed.write_text(sealed.read_text(encoding="utf-8").replace("0.25", number), encoding="utf-8")
    with pytest.raises(UsageError, match=f"not valid JSON: {number} is no finite number"):
        json_files.read_json(sealed, "run")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b"null", b"1" * 5000])
def test_refuses_what_is_no_json_object(sealed, content):
    sealed.write_bytes(content)
    with pytest.raises(UsageError, match=r"not valid JSON|not UTF-8 at byte 0|expected an object"):
        json_files.read_json(sealed, "run")


def test_refuses_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(UsageError, match="no such file"):
            json_files.read_json(path, "run")


def test_refuses_a_huge_file_unread(sealed, monkeypatch):
    monkeypatch.setattr(json_files, "MAX_JSON_BYTES", sealed.stat().st_size)
    assert json_files.read_json(sealed, "run")
    monkeypatch.setattr(json_files, "MAX_JSON_BYTES", sealed.stat().st_size - 1)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(Refused, match="bytes, more than the"):
        json_files.read_json(sealed, "run")


@pytest.mark.parametrize("depth", [100, 900, 1000, 5000, 100_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_deeply_nested_json_is_a_mistake_like_any_other(sealed, brackets, depth):
    opening, closing = brackets
    head = '{"format": "seedband.run", "version": 1, "sha256": "", "x": '
    sealed.write_text(f"{head}{opening * depth}1{closing * depth}}}", encoding="utf-8")
    with pytest.raises(SeedbandError):
        json_files.read_json(sealed, "run")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_failed_write_leaves_the_old_file(sealed, error):
    before = sealed.read_bytes()
    with pytest.raises(error):
        fail_half_way(sealed, error)
    assert sealed.read_bytes() == before
    assert only(sealed)


def fail_half_way(path, error):
    before = path.read_bytes()
    with atomic_files.replacing(path) as temporary:
        temporary.write_text("half")
        assert path.read_bytes() == before
        raise error


def test_full_disk_is_work_failed_and_leaves_the_old_file(sealed, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = sealed.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkFailed, match=r"cannot write .*: No space left on device"):
        atomic_files.write_text(sealed, "new")
    assert sealed.read_bytes() == before
    assert only(sealed)


def test_writing_below_a_file_is_work_failed(sealed):
    with pytest.raises(WorkFailed, match="cannot write"):
        atomic_files.write_text(sealed / "below.json", "x")
    with pytest.raises(WorkFailed, match="cannot make"), locks.locked(sealed / "below"):
        pass


@given(values, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_digest_ignores_the_order_of_keys_alone(value, draw):
    assert json_files.digest(shuffled(value, draw)) == json_files.digest(value)
    assert json.loads(json_files.canonical(value)) == value
    assert json_files.digest([value]) != json_files.digest(value)


def test_canonical_text_is_pinned():
    assert json_files.canonical({"b": [1, 0.1], "a": "é"}) == r'{"a":"\u00e9","b":[1,0.1]}'
    assert json_files.digest({}) == hashlib.sha256(b"{}").hexdigest()


def test_tells_a_second_holder_who_has_the_folder(tmp_path):
    folder = tmp_path / "new" / "runs"
    with locks.locked(folder):
        with pytest.raises(UsageError, match=f"is in use by process {os.getpid()}") as caught, locks.locked(folder):
            pytest.fail("held twice")
        code = "from pathlib import Path; from seedband.storage.locks import locked\n"
        code += f"with locked(Path({str(folder)!r})): pass"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600)
    assert caught.value.hint
    assert f"is in use by process {os.getpid()}" in other.stderr


def test_lock_is_free_after_a_crash(tmp_path):
    with pytest.raises(KeyError), locks.locked(tmp_path):
        raise KeyError
    with locks.locked(tmp_path):
        assert (tmp_path / ".lock-holder").is_file()
    assert not (tmp_path / ".lock-holder").exists()


def test_holder_that_was_killed_is_not_named_again(tmp_path):
    (tmp_path / ".lock-holder").write_text("process 1", encoding="utf-8")
    with locks.locked(tmp_path):
        assert (tmp_path / ".lock-holder").read_text() == f"process {os.getpid()}"
        with pytest.raises(UsageError, match=f"by process {os.getpid()}"), locks.locked(tmp_path):
            pass
    assert not (tmp_path / ".lock-holder").exists()


def test_removes_parts_of_its_own_making_alone(tmp_path):
    with atomic_files.replacing(tmp_path / "run.json") as temporary:
        own = temporary.name
    (tmp_path / "run.json").unlink()
    others = [own.replace("run.json", "band.json"), ".x.part", "run.json.abcd1234.part", ".run.json.abcd123.part"]
    for name in (own, *others):
        (tmp_path / name).touch()
    atomic_files.remove_parts(tmp_path, "run.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    atomic_files.remove_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others[1:])
    atomic_files.remove_parts(tmp_path / "nowhere")


def test_number_beyond_floats_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"format": "seedband.run", "version": 1, "a": 1e999}', encoding="utf-8")
    with pytest.raises(UsageError, match="1e999 is no finite number"):
        json_files.read_json(tmp_path / "run.json", "run")


def test_half_a_surrogate_pair_survives_a_round_trip(tmp_path):
    json_files.write_json(tmp_path / "run.json", "run", {"a": "\ud800"})
    assert json_files.read_json(tmp_path / "run.json", "run")["a"] == "\ud800"


def test_a_pointer_of_git_lfs_is_told_whatever_is_read(tmp_path):
    (tmp_path / "band.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    for read in (
        json_files.parse_json,
        lambda path: json_files.read_text(path, 10**6),
        lambda path: json_files.read_json(path, "band"),
    ):
        with pytest.raises(UsageError, match="Git LFS pointer"):
            read(tmp_path / "band.json")
