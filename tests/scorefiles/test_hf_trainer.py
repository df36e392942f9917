"""Results of Hugging Face's Trainer: a glob, a folder, one run as a candidate; what is left and told."""

import json

import pytest
from tiny import run_cli

from seedband import Refused, UsageError, load_band
from seedband.commands.scores.from_file import band_from_scores, check_scores
from seedband.scorefiles import read_scores

ACCURACY = {100: 0.892, 13: 0.871, 42: 0.884, 87: 0.879}
RATES = {"eval_runtime": 1.53, "eval_samples": 480, "eval_samples_per_second": 313.7, "eval_steps_per_second": 19.6}


def results(accuracy, **more):
    scores = {"epoch": 3.0, "eval_accuracy": accuracy, "eval_f1": accuracy - 0.004, "eval_loss": 1.283 - accuracy}
    return {**scores, **RATES, **more}


@pytest.fixture
def runs(tmp_path):
    for seed, accuracy in ACCURACY.items():
        folder = tmp_path / "runs" / f"seed_{seed}"
        folder.mkdir(parents=True)
        (folder / "eval_results.json").write_text(json.dumps(results(accuracy), indent=4))
    return tmp_path / "runs"


def test_a_glob_a_folder_and_one_candidate_through_the_command_line(runs):
    files = sorted(path.relative_to(runs.parent) for path in runs.glob("seed_*/eval_results.json"))
    done = run_cli("band", *files, "--band", "b.json", cwd=runs.parent)
    assert done.code == 0, done.err
    read, directions, primary, _ = done.err.splitlines()
    assert read == (
        "runs/seed_100/eval_results.json and 3 more: read as results of Hugging Face's Trainer, 4 seeds from the path "
        "(100, 13, 42, 87); left out: epoch, eval_runtime, eval_samples, eval_samples_per_second, "
        "eval_steps_per_second (no metric)"
    )
    assert directions.startswith(
        "by their names, higher is better for eval_accuracy, eval_f1; lower is better for eval_l"
    )
    assert primary == "eval_accuracy gates, of 3 metrics: --primary names another"
    band = load_band(runs.parent / "b.json")
    assert dict(zip(band.seeds, band.metrics["eval_accuracy"].scores, strict=True)) == ACCURACY
    assert {name: metric.higher_is_better for name, metric in band.metrics.items()} == {
        "eval_accuracy": True,
        "eval_f1": True,
        "eval_loss": False,
    }
    assert set(band.provenance["scores"]["files"]) == {str(path) for path in files}

    folder = run_cli("band", "runs", "--band", "b.json", cwd=runs.parent)
    assert folder.code == 0, folder.err
    assert load_band(runs.parent / "b.json").metrics == band.metrics

    one = run_cli("band", "runs/seed_13/eval_results.json", "--band", "b.json", cwd=runs.parent)
    assert (one.code, one.out) == (3, "")
    assert "one run has no spread" in one.err
    assert "seedband band runs/seed_*/eval_results.json" in one.err

    judged = run_cli("check", "--scores", "runs/seed_13/eval_results.json", "--band", "b.json", cwd=runs.parent)
    assert judged.code == 0, judged.err
    assert run_cli("show", "b.json", cwd=runs.parent).code == 0
    page = run_cli("report", "b.json", "--out", "page.html", cwd=runs.parent)
    assert page.code == 0, page.err


def test_several_candidates_are_several_flags_or_a_glob(runs):
    band, _ = band_from_scores(runs)
    band.save(runs.parent / "b.json")
    flags = ["--scores", "runs/seed_13/eval_results.json", "--scores", "runs/seed_42/eval_results.json"]
    glob = ["--scores", "runs/seed_13/eval_results.json", "runs/seed_42/eval_results.json"]
    told = [run_cli("check", *words, "--band", "b.json", "--json", cwd=runs.parent) for words in (flags, glob)]
    assert [json.loads(done.out)["metrics"]["eval_accuracy"]["scores"] for done in told] == [[0.871, 0.884]] * 2


def test_one_metric_of_the_band_is_all_that_is_read(runs):
    table = runs.parent / "ea.csv"
    table.write_text("seed,eval_accuracy\n0,.871\n1,.884\n2,.879\n3,.892\n")
    band, notes = band_from_scores(table)
    assert notes == ()
    path = runs / "seed_13" / "eval_results.json"
    path.write_text(json.dumps(results(0.871, eval_f1=None, eval_loss=float("nan"))))
    assert check_scores(path, band).status == "pass"


def test_results_without_a_seed_are_a_candidate_and_no_band(runs):
    band, _ = band_from_scores(runs)
    path = runs.parent / "eval_results.json"
    path.write_text(json.dumps(results(0.88)))
    assert check_scores(path, band).status == "pass"
    with pytest.raises(Refused, match="JSON names no seeds"):
        check_scores(path, band, rule="paired")
    with pytest.raises(UsageError) as caught:
        band_from_scores(path)
    assert "seed_3, run-3" in caught.value.problems[0].expected


def test_all_results_and_inner_checkpoints(runs):
    for path in runs.glob("seed_*/eval_results.json"):
        inner = path.parent / "checkpoint-500"
        inner.mkdir()
        (inner / "all_results.json").write_text(json.dumps(results(0.1)))
        more = {"train_loss": 0.5, "train_runtime": 9.0, "total_flos": 1e15, "train_samples": 9}
        path.rename(path.with_name("all_results.json")).write_text(
            json.dumps(results(ACCURACY[int(path.parent.name[5:])], **more))
        )
    file = read_scores(runs)
    assert dict(zip(file.seeds, file.scores["eval_accuracy"], strict=True)) == ACCURACY
    assert [*file.scores] == ["eval_accuracy", "eval_f1", "eval_loss", "train_loss"]


def test_a_run_that_lacks_a_metric_is_named(runs):
    (runs / "seed_42" / "eval_results.json").write_text(json.dumps({"eval_loss": 0.4, **RATES}))
    with pytest.raises(Refused) as caught:
        read_scores(runs)
    assert [problem.where for problem in caught.value.problems] == ["eval_accuracy", "eval_f1"]
    assert "seed 42" in caught.value.problems[0].found


@pytest.mark.slow
def test_what_the_trainer_writes_is_read(tmp_path):
    from types import SimpleNamespace

    from transformers import Trainer

    for seed, accuracy in ACCURACY.items():
        folder = tmp_path / f"seed_{seed}"
        folder.mkdir()
        fake = SimpleNamespace(
            is_world_process_zero=lambda: True, args=SimpleNamespace(output_dir=str(folder)), state=SimpleNamespace()
        )
        Trainer.save_metrics(fake, "eval", results(accuracy))
        Trainer.save_metrics(fake, "train", {"train_loss": 0.5, "train_runtime": 1.0})
    assert sorted(path.name for path in folder.iterdir()) == [
        "all_results.json",
        "eval_results.json",
        "train_results.json",
    ]
    file = read_scores(tmp_path)
    assert dict(zip(file.seeds, file.scores["eval_accuracy"], strict=True)) == ACCURACY
