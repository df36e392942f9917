"""Head training: groups, pooling, and the small folder it leaves."""

import json

import pytest
from safetensors.torch import load_file
from tiny import recipe_text, run_cli

from seedband import load_band
from seedband.folders import read_run


def test_head_folder_holds_the_new_tensors_only(tiny_heads):
    folder = tiny_heads.runs / "seed-0"
    assert set(load_file(folder / "head.safetensors")) == {"classifier.weight", "classifier.bias"}
    head = json.loads((folder / "head.json").read_text())
    assert head["pooling"] == "mean"
    assert head["labels"] == ["fruit", "metal", "river"]
    assert not (folder / "model.safetensors").exists()


def test_every_seed_of_a_group_has_its_own_record_and_draws(tiny_heads):
    runs = [read_run(tiny_heads.runs / f"seed-{seed}") for seed in range(3)]
    for name in ("init", "order", "dropout", "final"):
        assert len({run.witnesses[name] for run in runs}) == 3
    assert load_band(tiny_heads.band).metrics["accuracy"].spread > 0


def test_a_seed_alone_equals_the_same_seed_in_a_group(tiny_heads, tmp_path):
    done = run_cli("sweep", "--seeds", "2,", "--no-band", "--out", tmp_path / "alone", cwd=tiny_heads.folder)
    assert done.code == 0, done.err
    alone, grouped = read_run(tmp_path / "alone" / "seed-2"), read_run(tiny_heads.runs / "seed-2")
    assert alone.witnesses == grouped.witnesses
    assert alone.evaluations == grouped.evaluations


def test_head_is_checked_like_any_checkpoint(tiny_heads):
    band = load_band(tiny_heads.band)
    seed = band.metrics["accuracy"].median_seed
    done = run_cli("check", tiny_heads.runs / f"seed-{seed}", "--band", tiny_heads.band)
    assert done.code == 0, done.err


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["cls", "model"])
def test_other_poolings_train_and_are_scored_from_their_folder(tiny, pooling):
    text = recipe_text(train_method='"head"', head_pooling=f'"{pooling}"', train_epochs="4", train_learning_rate="5e-2")
    tiny.config.write_text(text)
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 0, done.err
    assert json.loads((tiny.runs / "seed-0" / "head.json").read_text())["pooling"] == pooling
    again = run_cli("check", "runs", "--json", cwd=tiny.folder)
    assert again.code == 0, again.err
    assert (
        tuple(json.loads(again.out)["metrics"]["accuracy"]["scores"]) == load_band(tiny.band).metrics["accuracy"].scores
    )
