"""`seedband reproduce` through the real command line."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import Tiny, recipe_text, run_cli

from seedband.storage import json_files


@pytest.fixture
def heads(tiny_heads, tmp_path):
    return Tiny(shutil.copytree(tiny_heads.folder, tmp_path / "tiny"))


def test_same_seed_comes_out_the_same_and_the_sweep_is_stamped(heads):
    done = run_cli("reproduce", "runs", "--seed", "1", "--json", cwd=heads.folder)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["status"] == "equal"
    assert all(entry["equal"] for entry in told["comparisons"])
    assert {entry["what"] for entry in told["comparisons"]} >= {"init", "order", "losses", "final", "predictions"}
    assert all(noise["same_seed"] == noise["scoring"] == 0 for noise in told["noise"])
    assert json.loads((heads.runs / "sweep.json").read_text())["reproduced"]["1"]["status"] == "equal"


def test_another_thread_count_is_not_comparable_whatever_the_witnesses_say(heads):
    text = recipe_text(train_method='"head"', train_epochs="10", determinism_threads="2")
    (heads.folder / "two.toml").write_text(text, encoding="utf-8")
    done = run_cli("reproduce", "runs", "--config", "two.toml", cwd=heads.folder)
    assert done.code == 3, done.out + done.err
    assert "NOT COMPARABLE: the environment differs: numerics fingerprint" in done.out
    assert "threads: 1, now 2" in done.out


@pytest.mark.parametrize(("arguments", "code"), [(["runs", "--seed", "99"], 2), (["nowhere"], 2)])
def test_what_is_not_there_is_told(heads, arguments, code):
    assert run_cli("reproduce", *arguments, cwd=heads.folder).code == code


def test_changed_training_rows_are_refused(heads):
    path = heads.folder / "train.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    done = run_cli("reproduce", "runs", cwd=heads.folder)
    assert done.code == 3, done.err
    assert "data.train (other rows)" in done.err


def reseal(path: Path, **changes):
    content = {
        key: value for key, value in json_files.read_json(path, "run").items() if key not in ("format", "version")
    }
    json_files.write_json(path, "run", {**content, **changes})


def test_runs_that_part_are_told_with_the_step_and_the_cause(heads):
    run = heads.runs / "seed-1"
    lines = (run / "trace.jsonl").read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace('"loss": ', '"loss": 1')
    (run / "trace.jsonl").write_text("".join(lines))
    reseal(
        run / "run.json", witnesses={**json_files.read_json(run / "run.json", "run")["witnesses"], "losses": "0" * 64}
    )
    done = run_cli("reproduce", "runs", "--seed", "1", cwd=heads.folder)
    assert done.code == 1, done.out + done.err
    assert "step 3" in done.out
    assert "a kernel that is not deterministic" in done.out
    stamped = json.loads((heads.runs / "sweep.json").read_text())["reproduced"]["1"]
    assert (stamped["status"], stamped["different"], stamped["first_step"]) == ("different", ["losses"], 3)


def test_a_checkpoint_that_is_not_the_runs_is_refused(heads):
    for name in ("head.safetensors", "head.json"):
        shutil.copy(heads.runs / "seed-2" / name, heads.runs / "seed-1" / name)
    done = run_cli("reproduce", "runs", "--seed", "1", cwd=heads.folder)
    assert done.code == 3, done.out + done.err
    assert "its weights are not those that its run.json records" in done.err


@pytest.mark.slow
def test_another_pinned_instruction_set_is_not_comparable(heads):
    path = heads.runs / "seed-1" / "run.json"
    pins = json_files.read_json(path, "run")["pins"]
    reseal(path, pins={**pins, "environment": {**pins["environment"], "MKL_CBWR": "AVX2,STRICT"}})
    done = run_cli("reproduce", "runs", "--seed", "1", cwd=heads.folder)
    assert done.code == 3, done.out + done.err
    assert "MKL_CBWR: AVX2,STRICT, now None" in done.out
