"""Which runs of a folder are a band's, and what an interrupted one leaves."""

import shutil

import pytest
from tiny import Tiny

from seedband import load_band, sweep
from seedband.candidates import resolve
from seedband.folders import read_sweep
from seedband.preflight import prepare
from seedband.recipe import load_recipe
from seedband.runs import carry_out, make_plan


@pytest.fixture
def heads(tiny_heads, tmp_path):
    return Tiny(shutil.copytree(tiny_heads.folder, tmp_path / "tiny"))


def test_candidates_in_the_folder_of_a_sweep_do_not_join_its_band(heads):
    sweep(heads.config, [7], out=heads.runs, band=None, offline=True)
    sweep(heads.config, 3, out=heads.runs, band=heads.band, offline=True)
    assert load_band(heads.band).seeds == (0, 1, 2)
    sweep(heads.config, [7], out=heads.runs, band=heads.band, offline=True)
    assert load_band(heads.band).seeds == (0, 1, 2, 7)


def test_an_interrupted_further_seed_leaves_the_sweep_a_candidate(heads):
    def interrupt(event):
        if event.kind in ("job", "step"):
            raise KeyboardInterrupt

    plan = make_plan(prepare(load_recipe(heads.config), offline=True), [9], heads.runs)
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, jobs=1, offline=True, on_event=interrupt, announce=False)
    assert read_sweep(heads.runs)["seeds"] == [0, 1, 2]
    assert [entry.record["seed"] for entry in resolve(heads.runs)] == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, jobs=1, offline=True, on_event=interrupt)
    assert read_sweep(heads.runs)["seeds"] == [0, 1, 2, 9]
