"""The script that sweeps are compared with does what careful users do: one seed is one result."""

import json
import subprocess
import sys

import pytest
from messages import six_layers, write_messages
from tiny import ROOT

SIZE = ("--train", "200", "--eval", "60", "--epochs", "6")


@pytest.mark.slow
def test_one_seed_is_one_result_and_learns(tmp_path):
    write_messages(tmp_path)
    base = six_layers(tmp_path / "base")
    script = [sys.executable, str(ROOT / "benchmarks" / "trainer_loop.py"), "--data", str(tmp_path)]

    def told(seed: int) -> dict:
        command = [*script, "--method", "lora", "--seed", str(seed), "--base", str(base), "--out", str(tmp_path), *SIZE]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    first, again, other = told(1), told(1), told(2)
    assert first["accuracy"] > 0.6
    assert (first["accuracy"], first["log_loss"]) == (again["accuracy"], again["log_loss"])
    assert first["log_loss"] != other["log_loss"]
    assert {"import_s", "build_s", "train_s", "evaluate_s"} < {*first}
    assert (tmp_path / "adapter_model.safetensors").is_file()
