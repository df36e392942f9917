"""The ledger: what it keeps, what it refuses, and that no recipe gets a fresh look by being checked again."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PATIENCE_S

from seedband import Refused, UsageError, WorkFailed, fit_band
from seedband.bands.rules import find
from seedband.bands.verdict import Candidate
from seedband.commands.check import ledger
from seedband.commands.check.gate import Gate
from seedband.commands.check.ledger import Entry, key_of, opened
from seedband.commands.check.more_seeds import Trainer
from seedband.commands.sweep.prepare import prepare
from seedband.jobs.executors import make
from seedband.recipe.parse import load_recipe
from seedband.storage import json_files

WORKED = [0.871, 0.884, 0.879, 0.892]
numbers = st.floats(allow_nan=False, allow_infinity=False)
hashes = st.integers(0, 5).map(lambda n: f"{n:064x}")
looks = st.builds(
    Candidate,
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    scores=st.dictionaries(st.sampled_from(["accuracy", "größe"]), numbers),
    checkpoint_sha256=st.none() | hashes,
    failure=st.sampled_from(["", "loss is not finite"]),
    baseline_seed=st.none() | st.integers(0, 9),
    seed=st.none() | st.integers(0, 2**64),
)
scored = st.builds(Candidate, name=st.just("c"), scores=st.just({"accuracy": 0.5}), checkpoint_sha256=hashes)


def candidate(score, number=0):
    return Candidate(f"new/seed-{number}", {"accuracy": score}, f"{number:064x}", seed=number)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.json"


@pytest.fixture(scope="module")
def prepared(tiny_recipe):
    return prepare(load_recipe(tiny_recipe.config), offline=True)


@pytest.fixture
def call(prepared, path):
    """One call of `check` with candidates that are scored already; gives status, judged scores, and the verdict."""

    def judge(*candidates, band=None, recipe=prepared, to=path):
        band = fit_band({"accuracy": WORKED}) if band is None else band
        trainer = Trainer(recipe, Path(), make("local", slots=1, offline=True))
        verdict = Gate(band, find(band.rule), band.alpha, None, to, trainer).judge([], list(candidates))
        return verdict.status, verdict.metrics["accuracy"].scores, verdict

    return judge


def entries(path):
    with opened(path) as book:
        return book.entries


@given(st.dictionaries(st.text("abc", max_size=3), st.tuples(st.sampled_from(["pass", "fail", "suspect"]), looks)))
@settings(max_examples=50)
def test_keeps_every_look_as_it_was(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("ledger") / "new" / "ledger.json"
    with opened(path) as book:
        for key, (status, look) in table.items():
            book.record(key, status, [look, look])
    with opened(path) as book:
        assert book.entries == {key: Entry(status, (look, look)) for key, (status, look) in table.items()}
        assert all(book.find(key) == entry for key, entry in book.entries.items())
        assert book.find("unknown") is None


def test_nothing_new_writes_nothing(path):
    entries(path)
    assert not path.exists()
    with opened(path) as book:
        book.record("key", "suspect", [candidate(0.869)])
    before = path.stat().st_mtime_ns
    with opened(path) as book:
        book.record("key", "suspect", [candidate(0.869)])
    assert path.stat().st_mtime_ns == before


def test_a_crash_before_the_end_leaves_the_old_ledger(path):
    with opened(path) as book:
        book.record("key", "suspect", [candidate(0.869)])
    before = path.read_bytes()

    def crash():
        with opened(path) as book:
            book.record("key", "pass", [candidate(0.9)])
            raise Refused("the same weights twice")

    with pytest.raises(Refused, match="twice"):
        crash()
    assert path.read_bytes() == before
    assert len(entries(path)) == 1  # and the lock is free again


@given(st.lists(scored, max_size=3), st.lists(scored, max_size=4))
def test_a_suspect_recipe_keeps_its_looks_in_order_and_gets_only_new_ones(earlier, given_now):
    entry = Entry("suspect", tuple(earlier))
    joined = entry.joined(given_now)
    assert joined[: len(earlier)] == earlier
    known = {look.checkpoint_sha256 for look in earlier}
    assert joined[len(earlier) :] == [new for new in given_now if new.checkpoint_sha256 not in known]
    assert Entry("suspect", tuple(joined)).joined(given_now) == joined
    assert Entry("pass", tuple(earlier)).joined(given_now) == given_now


def test_a_candidate_that_left_no_weights_is_a_new_look():
    diverged = Candidate("c", {}, None, "loss is not finite")
    assert Entry("suspect", (candidate(0.869),)).joined([diverged]) == [candidate(0.869), diverged]


def test_a_suspect_goes_on_at_its_next_look_and_a_fail_stays(call, path):
    assert call(candidate(0.869, 1))[:2] == ("suspect", (0.869,))
    before = path.read_bytes()
    assert call(candidate(0.869, 1))[:2] == ("suspect", (0.869,))
    assert path.read_bytes() == before
    assert call(candidate(0.868, 2))[:2] == ("suspect", (0.869, 0.868))
    assert call(candidate(0.867, 3))[:2] == ("fail", (0.869, 0.868, 0.867))
    before = path.read_bytes()
    for late in (candidate(0.9, 4), candidate(0.869, 1)):
        status, scores, verdict = call(late)
        assert (status, scores) == ("fail", (0.869, 0.868, 0.867))
        assert verdict.reason.startswith("this recipe failed at an earlier call, and the ledger carries it: look 3")
        assert [look.seed for look in verdict.candidates] == [1, 2, 3]
    assert path.read_bytes() == before
    assert fit_band({"accuracy": WORKED}).judge({"accuracy": 0.9}).status == "pass"


def test_a_pass_at_whichever_look_starts_afresh(call):
    assert call(candidate(0.88, 1))[:2] == ("pass", (0.88,))
    assert call(candidate(0.869, 2))[:2] == ("suspect", (0.869,))
    assert call(candidate(0.885, 3))[:2] == ("pass", (0.869, 0.885))
    assert call(candidate(0.868, 4))[:2] == ("suspect", (0.868,))


def test_candidates_given_together_join_the_earlier_ones_once(call):
    call(candidate(0.869, 1))
    together = call(candidate(0.868, 2), candidate(0.869, 1), candidate(0.867, 3))
    assert together[:2] == ("fail", (0.869, 0.868, 0.867))


def test_how_looks_were_taken_stays_on_record(call, path):
    call(candidate(0.885, 1), candidate(0.82, 2))
    [failed] = entries(path).values()
    assert (failed.status, failed.own_looks, failed.looked_at) == ("fail", 0, 0)
    again = call(candidate(0.9, 3))[2]
    assert again.reason.startswith("this recipe failed at an earlier call, and the ledger carries it: one look at 2")


def test_a_ledger_that_does_not_say_how_looks_were_taken_took_them_one_by_one(call, path):
    call(candidate(0.869, 1))
    with opened(path) as book:
        [key] = book.entries
        book.record(key, "fail", [candidate(0.869, 1), candidate(0.868, 2), candidate(0.867, 3)])
    assert "carries it: look 3: p = " in call(candidate(0.9, 4))[2].reason


@given(st.lists(st.sampled_from([0.80, 0.86, 0.866, 0.869, 0.8705, 0.875, 0.885]), max_size=8))
@settings(max_examples=60)
def test_no_order_of_calls_gives_a_recipe_more_chances_than_one_call(prepared, tmp_path_factory, series):
    path, band = tmp_path_factory.mktemp("calls") / "ledger.json", fit_band({"accuracy": WORKED})
    gate = Gate(band, find("retest"), 0.05, None, path, Trainer(prepared, Path(), make("local", slots=1, offline=True)))
    since_pass, failed = [], False
    for number, score in enumerate(series):
        told = gate.judge([], [candidate(score, number)]).status
        if not failed:
            since_pass.append(score)
            expected = band.judge({"accuracy": since_pass}, looks=len(since_pass) - 1).status
            assert told == expected
            since_pass, failed = since_pass if expected != "pass" else [], expected == "fail"
        assert not failed or told == "fail"


def test_another_recipe_and_another_band_have_entries_of_their_own(call, prepared, path):
    other = replace(prepared, recipe=replace(prepared.recipe, train=replace(prepared.recipe.train, epochs=9)))
    assert call(candidate(0.80, 1))[0] == "fail"
    assert call(candidate(0.869, 2), recipe=other)[:2] == ("suspect", (0.869,))
    assert call(candidate(0.869, 2), band=fit_band({"accuracy": [*WORKED, 0.88]}))[:2] == ("suspect", (0.869,))
    assert sorted(entry.status for entry in entries(path).values()) == ["fail", "suspect", "suspect"]
    assert call(candidate(0.9, 3))[0] == "fail"


def test_where_a_recipe_lies_and_how_it_is_judged_makes_no_other_recipe(call, tiny, path):
    call(candidate(0.869, 1))
    text = tiny.config.read_text().replace('name = "tiny"', 'name = "renamed"').replace("train.jsonl", "moved.jsonl")
    tiny.config.write_text(text + "\n[gate]\nalpha = 0.1\n")
    (tiny.folder / "train.jsonl").rename(tiny.folder / "moved.jsonl")
    moved = prepare(load_recipe(tiny.config), offline=True)
    assert call(candidate(0.868, 2), recipe=moved)[1] == (0.869, 0.868)
    (tiny.folder / "moved.jsonl").write_text((tiny.folder / "moved.jsonl").read_text().replace("apple", "quince"))
    changed = prepare(load_recipe(tiny.config), offline=True)
    assert call(candidate(0.868, 2), recipe=changed)[1] == (0.868,)
    assert len(entries(path)) == 2


def test_key_depends_on_band_and_recipe_alone():
    assert key_of({"a": [1.0], "b": [2.0]}, {"x": 1, "y": 2}) == key_of({"b": [2.0], "a": [1.0]}, {"y": 2, "x": 1})
    assert len({key_of({"a": [1.0]}, {}), key_of({"a": [1.1]}, {}), key_of({}, {"a": [1.0]}), key_of({}, {})}) == 4


def test_a_candidate_that_failed_to_train_is_remembered_as_a_fail(call, path):
    call(candidate(0.869, 1))
    diverged = Candidate("new/seed-2", {}, None, "loss is not finite", seed=2)
    with pytest.raises(KeyError):  # such a verdict has no metrics
        call(diverged)
    [entry] = entries(path).values()
    assert (entry.status, entry.looks) == ("fail", (candidate(0.869, 1), diverged))


@pytest.mark.parametrize(
    ("kind", "told", "damage"),
    [
        (Refused, "does not fit its sha256", lambda text: text.replace('"suspect"', '"pass"')),
        (Refused, "does not fit its sha256", lambda text: text.replace("0.869", "0.899")),
        (Refused, "version 2", lambda text: text.replace('"version": 1', '"version": 2')),
        (Refused, "expected 'seedband.ledger'", lambda text: text.replace("seedband.ledger", "seedband.band")),
        (UsageError, "not valid JSON", lambda text: text[:-20]),
    ],
)
def test_a_damaged_ledger_is_refused_and_kept(call, path, kind, told, damage):
    call(candidate(0.869, 1))
    path.write_text(damaged := damage(path.read_text()))
    with pytest.raises(kind, match=told):
        call(candidate(0.869, 2))
    assert path.read_text() == damaged


@pytest.mark.parametrize(
    "content",
    [{}, {"entries": []}, {"entries": {"k": {"status": "pass"}}}, {"entries": {"k": {"status": "x", "looks": [{}]}}}],
)
def test_a_sealed_ledger_that_does_not_hold_together_is_refused(path, content):
    json_files.write_json(path, "ledger", content)
    with pytest.raises(Refused, match="not a ledger that holds together"):
        entries(path)


def test_a_ledger_in_use_is_waited_for_and_then_refused(path, monkeypatch):
    monkeypatch.setattr(ledger, "PATIENCE_S", 0.2)
    with opened(path), pytest.raises(UsageError, match="is in use by another process") as caught, opened(path):
        pytest.fail("held twice")
    assert f"{path}.lock" in caught.value.hint


def test_a_ledger_below_a_file_cannot_be_made(path):
    path.write_text("a file")
    with pytest.raises(WorkFailed, match="cannot make"), opened(path / "ledger.json"):
        pytest.fail("opened")


def test_calls_at_the_same_time_lose_nothing(path):
    code = f"""
import sys, time
from pathlib import Path
from seedband.commands.check import ledger
from seedband.commands.check.ledger import opened
ledger.PATIENCE_S = {PATIENCE_S}
from seedband.bands.verdict import Candidate
path = Path({str(path)!r})
path.with_name(f"{{sys.argv[1]}} is at the door").touch()
with opened(path) as book:
    while len(list(path.parent.glob("* is at the door"))) < 3:
        time.sleep(0.01)
    book.record(sys.argv[1], "suspect", [Candidate("c", {{"accuracy": 0.5}}, sys.argv[1])])
"""
    calls = [subprocess.Popen([sys.executable, "-c", code, key]) for key in "abc"]
    assert [process.wait(timeout=PATIENCE_S) for process in calls] == [0, 0, 0]
    assert sorted(json.loads(path.read_text())["entries"]) == ["a", "b", "c"]


def test_a_linked_ledger_stays_a_link_to_the_one_that_is_kept(call, path):
    kept = path.parent / "kept" / "ledger.json"
    kept.parent.mkdir()
    path.symlink_to(kept)
    assert call(candidate(0.869))[0] == "suspect"
    assert path.is_symlink()
    assert [entry.status for entry in entries(kept).values()] == ["suspect"]


def test_another_rule_or_level_neither_settles_nor_condemns(call, path):
    assert call(candidate(0.869), band=fit_band({"accuracy": WORKED}, rule="range"))[0] == "fail"
    assert call(candidate(0.869), band=fit_band({"accuracy": WORKED}, rule="t"))[0] == "pass"
    assert call(candidate(0.869))[0] == "suspect"
    assert call(candidate(0.868, number=1))[1] == (0.869, 0.868)


def test_a_ledger_that_cannot_be_written_is_told_before_anything_is_scored(path):
    path.mkdir()
    with pytest.raises(UsageError, match="is a folder, not a ledger"):
        ledger.check_usable(path)
    (path / "file").write_text("")
    with pytest.raises(WorkFailed, match="make"):
        ledger.check_usable(path / "file" / "ledger.json")
    ledger.check_usable(path / "new" / "ledger.json")
    assert not (path / "new" / "ledger.json").exists()
