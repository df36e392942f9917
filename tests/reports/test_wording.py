"""What to do next, in words."""

from dataclasses import replace

import pytest

from seedband import fit_band
from seedband.bands.verdict import Candidate
from seedband.reports.wording import Asked, after_suspect

BY_NAME = "name a checkpoint of another seed behind it, with --looks 1,"
BAND = fit_band({"accuracy": [0.871, 0.884, 0.879, 0.892]}, alpha=0.05)


def again(options):
    return " ".join(["CHECK", *(f"{flag} {value}" for flag, value in options.items())])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            Asked(None),
            "train and score it as the others, and give the scores of all of them, the new one last, with looks=1",
        ),
        (Asked(again, scores="new.csv"), "train and score it as the others, add it to new.csv, then CHECK --looks 1"),
        (Asked(again, sweep="runs/new"), "sweep runs/new with one more, then CHECK --looks 1"),
        (Asked(again), f"{BY_NAME} or CHECK --more-seeds 2 --recipe CANDIDATE.toml"),
        (Asked(again, recipe=True, more_seeds=1), "CHECK --more-seeds 3"),
        (
            Asked(again, recipe=True, ledger=True),
            "CHECK --more-seeds 2, or check a checkpoint of another seed with the same --ledger",
        ),
    ],
)
def test_a_suspect_is_settled_by_as_many_seeds_more_as_it_may_need(asked, told):
    verdict = BAND.judge({"accuracy": 0.869})
    assert verdict.status == "suspect"
    assert after_suspect(verdict, asked) == f"1 more seed, 2 at most: {told}"


def test_looks_are_counted_on_and_belong_to_the_rule_that_takes_them():
    second = BAND.judge({"accuracy": [0.869, 0.868]}, looks=1)
    assert after_suspect(second, Asked(again, scores="new.csv")).endswith("add it to new.csv, then CHECK --looks 2")
    same = fit_band({"accuracy": [0.9] * 4}, rule="t").judge({"accuracy": 0.8})
    assert same.status == "suspect"
    for asked in (Asked(None), Asked(again), Asked(again, scores="new.csv")):
        assert "looks" not in after_suspect(same, asked)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked(None), "train the candidate under another seed of the band, and give the scores of all of them"),
        (
            Asked(again, scores="new.csv"),
            "train the candidate under another seed of the band, and add its row to new.csv",
        ),
        (Asked(again, sweep="runs/new"), "sweep runs/new with another seed of the band, then CHECK"),
        (Asked(again, pairs=2), "CHECK --pairs 3"),
        (Asked(again), "train the candidate under another seed of the band, and name its run, too"),
    ],
)
def test_a_suspect_by_pairs_is_settled_by_a_seed_of_the_band(asked, told):
    verdict = BAND.judge({"accuracy": [0.869, 0.885]}, rule="paired", seeds=[0, 1])
    assert verdict.status == "suspect"
    assert after_suspect(verdict, asked) == f"1 more seed, 2 left in the band: {told}"


def test_a_candidate_whose_recipe_is_on_record_needs_none():
    verdict = replace(BAND.judge({"accuracy": 0.869}), candidates=(Candidate("runs/new", {}, None, seed=7),))
    assert after_suspect(verdict, Asked(again)) == "1 more seed, 2 at most: CHECK --more-seeds 2"


def test_where_all_seeds_of_the_band_are_used_it_says_what_else_would_settle_it():
    verdict = BAND.judge({"accuracy": [0.869, 0.885, 0.86, 0.9]}, rule="paired", seeds=[0, 1, 2, 3])
    assert verdict.status == "suspect"
    assert after_suspect(verdict, Asked(again, pairs=4)).startswith("no seed of the band is left: sweep the band with")
