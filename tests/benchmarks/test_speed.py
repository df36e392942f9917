"""The pieces of benchmarks/speed.py: what is measured is the same work, and the table says what was measured."""

import csv
import json
import os
import subprocess
import sys
from importlib import import_module

import pytest
from messages import six_layers, write_messages
from tiny import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import banking77
import levers
import processes
import results
import speed
import table
from measurements import Measured, Start
from work import RECIPES, Work

from seedband.commands.sweep.prepare import prepare
from seedband.recipe.parse import load_recipe

FACTS = {"commit": "a", "packages": {"torch": "2"}, "processor": "2 cores", "gpu": "none", "system": "Linux"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.fixture
def work(tmp_path):
    write_messages(tmp_path)
    return Work(tmp_path, tmp_path, train=200, evaluated=60, epochs=6)


def counted(monkeypatch):
    """What is measured, without measuring it."""
    asked = []

    def measure(self, work, repeat, folder):
        asked.append((type(self).__name__, repeat))
        return Measured(1.0 + repeat, 0.5)

    for kind in {type(measurement) for measurement in table.MEASUREMENTS.values()}:
        monkeypatch.setattr(kind, "measure", measure)
    monkeypatch.setattr(speed, "warm_up", lambda work: None)
    return asked


def test_both_sides_draw_the_same_messages(work):
    work.write_rows()
    messages, evaluated = banking77.draw(work.data, work.train, work.evaluated)
    assert (len(messages), len(evaluated)) == (200, 60)
    for name, drawn in (("train", messages), ("eval", evaluated)):
        rows = [json.loads(line) for line in (work.folder / f"{name}.jsonl").read_text().splitlines()]
        assert rows == [{"text": message.text, "label": message.label} for message in drawn]
    with (work.data / "train.csv").open(newline="") as file:
        assert [message.text for message in messages] != [row["text"] for row in csv.DictReader(file)][:200]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_accepted_and_trains_as_the_trainer_does(name, work, tmp_path):
    work = work._replace(base=six_layers(tmp_path / "base"))
    work.write_rows()
    recipe = prepare(load_recipe(work.write_recipe(name, tmp_path / "seedband.toml")), offline=True).recipe
    assert (recipe.model.max_length, recipe.train.batch_size, recipe.train.epochs) == (64, 16, 6)
    assert (recipe.train.weight_decay, recipe.train.warmup_ratio, recipe.train.schedule) == (0, 0, "linear")
    assert (recipe.lora.r, recipe.lora.alpha, recipe.lora.dropout) == (8, 16, 0.1 if "lora" in name else 0)


def test_a_lever_changes_the_recipe_where_it_says_so(work):
    changes = {"determinism": {"threads": 2}, "train": {"epochs": 1}}
    recipe = load_recipe(work.write_recipe("lora", work.folder / "seedband.toml", changes)).recipe
    assert (recipe.determinism.threads, recipe.train.epochs, recipe.train.method) == (2, 1, "lora")


@pytest.mark.parametrize("name", levers.LEVERS)
def test_what_a_lever_patches_is_there(name):
    lever = levers.LEVERS[name]
    assert lever.recipe or lever.environment or lever.patches
    assert lever.of in table.TRAININGS
    for module, attributes in lever.patches.items():
        for attribute, source in attributes.items():
            assert hasattr(import_module(module), attribute)
            compile(source, attribute, "exec")


@pytest.mark.parametrize(
    ("attribute", "printed"), [("speed", "off"), ("gone", "AttributeError: a_module has no gone that could be patched")]
)
def test_a_patch_reaches_every_process(attribute, printed, tmp_path):
    (tmp_path / "a_module.py").write_text("speed = 'on'\n")
    lever = levers.Lever("", "", patches={"a_module": {attribute: f"{attribute} = 'off'"}})
    child = [sys.executable, "-P", "-c", "import a_module; print(a_module.speed)"]
    parent = [sys.executable, "-c", f"import subprocess; subprocess.run({child}, check=False)"]
    environment = {**os.environ, **lever.switched_off, "PYTHONPATH": f"{levers.WITHOUT}:{tmp_path}"}
    done = subprocess.run(parent, env=environment, capture_output=True, text=True, check=True)
    assert printed in (done.stdout + done.stderr).splitlines()


def test_a_loop_of_the_trainer_is_that_many_runs():
    row = table.Row("heads", "ours", "today", goal=12, runs=4)
    values = {"today": {0: 40.0, 1: 44.0, 2: 48.0}, "ours": {0: 10.0, 2: 20.0}}
    assert row.figures(values) == [16.0, 9.6]
    assert row.reached([16.0, 9.6, 13.0]) == "yes (2 of 3)"
    assert row.reached([16.0, 9.6, 11.0]) == "no (1 of 3)"


def test_what_shall_be_small_is_a_share_of_today():
    row = table.Row("memory", "ours", "today", goal=1.2)
    figures = row.figures({"today": {0: 100.0, 1: 100.0, 2: 100.0}, "ours": {0: 110.0, 1: 130.0, 2: 105.0}})
    assert figures == [1.1, 1.3, 1.05]
    assert row.reached(figures) == "yes (2 of 3)"
    assert table.Row("gate", "ours", goal=50).figures({"ours": {0: 40.0}}) == [40.0]


def test_every_row_compares_what_is_measured():
    rows = table.selected([])
    assert {*rows} == {*table.ROWS, *table.ABLATION}
    assert {*table.needed(rows, 1)} == {*table.MEASUREMENTS}
    assert {*table.selected(["ablation"])} == {*levers.LEVERS}
    with pytest.raises(SystemExit, match="no row heads; there are ablation, head-4, "):
        table.selected(["heads"])


def test_a_run_that_was_cut_off_goes_on(work, monkeypatch, capsys):
    asked = counted(monkeypatch)
    speed.run(work, ["head-4", "gate"], 1, "first")
    assert asked == [("TrainerRun", 0), ("Sweep", 0), *[("Statistics", repeat) for repeat in range(7)]]
    asked.clear()
    found = speed.run(work, ["head-4", "head-256"], 2, "second")
    assert asked == [("Sweep", 0), ("TrainerRun", 1), ("Sweep", 1), ("Sweep", 1)]
    monkeypatch.setattr(sys, "argv", ["speed.py", "--print", str(found.path)])
    speed.main()
    printed = capsys.readouterr().out
    assert "`first`, `second`" in printed
    assert (
        "| `head`, the architecture's own, 4 seeds, `--jobs 2` "
        "| 4 × 1.5 s | 1.5 s | ≥ 12× | 4× | 4× | 4× | no (0 of 2) |" in printed
    )
    assert "| 4.0 ms | ≤ 50 ms | 1 ms | 4 ms | 7 ms | yes (7 of 7) |" in printed
    assert "trainer-head 0.5000" in printed


def test_measurements_of_other_code_are_not_mixed(tmp_path):
    found = results.Results(tmp_path / "speed.jsonl")
    found.begin(FACTS, "speed.py")
    found.add("head-4", 0, Measured(1.0))
    again = results.Results(tmp_path / "speed.jsonl")
    again.begin(FACTS, "speed.py")
    assert (again.values["head-4"], again.commands) == ({0: 1.0}, ["speed.py"])
    with pytest.raises(SystemExit, match="commit was a, it is b; give another --keep"):
        again.begin({**FACTS, "commit": "b"}, "speed.py")


def test_a_lever_is_shown_with_it_and_without():
    values = {"head-mean-4": {0: 10.0}, "without-features-once": {0: 25.0}}
    shown = table.printed(table.selected([]), values)
    what = table.LEVERS["features-once"].what
    assert shown.splitlines()[2] == f"| {what} | 10.0 s | 25.0 s | 2.5× | 2.5× | 2.5× |"


def test_who_is_measured_chooses_its_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    given = processes.environment(tmp_path)
    assert "OMP_NUM_THREADS" not in given
    assert (given["XDG_CACHE_HOME"], given["PYTHONPATH"]) == (str(tmp_path), str(ROOT))


def test_a_process_that_fails_is_no_measurement(tmp_path):
    command = [sys.executable, "-c", "raise ValueError('broken')"]
    with pytest.raises(SystemExit, match=r"exit code 1: (?s:.*)ValueError: broken"):
        processes.seconds(command, os.environ)
    with pytest.raises(SystemExit, match=r"exit code 1: (?s:.*)ValueError: broken"):
        processes.peak_bytes(command, os.environ, tmp_path / "log")


@linux
def test_memory_is_that_of_the_whole_tree_and_shared_pages_count_once(tmp_path, monkeypatch):
    code = f"""
import os, pathlib, time
here = pathlib.Path({str(tmp_path)!r})
block = bytearray(os.urandom(1)) * (64 * 2**20)
children = [os.fork() for _ in range(1)]
if children == [0]:
    own = bytearray(os.urandom(1)) * (32 * 2**20)
    (here / "ready").touch()
while not (here / "seen").exists():
    time.sleep(0.01)
"""
    tree, looks = processes.tree, []

    def looked(pid):
        """What is ready at one look has been seen by the next."""
        if looks:
            (tmp_path / "seen").touch()
        looks.extend([pid] if (tmp_path / "ready").exists() else [])
        return tree(pid)

    monkeypatch.setattr(processes, "tree", looked)
    peak = processes.peak_bytes([sys.executable, "-c", code], os.environ, tmp_path / "log")
    assert 96 * 2**20 < peak < 150 * 2**20


@pytest.mark.parametrize("name", ["python", "typer-app", "help", "numpy", "check"])
def test_every_start_ends_well(name, tmp_path):
    start = table.MEASUREMENTS[name]
    assert isinstance(start, Start)
    (tmp_path / "folder").mkdir()
    assert start.measure(Work(tmp_path, tmp_path), 0, tmp_path / "folder").value > 0


def test_the_statistics_can_be_timed(tmp_path):
    assert table.MEASUREMENTS["gate"].measure(Work(tmp_path, tmp_path), 0, tmp_path).value > 0


@linux
@pytest.mark.slow
def test_a_tiny_table_is_measured(work, tmp_path):
    rows = ["head-4", "memory", "heads-in-one-job"]
    found = speed.run(work._replace(base=six_layers(tmp_path / "base")), rows, 1, "speed.py")
    assert {*found.values} == {*table.needed(table.selected(rows), 1)}
    assert found.values["lora-memory"][0] > 2**27
    assert found.accuracies["trainer-head"][0] > 0.4
    assert found.accuracies["head-4"][0] > 0.4
    assert found.accuracies["head-32"] == found.accuracies["without-heads-in-one-job"]
    assert len(speed.report(found, rows).splitlines()) == 14
