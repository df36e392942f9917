"""A package of somebody else's adds a kind of everything through entry points, and no file here knows its names."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import ROOT, Tiny, recipe_text, run_cli

SUPPORT = ROOT / "tests" / "support"
ENTRY_POINTS = """
[seedband.tasks]
loud-text = toy_house.task:Loud
[seedband.trainers]
one-head = toy_house.method:OneHead
[seedband.checkpoints]
half = toy_house.checkpoint:Half
[seedband.rules]
collapse = toy_house.rule:Collapse
[seedband.reports]
csv = toy_house.report:KIND
[seedband.executors]
listing = toy_house.executor:Listing
[seedband.evaluators]
first_label = toy_house.evaluator:FirstLabel
"""


@pytest.fixture
def house(tmp_path):
    """The environment of a shell in which the package is installed."""
    site = tmp_path / "site"
    shutil.copytree(SUPPORT / "toy_house", site / "toy_house")
    facts = site / "toy_house-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-house\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    return {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def toy(tiny_recipe, tmp_path):
    """The tiny recipe, with a task, a method, a rule, an executor and an evaluator of the package."""
    tiny = Tiny(Path(shutil.copytree(tiny_recipe.folder, tmp_path / "toy")))
    text = recipe_text(
        model_task='"loud-text"',
        train_method='"one-head"',
        train_epochs="10",
        gate_rule='"collapse"',
        run_executor='"listing"',
    )
    tiny.config.write_text(text + '\n[[evaluate]]\nevaluator = "first_label"\n', encoding="utf-8")
    return tiny


def half_of(run: Path, folder: Path) -> Path:
    """A head in half precision, made of one that was trained."""
    folder.mkdir()
    tensors = load_file(run / "head.safetensors")
    save_file({name: tensor.to(torch.float16) for name, tensor in tensors.items()}, folder / "half.safetensors")
    head = json.loads((run / "head.json").read_text(encoding="utf-8"))
    content = {key: head[key] for key in ("pooling", "labels", "base_sha256")}
    (folder / "half.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_package_adds_a_kind_of_everything(toy, house):
    done = run_cli("sweep", "--seeds", "3", "--out", "runs", "--json", cwd=toy.folder, env=house)
    assert done.code == 0, done.err
    assert (toy.folder / "ran.txt").read_text().splitlines() == ["seed 0", "seed 1", "seed 2"]
    band = json.loads(toy.band.read_text())
    assert band["rule"] == "collapse"
    assert band["provenance"]["signature"]["task"] == "loud-text"
    assert "first_label" in band["metrics"]
    candidate = half_of(toy.runs / "seed-1", toy.folder / "candidate")
    checked = run_cli("check", candidate, "--json", "--report", "csv=gate.csv", cwd=toy.folder, env=house)
    assert checked.code == 0, checked.err
    verdict = json.loads(checked.out)["metrics"]["accuracy"]
    assert verdict["rule"] == "collapse"
    assert verdict["scores"] == pytest.approx([band["metrics"]["accuracy"]["scores"][1]], abs=0.02)
    assert (toy.folder / "gate.csv").read_text() == "status,exit_code\npass,0\n"


def test_without_the_package_its_names_are_unknown_and_the_known_ones_are_named(toy):
    done = run_cli("sweep", "--dry-run", cwd=toy.folder)
    assert done.code == 2
    assert "expected 'text-classification', 'image-classification' or 'causal-lm'" in " ".join(done.err.split())
    assert "'local'" in done.err


def test_nothing_in_the_package_knows_the_names_of_the_other():
    found = subprocess.run(
        ["grep", "-rlE", "loud-text|one-head|toy_house|first_label", str(ROOT / "seedband")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout == ""
