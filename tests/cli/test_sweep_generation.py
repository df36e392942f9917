"""A language model from prompts to a band, with the real command line."""

import json
import shutil

import pytest
from tiny import Tiny, generation_text, run_cli

from seedband.bands.comparability import differences


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
def test_another_way_to_generate_trains_nothing_anew_and_a_check_takes_the_bands(generation):
    first = generation.folder / "first.band.json"
    swept = run_cli("sweep", "--seeds", "2", "--jobs", "2", "--out", "runs", "-q", cwd=generation.folder)
    assert swept.code == 0, swept.err
    ours = json.loads((generation.runs / "seed-0" / "run.json").read_text())
    first.write_bytes(generation.band.read_bytes())
    generation.config.write_text(generation_text(generation_max_new_tokens="1"))
    again = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=generation.folder)
    assert again.code == 0, again.err
    assert "seed 0, seed 1: scored again, not trained again" in again.err
    theirs = json.loads((generation.runs / "seed-0" / "run.json").read_text())
    assert theirs["witnesses"] == ours["witnesses"]
    (found,) = differences(ours["signature"], theirs["signature"])
    assert (found.need, "max_new_tokens" in str(found)) == ("must", True)
    judged = run_cli("check", generation.runs / "seed-0", "--band", first, "--json", cwd=generation.folder)
    assert judged.code == 0, judged.err
    scores = {entry["metric"]: entry["score"] for entry in ours["evaluations"]}
    assert scores["rouge_l"] != {entry["metric"]: entry["score"] for entry in theirs["evaluations"]}["rouge_l"]
    assert json.loads(judged.out)["metrics"]["rouge_l"]["scores"] == [scores["rouge_l"]], "as many tokens as the band"
