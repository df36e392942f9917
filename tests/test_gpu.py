"""What only a CUDA device can show; skipped without one."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny import recipe_text, run_cli

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", ["lora", "head"])
def test_same_seed_comes_out_the_same_on_cuda(tiny_recipe, tmp_path, method, precision):
    folder = Path(shutil.copytree(tiny_recipe.folder, tmp_path / "tiny"))
    text = recipe_text(train_method=f'"{method}"', train_precision=f'"{precision}"', train_device='"cuda"')
    (folder / "seedband.toml").write_text(text, encoding="utf-8")
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=folder)
    assert done.code == 0, done.err
    record = json.loads((folder / "runs" / "seed-0" / "run.json").read_text())
    assert record["environment"]["device"] == "cuda"
    assert record["pins"]["deterministic_algorithms"]
    assert not record["pins"]["deterministic_warn_only"]
    assert not record["pins_flipped"]
    done = run_cli("reproduce", "runs", "--seed", "0", "--json", cwd=folder)
    assert done.code == 0, done.err
    assert json.loads(done.out)["status"] == "equal"


def test_doctor_names_the_device(tmp_path):
    found = json.loads(run_cli("doctor", "--json", cwd=tmp_path).out)["findings"]
    gpu = next(finding for finding in found if finding["what"] == "GPU")
    assert torch.cuda.get_device_name() in gpu["found"]
