"""`seedband check` through the real command line: every exit code, and what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from holding import Held
from safetensors.torch import load_file, save_file
from tiny import LABELS, gone, recipe_text, run_cli, write_rows

from seedband import load_band
from seedband.storage import json_files


def median(tiny) -> Path:
    band = load_band(tiny.band)
    return tiny.runs / f"seed-{band.metrics[band.primary].median_seed}"


def plain_adapter(tiny, seed: int, to: Path) -> Path:
    """A run's adapter without any file of seedband's beside it, named by an absolute base."""
    to.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        shutil.copyfile(tiny.runs / f"seed-{seed}" / name, to / name)
    config = json.loads((to / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str((tiny.folder / "base").absolute())
    (to / "adapter_config.json").write_text(json.dumps(config))
    return to


def change_weights(folder: Path, change) -> None:
    path = folder / "adapter_model.safetensors"
    tensors = {name: change(name, tensor) for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def candidate(tiny_swept, tmp_path_factory):
    """A new checkpoint of the same recipe: seed 9."""
    folder = tmp_path_factory.mktemp("candidate")
    shutil.copytree(tiny_swept.folder, folder / "tiny")
    done = run_cli("sweep", "--seeds", "9,", "--no-band", "--out", "new", "-q", cwd=folder / "tiny")
    assert done.code == 0, done.err
    return folder / "tiny" / "new" / "seed-9"


def test_median_run_passes_and_is_recognised(swept):
    done = run_cli("check", median(swept), "--band", swept.band)
    assert done.code == 0, done.err
    assert "of the band itself" in done.out
    assert "accuracy: PASS" in done.out


def test_rescored_baseline_has_its_recorded_score(swept):
    done = run_cli("check", "runs", "--json", cwd=swept.folder)
    assert done.code == 0, done.err
    band = load_band(swept.band)
    for name, metric in band.metrics.items():
        assert tuple(json.loads(done.out)["metrics"][name]["scores"]) == metric.scores


def test_new_checkpoint_of_the_same_recipe_is_judged(swept, candidate):
    done = run_cli("check", candidate, "--band", swept.band, "--json")
    verdict = json.loads(done.out)
    assert done.code == {"pass": 0, "fail": 1, "suspect": 4}[verdict["status"]]
    m = verdict["metrics"]["accuracy"]
    assert m["false_alarm_rate"] == pytest.approx(0.05, abs=5e-4)
    assert m["detectable_drop"] > 0
    assert verdict["candidates"][0]["baseline_seed"] is None


def test_verdict_line_is_one_greppable_line_a_metric(swept, candidate):
    done = run_cli("check", candidate, "--band", swept.band)
    lines = [line for line in done.out.splitlines() if line.startswith(("accuracy: ", "f1_macro: ", "log_loss: "))]
    assert len(lines) == 3
    assert all("false_alarm_rate=" in line and "detectable_drop=" in line and "band=[" in line for line in lines)


def test_candidate_below_the_band_is_suspect_and_told_what_to_do(swept, candidate):
    band = load_band(swept.band)
    score = json.loads(run_cli("check", candidate, "--band", swept.band, "--json").out)["metrics"]["accuracy"][
        "scores"
    ][0]
    above = tuple(score + 0.01 + 0.001 * seed for seed in range(4))
    moved = replace(band.metrics["accuracy"], scores=above, floor=0.02)
    replace(band, metrics={**band.metrics, "accuracy": moved}).save(swept.band)
    done = run_cli("check", candidate, "--band", swept.band)
    assert done.code == 4, done.out + done.err
    assert "1 more seed" in done.err
    assert "2 at most" in done.err


def test_adapter_without_any_file_of_ours_is_scored(swept, tmp_path):
    adapter = plain_adapter(swept, 1, tmp_path / "plain")
    change_weights(adapter, lambda _, tensor: tensor * 1.0001)
    done = run_cli("check", adapter, "--band", swept.band, "--json")
    assert done.code in (0, 4), done.err
    assert json.loads(done.out)["metrics"]["accuracy"]["scores"]


@pytest.mark.slow
def test_adapter_trained_on_shuffled_labels_fails(swept):
    rows = [json.loads(line) for line in (swept.folder / "train.jsonl").read_text().splitlines()]
    labels = [row["label"] for row in rows]
    for row, label in zip(rows, labels[97:] + labels[:97], strict=True):
        row["label"] = label
    (swept.folder / "shuffled.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (swept.folder / "shuffled.toml").write_text(recipe_text(data_train='"shuffled.jsonl"'))
    trained = run_cli(
        "sweep", "--config", "shuffled.toml", "--seeds", "5,", "--no-band", "--out", "bad", cwd=swept.folder
    )
    assert trained.code == 0, trained.err
    done = run_cli("check", "bad/seed-5", "--more-seeds", "2", cwd=swept.folder)
    assert done.code == 1, done.out + done.err
    assert "FAIL" in done.out


def test_candidate_with_weights_that_are_not_finite_fails(swept, tmp_path):
    adapter = plain_adapter(swept, 1, tmp_path / "nan")
    change_weights(adapter, lambda _, tensor: tensor * float("nan"))
    done = run_cli("check", adapter, "--band", swept.band)
    assert done.code == 1, done.err
    assert "weights are not finite" in done.out


def test_missing_folder_is_a_usage_error(swept):
    done = run_cli("check", "nowhere", "--band", swept.band)
    assert done.code == 2
    assert "nowhere: no such folder" in done.err


def test_missing_band_bad_rule_and_bad_alpha_are_usage_errors(swept):
    assert run_cli("check", "runs", "--band", "nowhere.json", cwd=swept.folder).code == 2
    assert run_cli("check", "runs/seed-0", "--rule", "sigma", cwd=swept.folder).code == 2
    assert run_cli("check", "runs/seed-0", "--alpha", "0.9", cwd=swept.folder).code == 2


def test_adapter_of_another_base_is_refused(swept, tmp_path):
    from tiny_encoder import make_tiny_encoder

    other = make_tiny_encoder(tmp_path / "other", seed=1)
    adapter = plain_adapter(swept, 1, tmp_path / "plain")
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(other)
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    done = run_cli("check", adapter, "--band", swept.band)
    assert done.code == 3
    assert "base weights" in done.err


def test_adapter_of_an_unknown_base_is_refused_until_it_is_named(swept, tmp_path):
    adapter = plain_adapter(swept, 1, tmp_path / "plain")
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "/mnt/somewhere/else"
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    refused = run_cli("check", adapter, "--band", swept.band)
    assert refused.code == 3
    assert "--base" in refused.err
    named = run_cli("check", adapter, "--band", swept.band, "--base", swept.folder / "base")
    assert named.code == 0, named.err


def test_changed_eval_data_is_refused(swept):
    write_rows(swept.folder / "eval.jsonl", 150, seed=3)
    done = run_cli("check", "runs/seed-0", cwd=swept.folder)
    assert done.code == 3
    assert "eval data" in done.err


def test_moved_eval_data_is_found_with_data(swept):
    (swept.folder / "eval.jsonl").rename(swept.folder / "moved.jsonl")
    assert run_cli("check", "runs/seed-0", cwd=swept.folder).code == 2
    assert run_cli("check", "runs/seed-0", "--data", "moved.jsonl", cwd=swept.folder).code == 0


@pytest.mark.slow
def test_other_initializer_and_other_streams_are_refused(swept):
    for change, told in (
        ({"init_lora": '"gaussian"'}, "initializer"),
        ({"seeds_vary": '["order"]'}, "streams that vary"),
    ):
        swept.config.write_text(recipe_text(**change))
        trained = run_cli("sweep", "--seeds", "5,", "--no-band", "--out", told.split()[0], cwd=swept.folder)
        assert trained.code == 0, trained.err
        done = run_cli("check", f"{told.split()[0]}/seed-5", cwd=swept.folder)
        assert done.code == 3
        assert told in done.err


def test_permuted_labels_are_refused_and_read_right_with_labels(swept, tmp_path):
    scores = load_band(swept.band).metrics["accuracy"].scores
    adapter = plain_adapter(swept, scores.index(max(scores)), tmp_path / "plain")
    change_weights(adapter, lambda name, tensor: tensor[[1, 2, 0]].contiguous() if "classifier" in name else tensor)
    refused = run_cli("check", adapter, "--band", swept.band)
    assert refused.code == 3, refused.out
    assert "labels look permuted" in refused.err
    order = tmp_path / "labels.txt"
    order.write_text("\n".join(LABELS[index] for index in (1, 2, 0)))
    right = run_cli("check", adapter, "--band", swept.band, "--labels", order, "--json")
    assert right.code in (0, 4), right.err
    assert json.loads(right.out)["metrics"]["accuracy"]["scores"] == [max(scores)]


def test_labels_that_are_not_the_bands_are_refused(swept, tmp_path):
    (tmp_path / "labels.json").write_text('["fruit", "metal", "sea"]')
    done = run_cli("check", "runs/seed-0", "--labels", tmp_path / "labels.json", cwd=swept.folder)
    assert done.code == 3
    assert "'sea'" in done.err


def test_same_weights_twice_are_refused(swept, candidate, tmp_path):
    shutil.copytree(candidate, tmp_path / "again")
    done = run_cli("check", candidate, tmp_path / "again", "--band", swept.band)
    assert done.code == 3
    assert "the same weights" in done.err


def test_baseline_checkpoint_among_candidates_is_refused(swept, candidate):
    done = run_cli("check", candidate, swept.runs / "seed-2", "--band", swept.band)
    assert done.code == 3
    assert "seed 2 of the band itself" in done.err


def test_pickled_weights_are_refused_unopened(swept, tmp_path):
    adapter = plain_adapter(swept, 1, tmp_path / "plain")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    done = run_cli("check", adapter, "--band", swept.band)
    assert done.code == 3
    assert "pickled" in done.err


def test_code_in_a_checkpoint_is_refused(swept, tmp_path):
    shutil.copytree(swept.folder / "base", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model"}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model" / "evil.py").write_text("raise SystemExit('ran')")
    done = run_cli("check", tmp_path / "model", "--band", swept.band)
    assert done.code == 3
    assert "auto_map" in done.err


def test_base_model_without_a_head_is_refused(swept):
    done = run_cli("check", "base", cwd=swept.folder)
    assert done.code == 3
    assert "would be random" in done.err


@pytest.mark.slow
def test_whole_model_is_scored_like_its_adapter(swept, tmp_path):
    script = f"""
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer
labels = {list(LABELS)!r}
base = AutoModelForSequenceClassification.from_pretrained({str(swept.folder / "base")!r}, num_labels=3,
    id2label=dict(enumerate(labels)), label2id={{l: i for i, l in enumerate(labels)}})
model = PeftModel.from_pretrained(base, {str(swept.runs / "seed-1")!r}).merge_and_unload()
model.save_pretrained({str(tmp_path / "model")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    done = run_cli("check", tmp_path / "model", "--band", swept.band, "--json")
    assert done.code in (0, 4), done.err
    score = json.loads(done.out)["metrics"]["accuracy"]["scores"][0]
    assert score == pytest.approx(load_band(swept.band).metrics["accuracy"].scores[1], abs=0.02)


def test_adapter_of_another_shape_is_refused(swept, tmp_path):
    adapter = plain_adapter(swept, 1, tmp_path / "plain")
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["r"] = 3
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    done = run_cli("check", adapter, "--band", swept.band)
    assert done.code == 3, done.err
    assert "does not fit" in done.err


def test_unknown_version_and_edited_files_are_refused(swept):
    content = json.loads(swept.band.read_text())
    swept.band.write_text(json.dumps({**content, "version": 99}))
    assert run_cli("check", "runs/seed-0", cwd=swept.folder).code == 3
    swept.band.write_text(json.dumps({**content, "alpha": 0.2}))
    assert run_cli("check", "runs/seed-0", cwd=swept.folder).code == 3
    swept.band.write_text("{")
    assert run_cli("check", "runs/seed-0", cwd=swept.folder).code == 2


def test_unfinished_run_is_refused(swept):
    (swept.runs / "seed-0" / "run.json").unlink()
    done = run_cli("check", "runs/seed-0", cwd=swept.folder)
    assert done.code == 3
    assert "not finished" in done.err


def test_killed_score_job_exits_5(swept):
    held = Held(swept.folder, "check", median(swept), "--band", swept.band, opens="*.job.json")
    os.kill(held.pid(), signal.SIGKILL)
    done = held.result()
    assert done.code == 5, done.err
    assert "SIGKILL" in done.err
    assert ".log" in done.err


def test_interrupt_exits_130_and_ends_the_job(swept):
    held = Held(swept.folder, "check", median(swept), "--band", swept.band, opens="*.job.json")
    child = held.pid()
    held.process.send_signal(signal.SIGINT)
    done = held.result()
    assert done.code == 130, done.err
    assert gone(child)


def test_baseline_weights_with_another_scale_are_no_baseline(swept, tmp_path):
    adapter = plain_adapter(swept, 0, tmp_path / "plain")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": -32}))
    done = run_cli("check", adapter, "--band", swept.band)
    assert done.code in (1, 4), done.out
    assert "of the band itself" not in done.out


@pytest.mark.slow
def test_run_that_failed_to_train_fails(swept):
    swept.config.write_text(recipe_text(train_learning_rate="1e30", train_max_grad_norm="1e30"))
    assert run_cli("sweep", "--seeds", "9,", "--no-band", "--out", "div", cwd=swept.folder).code == 0
    done = run_cli("check", "div/seed-9", cwd=swept.folder)
    assert done.code == 1, done.err
    assert "failed to train" in done.out


def test_adapter_with_missing_tensors_is_refused(swept, tmp_path):
    adapter = plain_adapter(swept, 1, tmp_path / "plain")
    path = adapter / "adapter_model.safetensors"
    save_file({name: tensor for name, tensor in load_file(path).items() if ".layer.0." not in name}, path)
    done = run_cli("check", adapter, "--band", swept.band)
    assert done.code == 3, done.out
    assert "are missing" in done.err


def test_weights_that_cannot_be_read_are_refused(swept, tmp_path):
    adapter = plain_adapter(swept, 1, tmp_path / "plain")
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    done = run_cli("check", adapter, "--band", swept.band)
    assert done.code == 3, done.err
    assert "no safetensors file that holds together" in done.err


def test_weights_of_another_run_under_a_record_are_refused(swept):
    shutil.copyfile(
        swept.runs / "seed-1" / "adapter_model.safetensors", swept.runs / "seed-0" / "adapter_model.safetensors"
    )
    done = run_cli("check", "runs/seed-0", cwd=swept.folder)
    assert done.code == 3
    assert "not those that its run.json records" in done.err


@pytest.mark.slow
def test_candidate_of_other_labels_is_refused_by_its_record(swept):
    rows = (swept.folder / "train.jsonl").read_text().replace('"metal"', '"metals"')
    (swept.folder / "train2.jsonl").write_text(rows)
    (swept.folder / "eval2.jsonl").write_text((swept.folder / "eval.jsonl").read_text().replace('"metal"', '"metals"'))
    swept.config.write_text(recipe_text(data_train='"train2.jsonl"', data_eval='"eval2.jsonl"', train_max_steps="5"))
    assert run_cli("sweep", "--seeds", "9,", "--no-band", "--out", "new", cwd=swept.folder).code == 0
    done = run_cli("check", "new/seed-9", cwd=swept.folder)
    assert done.code == 3, done.out
    assert "label set and order" in done.err


def test_a_tokenizer_that_reads_the_rows_otherwise_is_refused(swept):
    path = swept.folder / "base" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    harmless = {**tokenizer, "truncation": None, "added_note": None}
    path.write_text(json.dumps({key: value for key, value in harmless.items() if key != "added_note"}, indent=3))
    same = run_cli("check", "runs/seed-0", cwd=swept.folder)
    assert same.code == 0, same.err
    words = tokenizer["model"]["vocab"]
    words["##a"], words["##e"] = words["##e"], words["##a"]
    path.write_text(json.dumps(tokenizer))
    done = run_cli("check", "runs/seed-0", cwd=swept.folder)
    assert done.code == 3, done.err
    assert "eval rows as the model reads them" in done.err


def test_sweep_with_an_unfinished_seed_is_refused(swept):
    (swept.runs / "seed-2" / "run.json").unlink()
    done = run_cli("check", "runs", cwd=swept.folder)
    assert done.code == 3
    assert "seed 2 of this sweep is not finished" in done.err


@pytest.mark.slow
def test_candidates_of_two_recipes_are_refused(swept, candidate):
    swept.config.write_text(recipe_text(train_learning_rate="5e-3", train_max_steps="40"))
    assert run_cli("sweep", "--seeds", "8,", "--no-band", "--out", "new", cwd=swept.folder).code == 0
    done = run_cli("check", candidate, "new/seed-8", cwd=swept.folder)
    assert done.code == 3
    assert "comes from another recipe" in done.err
    assert "train.learning_rate" in done.err


def test_narrow_terminal_and_ascii_output_still_get_their_verdict(swept):
    done = run_cli("check", median(swept), "--band", swept.band, env={"COLUMNS": "9", "PYTHONIOENCODING": "ascii"})
    assert done.code == 0, done.err
    assert "accuracy: PASS" in done.out


def reseal(path: Path, kind: str, **changes) -> None:
    """Write a file of ours anew, as a release on another machine would have."""
    content = {
        key: value for key, value in json_files.read_json(path, kind).items() if key not in ("format", "version")
    }
    json_files.write_json(path, kind, {**content, **changes})


def test_another_environment_is_told_and_refused_when_strict(swept):
    facts = json_files.read_json(swept.band, "band")["provenance"]
    other = {**facts["signature"]["environment"], "torch": "2.12.0", "fingerprint": "0" * 64}
    reseal(swept.band, "band", provenance={**facts, "signature": {**facts["signature"], "environment": other}})
    done = run_cli("check", "runs/seed-0", cwd=swept.folder)
    assert done.code == 0, done.err
    assert "environment: band has fingerprint = 000000000000…, torch = 2.12.0, candidate has" in done.err
    done = run_cli("check", "runs/seed-0", "--strict", cwd=swept.folder)
    assert done.code == 3, done.out
    assert "environment: band has fingerprint = 000000000000…" in done.err


def test_runs_of_another_environment_do_not_join_a_band(swept):
    path = swept.runs / "seed-0" / "run.json"
    signature = json_files.read_json(path, "run")["signature"]
    other = {**signature["environment"], "fingerprint": "0" * 64}
    reseal(path, "run", signature={**signature, "environment": other})
    swept.band.unlink()
    done = run_cli("sweep", "--seeds", "4", "--out", "runs", cwd=swept.folder)
    assert done.code == 3, done.out
    assert "does not join seed" in done.err
    assert "environment" in done.err
    assert not swept.band.exists()


def test_runs_of_other_versions_are_told_before_more_are_trained(swept):
    path = swept.runs / "seed-0" / "run.json"
    facts = json_files.read_json(path, "run")["environment"]
    reseal(path, "run", environment={**facts, "versions": {**facts["versions"], "torch": "2.12.0"}})
    done = run_cli("sweep", "--seeds", "5", "--out", "runs", cwd=swept.folder)
    assert done.code == 3, done.out
    assert "was trained with other versions: torch changed" in done.err
    assert not (swept.runs / "seed-4").exists()
