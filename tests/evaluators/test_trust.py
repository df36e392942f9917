"""Evaluators that run code or send data elsewhere: a record alone cannot make them run."""

import json

import pytest

from seedband.bands import comparability
from seedband.commands.sweep.trust import trusted_folder
from seedband.errors import Refused
from seedband.evaluators import build, describe, needs_trust
from seedband.recipe.parse import parse_recipe

METRIC = "def score(items, predictions, factor=1.0):\n    open({ran!r}, 'w').close()\n    return factor\n"
ARGS = {"higher_is_better": True, "factor": 2.0}


def recipe_of(*evaluators, **changes):
    sections = [{"evaluator": name, "args": args} for name, args in evaluators]
    table = {
        "model": {"base": "base"},
        "data": {"name": "d", "train": "t.jsonl", "eval": "e.jsonl"},
        "train": {"method": "lora"},
        "evaluate": [{"evaluator": "accuracy", "primary": True}, *sections],
    }
    return table | changes


def write(folder, table):
    import tomli_w

    folder.mkdir(exist_ok=True)
    (folder / "seedband.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory without a recipe."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_what_needs_trust_is_known_without_running_any_of_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "boom.py").write_text("raise SystemExit('imported')\n")
    assert needs_trust("python:boom:score")
    assert not needs_trust("accuracy")
    assert not needs_trust("sklearn:f1_weighted")


def test_a_band_alone_makes_no_code_run(elsewhere, tmp_path):
    ran = tmp_path / "ran"
    recorded = tmp_path / "downloaded"
    recorded.mkdir()
    (recorded / "metric.py").write_text(METRIC.format(ran=str(ran)))
    recipe = parse_recipe(recipe_of(("python:metric:score", ARGS)), "a band")
    with pytest.raises(Refused, match="python:metric:score runs code or sends data elsewhere, and a record alone"):
        trusted_folder(recipe, recorded)
    write(elsewhere, recipe_of())
    with pytest.raises(Refused, match="stands in no recipe of"):
        trusted_folder(recipe, recorded)
    write(elsewhere, recipe_of(("python:metric:score", {**ARGS, "factor": 3.0})))
    with pytest.raises(Refused, match=r"stands in no recipe of .* like this: factor is 2\.0 on record, 3\.0 here"):
        trusted_folder(recipe, recorded)
    assert not ran.exists()


def test_an_evaluator_that_cannot_be_trusted_runs_where_the_own_recipe_names_it(elsewhere, tmp_path):
    recorded, own = tmp_path / "downloaded", tmp_path / "own"
    table = recipe_of(("python:metric:score", ARGS))
    recipe = parse_recipe(table, "a band")
    write(own, table)
    assert trusted_folder(recipe, recorded, own / "seedband.toml") == own
    write(elsewhere, table)
    assert trusted_folder(recipe, recorded).resolve() == elsewhere


def test_evaluators_that_only_compute_start_where_the_record_says(elsewhere, tmp_path):
    recipe = parse_recipe(recipe_of(("mcc", {}), ("sklearn:f1_weighted", {})), "a band")
    assert trusted_folder(recipe, tmp_path / "downloaded") == tmp_path / "downloaded"


def test_another_backend_is_another_evaluator():
    evaluator = build("rouge_l", {})
    told = {"rouge_l": describe(evaluator, "rouge-score 0.1.2")}
    assert told["rouge_l"]["backend"] == "rouge-score 0.1.2"
    assert describe(evaluator)["backend"] == "rouge-score"
    other = {"rouge_l": describe(evaluator, "rouge-score 0.2")}
    [found] = [
        entry
        for entry in comparability.differences({"evaluators": told}, {"evaluators": other})
        if entry.key == "evaluators"
    ]
    assert found.need == "must"
    assert "rouge-score 0.1.2" in str(found)
    assert json.dumps(other)
