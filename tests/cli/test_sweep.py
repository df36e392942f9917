"""`seedband sweep` through the real command line, on the tiny model."""

import json
import os
import shutil

import pandas as pd
import pytest
import torch
from tiny import recipe_text, run_cli

from seedband import load_band
from seedband.runs.run_file import read_run

WITNESSES = ("init", "order", "dropout", "losses", "final")


def test_writes_four_different_checkpoints_and_a_band(tiny_swept):
    runs = [read_run(tiny_swept.runs / f"seed-{seed}") for seed in range(4)]
    assert all((run.folder / "adapter_model.safetensors").is_file() for run in runs)
    assert all((run.folder / "adapter_config.json").is_file() for run in runs)
    for name in WITNESSES:
        assert len({run.witnesses[name] for run in runs}) == 4
    predictions = {tuple(pd.read_parquet(run.folder / "items.parquet")["prediction"]) for run in runs}
    assert len(predictions) == 4
    band = load_band(tiny_swept.band)
    assert band.metrics["accuracy"].scores == tuple(run.evaluations[0].score for run in runs)


def test_scores_table_holds_every_seed_item_and_metric(tiny_swept):
    table = pd.read_parquet(tiny_swept.runs / "scores.parquet")
    assert list(table.columns) == ["seed", "item", "channel", "label", "prediction", "evaluator", "score"]
    assert len(table) == 4 * 150 * 2
    means = table[table["evaluator"] == "accuracy"].groupby("seed")["score"].mean()
    assert tuple(means) == pytest.approx(load_band(tiny_swept.band).metrics["accuracy"].scores)


def test_run_record_holds_pins_versions_streams_and_initializers(tiny_swept):
    record = read_run(tiny_swept.runs / "seed-1").record
    assert record["pins"]["deterministic_algorithms"] is True
    assert record["pins"]["deterministic_warn_only"] is False
    assert record["pins"]["threads"] == 1
    assert record["pins"]["environment"]["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert record["pins"]["environment"]["PYTHONHASHSEED"] == "0"
    assert record["pins_flipped"] == []
    assert record["environment"]["versions"]["torch"].startswith("2.13.0")
    assert set(record["streams"]) == {"init", "order", "dropout"}
    drawn = {entry["name"]: entry for entry in record["initializers"]}
    assert drawn["classifier.weight"]["distribution"] == "normal(0, 0.2)"
    query = drawn["bert.encoder.layer.0.attention.self.query.lora_A.weight"]
    assert (query["shape"], query["fan_in"]) == ([8, 32], 32)
    assert query["realised_std"] == pytest.approx(query["target_std"], rel=0.2)


def test_same_sweep_elsewhere_gives_equal_witnesses_whatever_the_shell_says(tiny, tiny_swept):
    shell = {"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "77", "MKL_NUM_THREADS": "2"}
    done = run_cli("sweep", "--seeds", "2", "--jobs", "2", "--out", "elsewhere", cwd=tiny.folder, env=shell)
    assert done.code == 0, done.err
    assert "OMP_NUM_THREADS=2 in the shell, pinned to 1" in done.err
    for seed in range(2):
        first, again = read_run(tiny_swept.runs / f"seed-{seed}"), read_run(tiny.folder / "elsewhere" / f"seed-{seed}")
        assert first.witnesses == again.witnesses
        assert first.record["checkpoint_sha256"] == again.record["checkpoint_sha256"]
        assert first.evaluations == again.evaluations
        assert (first.folder / "adapter_config.json").read_text() == (again.folder / "adapter_config.json").read_text()


def test_more_seeds_later_keep_the_finished_runs(swept):
    before = {path: path.stat().st_mtime_ns for path in swept.runs.glob("seed-*/run.json")}
    plan = run_cli("sweep", "--seeds", "5", "--out", "runs", "--dry-run", "--json", cwd=swept.folder)
    assert json.loads(plan.out)["seeds_to_train"] == [4]
    done = run_cli("sweep", "--seeds", "5", "--out", "runs", "-q", cwd=swept.folder)
    assert done.code == 0, done.err
    assert load_band(swept.band).metrics["accuracy"].n == 5
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_sweep_of_finished_seeds_trains_nothing_and_prints_the_band(swept):
    done = run_cli("sweep", "--seeds", "4", "--out", "runs", "--json", cwd=swept.folder)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert [run["seed"] for run in told["runs"]] == [0, 1, 2, 3]
    assert told["metrics"]["accuracy"]["median_seed"] == told["median_seed"]


def test_dry_run_says_what_it_would_take_and_writes_nothing(tiny):
    done = run_cli("sweep", "--seeds", "3,7,11", "--dry-run", cwd=tiny.folder)
    assert done.code == 0, done.err
    assert "seeds 3, 7, 11; 3 jobs, 120 steps a run" in done.out
    assert "disk: about" in done.out
    assert not tiny.runs.exists()


def test_another_recipe_in_the_same_folder_is_told_by_its_keys(swept):
    swept.config.write_text(recipe_text(train_learning_rate="3e-3", lora_r="4"))
    done = run_cli("sweep", "--seeds", "6", "--out", "runs", cwd=swept.folder)
    assert done.code == 2
    assert "lora.r, train.learning_rate changed" in done.err


def test_one_seed_is_refused_a_band_before_any_training(tiny):
    done = run_cli("sweep", "--seeds", "1", cwd=tiny.folder)
    assert done.code == 3
    assert "one seed has no spread" in done.err
    assert not tiny.runs.exists()


def test_one_seed_without_a_band_is_a_candidate(tiny):
    done = run_cli("sweep", "--seeds", "9,", "--no-band", "--out", "new", "-q", cwd=tiny.folder)
    assert done.code == 0, done.err
    assert "seed-9: finished accuracy=" in done.out
    assert not tiny.band.exists()


def test_every_mistake_of_a_recipe_is_told_at_once(tiny):
    changes = {
        "train_method": '"loar"',
        "lora_target_modules": '["qeury"]',
        "model_base": '"nowhere"',
        "init_lora": '"x"',
    }
    tiny.config.write_text(recipe_text(**changes))
    (tiny.folder / "eval.jsonl").write_text("")
    rows = (tiny.folder / "train.jsonl").read_text().splitlines()
    rows[16] = '{"id": "t", "label": "fruit", "channel": "chat"}'
    (tiny.folder / "train.jsonl").write_text("\n".join(rows))
    done = run_cli("sweep", cwd=tiny.folder)
    assert done.code == 2
    for told in ("train.jsonl, row 17", "nothing in 'text'", "holds no row", "no folder", "train.method", "init.lora"):
        assert told in done.err, done.err


def test_target_modules_that_match_nothing_are_named(tiny):
    tiny.config.write_text(recipe_text(lora_target_modules='["qeury", "value"]'))
    done = run_cli("sweep", cwd=tiny.folder)
    assert done.code == 2
    assert "'qeury', which matches no module" in done.err
    assert "query" in done.err


def test_eval_labels_that_train_lacks_are_named(tiny):
    with (tiny.folder / "eval.jsonl").open("a") as file:
        file.write('{"id": "x", "text": "moon", "label": "sky", "channel": "chat"}\n')
    done = run_cli("sweep", cwd=tiny.folder)
    assert done.code == 2
    assert "item x" in done.err
    assert "'sky'" in done.err


def test_base_with_other_weights_than_the_recipe_names_is_refused(tiny):
    tiny.config.write_text(recipe_text(model_sha256=f'"{"0" * 64}"'))
    done = run_cli("sweep", cwd=tiny.folder)
    assert done.code == 3
    assert "the recipe expects 000" in done.err


def test_no_recipe_is_a_usage_error(tmp_path):
    done = run_cli("sweep", cwd=tmp_path)
    assert done.code == 2
    assert "--config" in done.err


@pytest.mark.parametrize("seeds", ["0", "", "a", "3,3", "-1", "1.5", "99999999999999999999,1", "9999999999999"])
def test_seeds_that_are_none_are_a_usage_error(tiny_recipe, seeds):
    done = run_cli("sweep", f"--seeds={seeds}", "--dry-run", cwd=tiny_recipe.folder)
    assert done.code == 2, done


def test_seeds_that_share_an_initial_adapter_are_refused_after_step_0(tiny):
    tiny.config.write_text(recipe_text(init_lora='"olora"', train_epochs="400"))
    done = run_cli("sweep", "--seeds", "2", "--jobs", "2", cwd=tiny.folder)
    assert done.code == 3, done.err
    assert "the same initial adapter as seed" in done.err
    assert "olora" in done.err
    assert not list(tiny.runs.rglob("run.json"))
    assert not tiny.band.exists()


@pytest.mark.slow
def test_an_initializer_of_the_base_weights_works_where_init_does_not_vary(tiny):
    text = recipe_text(
        init_lora='"olora"',
        seeds_vary='["order", "dropout"]',
        train_learning_rate="5e-3",
        train_epochs="16",
        lora_target_modules='["query", "value"]',
        lora_r="4",
    )
    tiny.config.write_text(text)
    done = run_cli("sweep", "--seeds", "2", "--jobs", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 0, done.err
    first, second = (read_run(tiny.runs / f"seed-{seed}").witnesses for seed in (0, 1))
    assert first["init"] == second["init"]
    assert first["order"] != second["order"]
    again = run_cli("check", "runs/seed-0", cwd=tiny.folder)
    assert again.code == 0, again.err


def test_seeds_that_do_nothing_are_refused(tiny):
    text = recipe_text(train_method='"head"', seeds_vary='["dropout"]', head_dropout="0.0", head_pooling='"mean"')
    tiny.config.write_text(text)
    done = run_cli("sweep", "--seeds", "2", cwd=tiny.folder)
    assert done.code == 3, done.err
    assert "seeds do nothing" in done.err


def test_a_run_that_diverges_is_recorded_as_failed_and_the_band_goes_on_without_it(tiny):
    tiny.config.write_text(recipe_text(train_learning_rate="1e30", train_max_grad_norm="1e30"))
    done = run_cli("sweep", "--seeds", "2", "--jobs", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 3, done.err
    run = read_run(tiny.runs / "seed-0")
    assert run.status == "failed"
    assert "not finite" in run.failure or "trivial" in run.failure
    assert "seeds trained well" in done.err
    assert not tiny.band.exists()


def test_a_crashed_job_exits_5_keeps_the_others_and_names_its_log(tiny):
    (tiny.folder / "base" / "tokenizer.json").write_text("{")
    (tiny.folder / "base" / "vocab.txt").unlink()
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 5, done.err
    assert "logs/seed-0.log" in done.err
    assert (tiny.runs / "logs" / "seed-0.log").is_file()
    assert not tiny.band.exists()


def test_band_of_another_sweep_is_never_overwritten(swept):
    before = swept.band.read_bytes()
    swept.config.write_text(recipe_text(train_learning_rate="3e-3"))
    done = run_cli("sweep", "--seeds", "2", "--out", "other", cwd=swept.folder)
    assert done.code == 2
    assert "not the band of other" in done.err
    assert swept.band.read_bytes() == before
    assert not (swept.folder / "other").exists()


def test_replaced_band_is_not_shown_or_shipped_as_the_sweeps(swept, tmp_path):
    from seedband import fit_band

    fit_band({"accuracy": [0.1, 0.2]}).save(swept.band)
    assert run_cli("show", swept.runs).code == 3
    assert run_cli("ship", swept.runs, "--to", tmp_path / "model").code == 3


@pytest.mark.slow
def test_candidates_added_without_a_band_leave_the_band_of_the_sweep(swept):
    assert run_cli("sweep", "--seeds", "9,", "--no-band", "--out", "runs", "-q", cwd=swept.folder).code == 0
    assert run_cli("show", "runs", cwd=swept.folder).code == 0


def test_items_of_another_run_are_refused(swept):
    shutil.copyfile(swept.runs / "seed-1" / "items.parquet", swept.runs / "seed-2" / "items.parquet")
    done = run_cli("sweep", "--seeds", "4", "--out", "runs", cwd=swept.folder)
    assert done.code == 3
    assert "seed-2/items.parquet" in done.err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train_device": '"cuda"'}, "finds no CUDA device"),
        ({"data_slices": '["score"]'}, "data.slices"),
    ],
)
def test_what_cannot_be_is_a_usage_error(tiny, change, told):
    if torch.cuda.is_available() and "train_device" in change:
        pytest.skip("there is a CUDA device")
    tiny.config.write_text(recipe_text(**change))
    done = run_cli("sweep", "--seeds", "2", cwd=tiny.folder)
    assert done.code == 2, done.err
    assert told in done.err


def test_band_path_that_is_a_folder_is_told_before_training(tiny):
    done = run_cli("sweep", "--seeds", "2", "--band", "base", cwd=tiny.folder)
    assert done.code == 2
    assert not tiny.runs.exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of this kind")
def test_a_cache_that_others_can_write_is_left_alone_and_that_is_told(tiny, tmp_path):
    folder = tmp_path / "cache" / "features"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    tiny.config.write_text(recipe_text(train_method='"head"', train_epochs="4", train_learning_rate="5e-2"))
    given = {"SEEDBAND_CACHE_DIR": str(folder.parent)}
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder, env=given)
    assert done.code == 0, done.err
    assert " ".join(done.err.split()).count("can be written by other users: nothing is kept there, nor read") == 1
    assert "set SEEDBAND_CACHE_DIR to another folder" in " ".join(done.err.split())
    assert not list(folder.iterdir())


def test_base_without_a_tokenizer_is_told_before_training(tiny):
    (tiny.folder / "base" / "tokenizer.json").unlink()
    (tiny.folder / "base" / "vocab.txt").unlink()
    done = run_cli("sweep", "--seeds", "2", cwd=tiny.folder)
    assert done.code == 2
    assert "has no tokenizer" in done.err


def test_dry_run_refuses_what_the_sweep_would(swept):
    swept.config.write_text(recipe_text(lora_r="4"))
    assert run_cli("sweep", "--seeds", "6", "--out", "runs", "--dry-run", cwd=swept.folder).code == 2
    assert run_cli("sweep", "--seeds", "1", "--out", "new", "--dry-run", cwd=swept.folder).code == 3


FLAKY = """
from pathlib import Path

def hits(items, predictions):
    if not Path(__file__).with_name("mended").exists():
        raise ConnectionError("nobody answers")
    return predictions.predicted == predictions.labels
"""


def test_a_crashed_evaluator_costs_its_score_alone_and_the_next_sweep_scores_anew_without_training(tiny):
    (tiny.folder / "own_flaky.py").write_text(FLAKY)
    text = recipe_text(train_method='"head"', train_epochs="10")
    section = '\n[[evaluate]]\nevaluator = "python:own_flaky:hits"\nargs = { higher_is_better = true }\n'
    tiny.config.write_text(text + section)
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 5, done.err
    assert "python:own_flaky:hits: no score: the evaluator crashed: ConnectionError: nobody answers" in done.err
    assert not tiny.band.exists()
    before = [read_run(tiny.runs / f"seed-{seed}") for seed in range(2)]
    for run in before:
        scores = {entry.metric: entry for entry in run.evaluations}
        assert scores["python:own_flaky:hits"].crashed
        assert all(entry.score is not None for name, entry in scores.items() if not name.startswith("python:"))
    trained = ("head.safetensors", "head.json", "trace.jsonl")
    times = {path: path.stat().st_mtime_ns for name in trained for path in tiny.runs.glob(f"seed-*/{name}")}
    assert len(times) == 6

    (tiny.folder / "mended").touch()
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", cwd=tiny.folder)
    assert done.code == 0, done.err
    assert "step" not in done.err
    assert times == {path: path.stat().st_mtime_ns for path in times}
    for run in before:
        after = read_run(run.folder)
        scores = {entry.metric: entry.score for entry in after.evaluations}
        assert scores["python:own_flaky:hits"] == scores["accuracy"] == run.evaluations[0].score
        assert (after.witnesses, after.record["train_seconds"]) == (run.witnesses, run.record["train_seconds"])
        assert not (run.folder / "anew").exists()
        table = pd.read_parquet(run.folder / "items.parquet")
        assert table["score:python:own_flaky:hits"].mean() == scores["accuracy"]
    assert load_band(tiny.band).metrics["python:own_flaky:hits"].n == 2

    (tiny.folder / "mended").unlink()
    done = run_cli("check", "runs/seed-0", cwd=tiny.folder)
    assert done.code == 5, done.err
    assert "seed-0 has no python:own_flaky:hits: the evaluator crashed" in " ".join(done.err.split())
