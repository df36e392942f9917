"""`seedband ship` through the real command line."""

import subprocess
import sys

import pytest
from tiny import recipe_text, run_cli

from seedband import load_band


def test_ships_the_median_adapter_with_a_card_that_carries_the_band(tiny_swept, tmp_path):
    done = run_cli("ship", tiny_swept.runs, "--to", tmp_path / "model")
    assert done.code == 0, done.err
    band = load_band(tmp_path / "model" / "band.json")
    seed = band.metrics["accuracy"].median_seed
    weights = "adapter_model.safetensors"
    assert (tmp_path / "model" / weights).read_bytes() == (tiny_swept.runs / f"seed-{seed}" / weights).read_bytes()
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"seed {seed}, the median of 4" in card
    assert f"{band.metrics['accuracy'].lower:.4f} to" in card
    assert not (tmp_path / "model" / "run.json").exists()
    assert run_cli("check", tmp_path / "model", "--band", tiny_swept.band, cwd=tiny_swept.folder).code == 0


def test_refuses_a_folder_that_holds_something_and_a_sweep_without_a_band(tiny_swept, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert run_cli("ship", tiny_swept.runs, "--to", tmp_path).code == 2
    assert (tmp_path / "file").read_text() == "mine"
    assert run_cli("ship", tmp_path, "--to", tmp_path / "new").code == 2


def test_head_of_an_embedding_model_is_shipped_beside_it(tiny_heads, tmp_path):
    done = run_cli("ship", tiny_heads.runs, "--to", tmp_path / "model")
    assert done.code == 0, done.err
    for name in ("head.json", "head.safetensors", "model.safetensors", "config.json", "1_Pooling", "tokenizer.json"):
        assert (tmp_path / "model" / name).exists(), name


@pytest.mark.slow
def test_head_of_the_architecture_becomes_a_model_that_transformers_opens(tiny, tmp_path):
    text = recipe_text(train_method='"head"', head_pooling='"model"', train_learning_rate="5e-2")
    tiny.config.write_text(text)
    swept = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder)
    assert swept.code == 0, swept.err
    done = run_cli("ship", "runs", "--to", tmp_path / "model", cwd=tiny.folder)
    assert done.code == 0, done.err
    code = f"""
from transformers import pipeline
classify = pipeline("text-classification", model={str(tmp_path / "model")!r}, device="cpu")
print(classify("apple near the rhine")[0]["label"])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() in {"fruit", "metal", "river"}
    checked = run_cli("check", tmp_path / "model", "--band", "band.json", cwd=tiny.folder)
    assert checked.code in (0, 4), checked.err
