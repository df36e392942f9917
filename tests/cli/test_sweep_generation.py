"""A language model from prompts to a band, with the real command line."""

import json
import shutil

import pytest
from tiny import Tiny, generation_text, run_cli


@pytest.fixture
def generation(tiny_generation, tmp_path):
    return Tiny(shutil.copytree(tiny_generation.folder, tmp_path / "tiny"))


@pytest.mark.slow
def test_what_was_cut_is_told_once_a_sweep_and_stands_in_every_run(generation):
    generation.config.write_text(
        generation_text(model_max_length="12", train_precision='"bf16"', train_gradient_checkpointing="true")
    )
    done = run_cli("sweep", "--seeds", "2", "--jobs", "2", "--out", "runs", cwd=generation.folder)
    assert done.code == 0, done.err
    records = [json.loads((generation.runs / f"seed-{seed}" / "run.json").read_text()) for seed in (0, 1)]
    found = records[0]["truncated"]
    assert found == records[1]["truncated"]
    for what, n_rows in (("train", 48), ("eval", 30)):
        rows, tokens = found[what]["rows"], found[what]["tokens"]
        assert 0 < rows < n_rows
        told = f"warning: {what}: {rows} of {n_rows} rows were cut to model.max_length = 12, by {tokens} tokens in all"
        assert done.err.count(told) == 1, done.err
    assert all(record["pins_flipped"] == [] for record in records)
    candidate = generation.runs / "seed-0"
    judged = run_cli("check", candidate, "--band", generation.band, cwd=generation.folder)
    assert judged.code == 0, judged.err
    assert judged.err.count("warning: eval:") == 1


@pytest.mark.slow
def test_another_way_to_generate_is_refused_by_its_name(generation):
    assert run_cli("sweep", "--seeds", "2", "--jobs", "2", "--out", "runs", "-q", cwd=generation.folder).code == 0
    generation.config.write_text(generation_text(generation_max_new_tokens="3"))
    other = run_cli("sweep", "--seeds", "1", "--no-band", "--out", "other", "-q", cwd=generation.folder)
    assert other.code == 0, other.err
    judged = run_cli("check", generation.folder / "other" / "seed-0", "--band", generation.band, cwd=generation.folder)
    assert judged.code == 3
    assert "max_new_tokens" in judged.err
