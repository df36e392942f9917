"""`seedband evaluators` through the real command line."""

import json

from plugins import install
from tiny import run_cli

from seedband.evaluators import catalogue
from seedband.evaluators.catalogue import listing
from seedband.evaluators.prefixes import PREFIXES
from seedband.storage.registry import EVALUATORS


def test_lists_every_evaluator_in_one_line_each(tmp_path):
    done = run_cli("evaluators", cwd=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    for name in [*EVALUATORS.built_in, *(f"{prefix}:{entry.names}" for prefix, entry in PREFIXES.items())]:
        assert sum(f" {name} " in line for line in lines) == 1, name
    told = next(line for line in lines if " log_loss " in line)
    assert "classes" in told
    assert "lower" in told
    assert "Mean negative log-likelihood of the true class in nats" in told


def test_json_has_the_same(tmp_path):
    listed = json.loads(run_cli("evaluators", "--json", cwd=tmp_path).out)["evaluators"]
    assert [entry["name"] for entry in listed] == [entry.name for entry in listing()]
    assert listed[0] == listing()[0]._asdict()


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None if name == "rouge_score" else object())
    missing = {entry.name: entry.missing for entry in listing()}
    assert missing["rouge_l"] == 'pip install "seedband[text]"'
    assert missing["accuracy"] == missing["bleu"] == ""


def test_a_broken_plugin_hides_no_other_evaluator(monkeypatch):
    install(monkeypatch, EVALUATORS, ("house", "no_such_module:House"))
    listed = listing()
    assert {entry.name for entry in listed} > {*EVALUATORS.built_in}
    assert listed[-1].summary == "cannot be used: ModuleNotFoundError: No module named 'no_such_module'"
