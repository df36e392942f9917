"""The parity benchmark trains a recipe on both sides and compares their scores."""

import subprocess
import sys

import pytest
from tiny import ROOT, recipe_text


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "head"])
def test_both_sides_are_trained_and_compared(tiny, method):
    settings = {"lora": {}, "head": {"head_pooling": '"model"', "train_learning_rate": "5e-2"}}[method]
    tiny.config.write_text(recipe_text(train_method=f'"{method}"', **settings))
    command = [sys.executable, str(ROOT / "benchmarks" / "parity.py"), "--config", str(tiny.config), "--seeds", "2"]
    done = subprocess.run([*command, "--out", str(tiny.folder / "out")], capture_output=True, text=True, check=True)
    header, _, *rows = done.stdout[done.stdout.index("| metric") :].splitlines()
    assert header == "| metric | Trainer mean (sd) | seedband mean (sd) | difference [95 %] | ratio of sds [95 %] |"
    assert [row.split(" | ")[0] for row in rows] == ["| accuracy", "| log_loss"]
    assert all(float(row.split(" | ")[side].split()[0]) > 0.3 for row in rows for side in (1, 2))
