"""Images are classified by a tiny ViT: scikit-learn's digits through the real command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from digits import make_digits, write_recipe
from tiny import run_cli

from seedband import load_band
from seedband.tasks import image_classification

HEAD = {"method": "head", "epochs": 20, "learning_rate": 0.05}


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """Base, data and recipe; not to be written to."""
    folder = tmp_path_factory.mktemp("digits")
    make_digits(folder)
    return folder


@pytest.fixture
def own(digits, tmp_path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(digits, tmp_path / "digits"))


@pytest.fixture(scope="module")
def swept(digits, tmp_path_factory) -> Path:
    """Two adapters and their band; not to be written to."""
    folder = Path(shutil.copytree(digits, tmp_path_factory.mktemp("swept") / "digits"))
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", "-q", cwd=folder)
    assert done.code == 0, done.err
    return folder


def test_adapters_learn_digits_and_pass_their_own_band(swept):
    band = load_band(swept / "band.json")
    assert min(band.metrics["accuracy"].scores) > 0.7
    assert band.provenance["signature"]["environment"]["pillow"]
    done = run_cli("check", "runs/seed-0", "--json", cwd=swept)
    assert done.code == 0, done.err
    assert json.loads(done.out)["metrics"]["accuracy"]["scores"] == [band.metrics["accuracy"].scores[0]]


def test_an_adapter_opens_with_plain_peft_and_says_the_same(swept, digits):
    from peft import PeftModel
    from PIL import Image
    from transformers import AutoModelForImageClassification
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    run = swept / "runs" / "seed-0"
    assert json.loads((run / "adapter_config.json").read_text())["modules_to_save"] == ["classifier"]
    base = AutoModelForImageClassification.from_pretrained(swept / "base", num_labels=3)
    model = PeftModel.from_pretrained(base, run).eval()
    images = [Image.open(path).convert("RGB") for path in sorted((digits / "eval").glob("*/*.png"))]
    pixels = ViTImageProcessorPil.from_pretrained(swept / "base")(images, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        logits = model(pixel_values=pixels).logits.numpy()
    recorded = np.stack(pd.read_parquet(run / "items.parquet")["logits"].to_list())
    np.testing.assert_allclose(logits, recorded, rtol=1e-4, atol=1e-5)


def test_an_eval_image_that_changed_is_refused(swept, tmp_path):
    copy = Path(shutil.copytree(swept, tmp_path / "digits"))
    image = min((copy / "eval" / "1").iterdir())
    image.write_bytes(image.read_bytes() + b" ")
    done = run_cli("check", "runs/seed-0", cwd=copy)
    assert done.code == 3, done.err
    assert "eval data" in done.err


@pytest.mark.slow
def test_a_list_of_the_images_gives_the_same_checkpoint_to_the_bit(swept, tmp_path):
    copy = Path(shutil.copytree(swept, tmp_path / "digits"))
    write_recipe(copy, data=("train.jsonl", "eval.jsonl"))
    done = run_cli("sweep", "--seeds", "0,", "--no-band", "--out", "listed", "-q", cwd=copy)
    assert done.code == 0, done.err
    weights = [(copy / runs / "seed-0" / "adapter_model.safetensors").read_bytes() for runs in ("runs", "listed")]
    assert weights[0] == weights[1]
    done = run_cli("check", "listed/seed-0", "--data", "eval.jsonl", cwd=copy)
    assert done.code == 0, done.err


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["model", "mean"])
def test_heads_learn_digits_and_are_shipped(own, pooling):
    write_recipe(own, train=HEAD, head={"pooling": pooling})
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", "-q", cwd=own)
    assert done.code == 0, done.err
    assert min(load_band(own / "band.json").metrics["accuracy"].scores) > 0.6
    done = run_cli("check", "runs/seed-1", cwd=own)
    assert done.code == 0, done.err
    done = run_cli("ship", "runs", "--to", "shipped", cwd=own)
    assert done.code == 0, done.err
    assert (own / "shipped" / "preprocessor_config.json").is_file()
    if pooling == "model":
        done = run_cli("check", "shipped", cwd=own)
        assert done.code == 0, done.err


def test_mistakes_in_images_and_base_are_told_at_once_before_training(own):
    (own / "base" / "preprocessor_config.json").unlink()
    for name in ("train", "eval"):
        min((own / name / "2").iterdir()).write_bytes(b"broken")
    write_recipe(own, lora={"target_modules": ["query"]})
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=own)
    assert done.code == 2, done.err
    assert "has no image processor" in done.err
    assert done.err.count("no image that can be decoded") == 2
    assert "'query', which matches no module" in done.err
    assert "q_proj" in done.err
    assert not (own / "runs").exists()


def test_without_pillow_nothing_is_trained_and_a_hint_given(digits, tmp_path):
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL" / "__init__.py").write_text("raise ImportError('not installed')")
    path = f"{tmp_path}:{Path(__file__).parents[2]}"
    done = run_cli("sweep", "--seeds", "2", "--out", tmp_path / "runs", cwd=digits, env={"PYTHONPATH": path})
    assert done.code == 2, done.err
    assert 'pip install "seedband[image]"' in done.err
    assert not (tmp_path / "runs").exists()


def test_pixels_are_the_same_whether_they_are_kept_or_not(digits, monkeypatch):
    paths = [str(path) for path in sorted((digits / "eval").glob("*/*.png"))[:4]]
    device = torch.device("cpu")
    kept = image_classification.Images(str(digits / "base"), paths)
    first = kept.batch([0, 2], device)["pixel_values"]
    assert first.shape == (2, 3, 16, 16)
    monkeypatch.setattr(image_classification, "MAX_KEPT_BYTES", 0)
    anew = image_classification.Images(str(digits / "base"), paths)
    for images in (kept, anew):
        assert torch.equal(images.batch([0, 2], device)["pixel_values"], first)
    assert not anew._kept
