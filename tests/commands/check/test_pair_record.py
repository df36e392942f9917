"""Looks at pairs on record: which level is left to the next one, and what settles it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from signatures import a_run, recorded

from seedband import Refused, fit_band
from seedband.bands.verdict import Candidate
from seedband.commands.check import ledger
from seedband.commands.check.candidates import Found
from seedband.commands.check.ledger import Entry, PairLook
from seedband.commands.check.pair_record import LOOKS, Books, Stand, key_of, opened
from seedband.models.model_folders import CheckpointFiles

N = 4


def pairs(k, weights="a"):
    return [Candidate(f"new/seed-{seed}", {"accuracy": 0.5}, weights * 64, seed=seed) for seed in range(k)]


def look(k, status="suspect", *, final=False, alpha=0.05, tolerance=0.01):
    return PairLook(k, alpha, tolerance, final, status, "for a reason")


def books(*before, looked_at=None, **options):
    k = max((entry.pairs for entry in before), default=0)
    known = [Entry(before[-1].status, tuple(looked_at or pairs(k)), pair_looks=before)] if before else []
    return Books("key", [ledger.Ledger({})], known, **options)


def stand(before, k, *, given=None, final=False, **options):
    return books(*before, **options).stand(given or pairs(k), look(k, final=final), N)


@pytest.mark.parametrize(
    ("before", "k", "final", "first"),
    [
        ([], 2, False, 2),
        ([], 3, False, 3),
        ([], 4, False, None),
        ([], 3, True, None),
        ([look(3)], 4, False, 3),
        ([look(2), look(3)], 4, False, 2),
        ([look(2)], 4, True, 2),
        ([look(3)], 3, True, 3),
        ([look(3)], 3, False, 3),
        ([look(3, final=True)], 3, False, None),
        ([look(4, final=True)], 4, False, None),
        ([look(3, alpha=0.1)], 4, False, 2),
        ([look(3, tolerance=0.02)], 4, False, 2),
        ([look(3, tolerance=0.02, final=True)], 4, True, 2),
        ([look(3, "pass", tolerance=0.02)], 4, False, 2),
    ],
)
def test_alpha_itself_is_left_to_a_look_that_is_the_only_one(before, k, final, first):
    assert stand(before, k, final=final) == Stand(first, None)


def test_where_nothing_keeps_looks_every_number_of_pairs_from_two_counts():
    assert stand([], 4, unknown=True) == Stand(2, None)
    assert stand([], 4, unknown=True, final=True) == Stand(None, None)


def test_pairs_that_were_trained_again_with_other_weights_count_from_two():
    assert stand([look(3)], 4, given=pairs(4, "b")) == Stand(2, None)


@pytest.mark.parametrize("status", ["pass", "fail"])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_a_settled_verdict_stays(status, k):
    assert stand([look(2), look(3, status)], k).settled == look(3, status)


def test_a_fail_stays_whatever_the_weights_and_a_pass_only_with_them():
    assert stand([look(3, "fail")], 4, given=pairs(4, "b")).settled == look(3, "fail")
    assert stand([look(3, "pass")], 4, given=pairs(4, "b")) == Stand(2, None)


def test_pairs_are_never_taken_away():
    with pytest.raises(Refused, match="the pair of seed 2 was looked at before and is not among these") as caught:
        stand([look(3)], 2)
    assert "check the 3 that were looked at" in caught.value.hint
    with pytest.raises(Refused, match="seed 1 was looked at before"):
        stand([look(3)], 3, given=[pairs(4)[seed] for seed in (0, 2, 3)])


def test_after_the_last_look_there_is_no_other():
    with pytest.raises(Refused, match=r"the look at 3 pairs was announced as the last one \(--final\)"):
        stand([look(3, final=True)], 4)


def test_looks_of_both_records_count_and_are_written_to_both():
    both = books(look(3))
    both.known.append(Entry("suspect", tuple(pairs(2)), pair_looks=(look(2),)))
    both.kept.append(ledger.Ledger({}))
    assert both.stand(pairs(4), look(4), N) == Stand(2, None)
    both.record(pairs(4), look(4, "fail"))
    for book in both.kept:
        assert book.find("key") == Entry("fail", tuple(pairs(4)), pair_looks=(look(3), look(2), look(4, "fail")))


def test_the_same_look_is_on_record_once():
    again = books(look(2), look(3))
    again.record(pairs(3), look(3))
    assert again.kept[0].find("key").pair_looks == (look(2), look(3))


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "sweep.json").write_text("{}")
    return [
        Found(CheckpointFiles("head", str(tmp_path / "new" / f"seed-{seed}"), "new"), a_run(seed)) for seed in (0, 1)
    ]


def taken(entries, named, k):
    notes = []
    with opened("key", entries, named, notes.append) as kept:
        found = kept.stand(pairs(k), look(k), N)
        kept.record(pairs(k), look(k))
    return found, [event.content["text"] for event in notes]


def test_the_sweep_folder_and_the_ledger_carry_looks_from_call_to_call(sweep, tmp_path):
    named = tmp_path / "ledger.json"
    assert taken(sweep, named, 2) == (
        Stand(2, None),
        [f"{named} is new: looks of earlier calls are known only where the file is kept between them"],
    )
    assert taken(sweep, None, 3) == (Stand(2, None), [])
    (tmp_path / "new" / LOOKS).unlink()
    assert taken(sweep, named, 4) == (Stand(2, None), [])
    kept = json.loads((tmp_path / "new" / LOOKS).read_text())["entries"]["key"]
    assert [entry["pairs"] for entry in kept["pair_looks"]] == [2, 4]


def test_a_folder_that_cannot_be_written_is_said_and_counts_every_look(sweep, tmp_path):
    (tmp_path / "new" / LOOKS).mkdir()
    found, notes = taken(sweep, None, 4)
    assert found == Stand(2, None)
    assert "cannot be written" in notes[0]
    assert "every number of pairs from 2 on counts as one; --ledger FILE keeps them" in notes[1]


def test_a_ledger_may_be_that_of_the_sweep_itself(sweep, tmp_path):
    taken(sweep, None, 2)
    assert taken(sweep, tmp_path / "new" / LOOKS, 3) == (Stand(2, None), [])


def test_candidates_outside_of_a_sweep_have_no_record(sweep, tmp_path):
    (tmp_path / "new" / "sweep.json").unlink()
    found, notes = taken(sweep, None, 4)
    assert found == Stand(2, None)
    assert len(notes) == 1
    assert not (tmp_path / "new" / LOOKS).exists()


def test_a_damaged_record_is_refused(sweep, tmp_path):
    taken(sweep, None, 2)
    path = tmp_path / "new" / LOOKS
    path.write_text(path.read_text().replace('"suspect"', '"pass"'))
    with pytest.raises(Refused, match="does not fit its sha256"):
        taken(sweep, None, 3)


def test_another_band_has_a_key_of_its_own_and_another_level_has_not():
    recipe = recorded()
    band = fit_band({"accuracy": [0.8, 0.81, 0.82]})
    assert key_of(band, recipe) == key_of(replace(band, alpha=0.1, folder=Path("elsewhere")), recipe)
    assert key_of(band, recipe) != key_of(fit_band({"accuracy": [0.8, 0.81, 0.83]}), recipe)
