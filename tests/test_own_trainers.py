"""The trainers of docs/how-to/own-trainer.md, each really swept by the recipe that stands there."""

import json
import shutil
from pathlib import Path

import pytest
from how_to import blocks
from tiny import ROOT, run_cli

RECIPES = {name: content for _, name, content in blocks("own-trainer.md") if name}
TRAINERS = sorted({*RECIPES} - {"scores_only"})
SCRIPTS = ROOT / "docs" / "how-to" / "trainers"


def team(tiny, tmp_path, name) -> Path:
    folder = tmp_path / name
    shutil.copytree(tiny.folder, folder)
    shutil.copy(SCRIPTS / f"{name}.py", folder)
    (folder / "seedband.toml").write_text(RECIPES[name], encoding="utf-8")
    return folder


def test_every_recipe_of_the_page_has_its_script():
    assert sorted(TRAINERS) == sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_a_real_trainer_is_swept_reproduced_and_gated(tiny_recipe, tiny_generation, tmp_path, name):
    folder = team(tiny_generation if name == "trl_sft" else tiny_recipe, tmp_path, name)
    done = run_cli("sweep", "--seeds", "3", "--jobs", "2", "--out", "runs", "--offline", cwd=folder)
    assert done.code == 0, done.err
    band = json.loads((folder / "band.json").read_text())
    assert band["seeds"] == [0, 1, 2]
    runs = [json.loads((folder / "runs" / f"seed-{seed}" / "run.json").read_text()) for seed in range(3)]
    for witness in ("losses", "final", "predictions"):
        assert len({run["witnesses"][witness] for run in runs}) == 3
    assert {run["status"] for run in runs} == {"finished"}
    done = run_cli("check", "runs/seed-2", "--offline", cwd=folder)
    assert done.code == 0, done.err
    done = run_cli("reproduce", "runs", "--seed", "1", "--offline", cwd=folder)
    assert done.code == 0, done.out + done.err
    done = run_cli("ship", "runs", "--to", "shipped", cwd=folder)
    assert done.code == 0, done.err
    done = run_cli("check", "shipped", "--base", "base", "--offline", cwd=folder)
    assert done.code == 0, done.err


@pytest.mark.slow
def test_a_real_trainer_that_ignores_its_seed_is_refused(tiny_recipe, tmp_path):
    folder = team(tiny_recipe, tmp_path, "hf_trainer")
    script = folder / "hf_trainer.py"
    text = script.read_text()
    assert text.count("arguments.seed") == 2
    script.write_text(text.replace("arguments.seed", "42"))
    done = run_cli("sweep", "--seeds", "3", "--jobs", "2", "--out", "runs", "--offline", cwd=folder)
    assert done.code == 3, done.err
    assert "gave identical weights: your script seems to ignore --seed" in done.err


@pytest.mark.slow
def test_a_real_trainer_reports_its_own_scores(tiny_recipe, tmp_path):
    folder = team(tiny_recipe, tmp_path, "hf_trainer")
    (folder / "seedband.toml").write_text(RECIPES["scores_only"], encoding="utf-8")
    done = run_cli("sweep", "--seeds", "3", "--jobs", "2", cwd=folder)
    assert done.code == 0, done.err
    band = json.loads((folder / "band.json").read_text())
    written = json.loads((folder / "runs" / "support-command" / "seed-1" / "out" / "eval_results.json").read_text())
    assert band["metrics"]["eval_accuracy"]["scores"][1] == written["eval_accuracy"]
    assert band["metrics"]["eval_accuracy"]["scores"][1] > 0.4
    assert len(set(band["metrics"]["eval_loss"]["scores"])) == 3
    assert len((folder / "runs" / "support-command" / "seed-1" / "trace.jsonl").read_text().splitlines()) == 30
    done = run_cli("sweep", "--seeds", "7,", "--no-band", "--out", "runs/new", cwd=folder)
    assert done.code == 0, done.err
    done = run_cli("check", "runs/new", cwd=folder)
    assert done.code in (0, 4), done.err
