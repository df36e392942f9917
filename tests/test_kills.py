"""SIGKILL at any moment of a sweep costs nothing: what it comes to is equal to the undisturbed sweep, to the bit."""

import random
import shutil
import sys

import pytest
from killing import TRIGGERS, KilledSweep, differences, outcome
from tiny import Tiny, recipe_text, run_cli

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs die with their parent on Linux only")

SEEDS = range(3)
OFTEN = {"train_save_steps": "5"}


def assert_equal(undisturbed: Tiny, killed: KilledSweep, replay: str) -> None:
    expected = outcome(undisturbed.runs, undisturbed.band, SEEDS)
    found = outcome(killed.runs, killed.folder / "band.json", SEEDS)
    told = f"{replay}, kills: {killed.kills}"
    assert not killed.problems, told
    assert not differences(expected, found), told


def assert_refused(folder, path, band):
    done = run_cli("check", path, "--band", band, cwd=folder)
    assert done.code == 3, done
    assert "not finished" in done.err


@pytest.mark.slow
def test_six_kills_cost_nothing(tiny, tiny_swept):
    tiny.config.write_text(recipe_text(**OFTEN), encoding="utf-8")
    killed, seed = KilledSweep(tiny.folder), 20261122
    for moment in TRIGGERS:
        assert killed.kill_on(moment), killed.problems
        if moment == "trained, not scored":
            assert_refused(tiny.folder, "runs/seed-0", tiny_swept.band)
        if moment == "a run finished":
            assert_refused(tiny.folder, "runs", tiny_swept.band)
    draw = random.Random(seed)
    while len(killed.kills) < 6:
        killed.kill_at_random(draw)
    killed.finish()
    assert killed.resumed
    assert_equal(tiny_swept, killed, f"random.Random({seed})")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "head"])
def test_random_kills_cost_nothing(tmp_path, tiny_recipe, tiny_swept, tiny_heads, method):
    changes = {} if method == "lora" else {"train_method": '"head"', "train_epochs": "10"}
    seed = random.SystemRandom().randrange(2**32)
    draw, kills, sweeps = random.Random(seed), 0, 0
    while kills < 15:
        folder = shutil.copytree(tiny_recipe.folder, tmp_path / str(sweeps))
        (folder / "seedband.toml").write_text(recipe_text(**OFTEN, **changes), encoding="utf-8")
        killed = KilledSweep(folder, grouped=method == "head")
        while kills + len(killed.kills) < 15 and killed.kill_at_random(draw):
            pass
        killed.finish()
        assert_equal(tiny_swept if method == "lora" else tiny_heads, killed, f"random.Random({seed}), sweep {sweeps}")
        kills, sweeps = kills + len(killed.kills), sweeps + 1
