"""Training scripts of users under `sweep`, and everything that a sweep is good for afterwards."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from holding import Held
from own_scripts import command_text, make_command_recipe
from tiny import PATIENCE_S, Tiny, gone, run_cli

from seedband.errors import Refused
from seedband.jobs.distinct_seeds import check_distinct

SWEEP = ("sweep", "--out", "runs", "--jobs", "2", "--seeds")


@pytest.fixture
def own(tiny_heads, tmp_path) -> Tiny:
    """A folder of a team that trains by a script of its own; not swept."""
    (tmp_path / "own").mkdir()
    return make_command_recipe(tiny_heads, tmp_path / "own")


@pytest.fixture(scope="module")
def swept_once(tiny_heads, tmp_path_factory) -> Tiny:
    made = make_command_recipe(tiny_heads, tmp_path_factory.mktemp("own"))
    done = run_cli(*SWEEP, "2", cwd=made.folder)
    assert done.code == 0, done.err
    return made


@pytest.fixture
def own_swept(swept_once, tmp_path) -> Tiny:
    return Tiny(Path(shutil.copytree(swept_once.folder, tmp_path / "swept")))


def edit(own, old, new):
    script = own.folder / "train.py"
    assert old in script.read_text()
    script.write_text(script.read_text().replace(old, new))


@pytest.mark.slow
def test_a_script_leaves_a_run_like_any_method_of_ours(own):
    done = run_cli("sweep", "--seeds", "1", "--no-band", "--out", "runs", cwd=own.folder)
    assert done.code == 0, done.err
    assert "train.py --seed 0 --out" in done.err  # a machine without `python` has seedband's own named
    run = json.loads((own.runs / "seed-0" / "run.json").read_text())
    assert run["status"] == "finished"
    assert {entry["metric"] for entry in run["evaluations"]} == {"accuracy", "f1_macro", "log_loss"}
    assert sorted(path.name for path in (own.runs / "seed-0").iterdir()) == [
        "head.json", "head.safetensors", "items.parquet", "run.json", "trace.jsonl",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_script_is_swept_like_any_method_of_ours(swept_once):
    runs = [json.loads((swept_once.runs / f"seed-{seed}" / "run.json").read_text()) for seed in (0, 1)]
    for seed, run in enumerate(runs):
        assert run["status"] == "finished"
        assert {name: run["witnesses"][name] for name in ("init", "order", "dropout")} == dict.fromkeys(
            ("init", "order", "dropout")
        )
        assert run["signature"]["method"] == "command"
        assert run["signature"]["initializers"] == {}
        assert list(run["provenance"]["command"]) == ["train.py"]
        trace = (swept_once.runs / f"seed-{seed}" / "trace.jsonl").read_text().splitlines()
        assert len(trace) == run["steps"] == 5
        assert "'loss'" in (swept_once.runs / "logs" / f"seed-{seed}.log").read_text()
    for name in ("losses", "final", "predictions"):
        assert runs[0]["witnesses"][name] != runs[1]["witnesses"][name]
    assert json.loads(swept_once.band.read_text())["seeds"] == [0, 1]


def test_the_dry_run_knows_what_it_cannot_know(own):
    done = run_cli("sweep", "--dry-run", cwd=own.folder)
    assert done.code == 0, done.err
    assert "4 jobs, as many steps as the command takes" in done.out
    assert "disk: whatever the command writes\ntime: unknown (known after one run)" in done.out
    told = json.loads(run_cli("sweep", "--dry-run", "--json", cwd=own.folder).out)
    assert told["steps_per_run"] is told["disk_bytes"] is told["seconds"] is None


def test_what_a_command_names_must_be_there_before_any_work(own):
    command = '"no-such-python train2.py --config conf.toml --seed {seed} --out {out}"'
    own.config.write_text(command_text(train_command=command), encoding="utf-8")
    done = run_cli(*SWEEP, "2", cwd=own.folder)
    assert done.code == 2
    for told in ("train2.py, which is no file in", "conf.toml, which is no file", "'no-such-python', which is no prog"):
        assert f"train.command: found {told}" in done.err
    assert not own.runs.exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("final", "identical weights"),
        ("losses", "identical loss traces"),
        ("predictions", "identical predictions on all items"),
    ],
)
def test_two_seeds_that_share_what_a_script_gave_are_refused(name, told):
    def run(seed, **witnesses):
        return SimpleNamespace(
            seed=seed, status="finished", witnesses={"final": f"w{seed}", "losses": None, **witnesses}
        )

    recipe = SimpleNamespace(train=SimpleNamespace(command="python train.py"))
    check_distinct([run(0), run(3)], recipe, ["init"])
    with pytest.raises(Refused, match=f"^seeds 0 and 3 gave {told}: your script seems to ignore --seed"):
        check_distinct([run(0, **{name: "x"}), run(1), run(3, **{name: "x"})], recipe, ["init"])


@pytest.mark.slow
def test_runs_of_a_script_are_checked_reproduced_shown_and_shipped(own_swept):
    folder = own_swept.folder
    done = run_cli("check", "runs/seed-1", cwd=folder)
    assert done.code == 0, done.err
    assert "this is seed 1 of the band itself, weight for weight" in done.out
    done = run_cli("reproduce", "runs", "--seed", "1", cwd=folder)
    assert done.code == 0, done.err
    assert "EQUAL: seed 1 came out the same" in done.out
    assert run_cli("show", "runs", "--by", "channel", cwd=folder).code == 0
    done = run_cli("ship", "runs", "--to", "shipped", cwd=folder)
    assert done.code == 0, done.err
    assert {"head.json", "config.json", "band.json"} <= {path.name for path in (folder / "shipped").iterdir()}
    assert "By the script that trained it" in (folder / "shipped" / "README.md").read_text()


@pytest.mark.slow
def test_a_record_alone_runs_no_command(own_swept, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run_cli("reproduce", own_swept.runs, cwd=elsewhere)
    assert done.code == 3
    assert "train.command runs a program, and a record alone cannot make it run: no recipe" in done.err
    (elsewhere / "seedband.toml").write_text(command_text(train_command='"python t.py {seed} {out}"'))
    done = run_cli("reproduce", own_swept.runs, cwd=elsewhere)
    assert done.code == 3
    assert "has another one, or none" in done.err
    done = run_cli("reproduce", own_swept.runs, "--config", own_swept.config, cwd=elsewhere)
    assert done.code == 0, done.err


@pytest.mark.slow
def test_further_seeds_are_trained_by_the_script_while_a_verdict_is_suspect(own_swept):
    edit(own_swept, "0.02 * draw", "0.5 * draw")
    done = run_cli(*SWEEP, "2", "--no-band", "--out", "worse", cwd=own_swept.folder)
    assert done.code == 0, done.err
    done = run_cli("check", "worse/seed-0", "--more-seeds", "1", cwd=own_swept.folder)
    assert done.code in (0, 1, 4), done.err
    done = run_cli("check", "--pairs", "2", "--recipe", "seedband.toml", "--out", "pairs", cwd=own_swept.folder)
    assert done.code in (0, 1, 4), done.err
    assert (own_swept.folder / "pairs" / "seed-1" / "run.json").is_file()


@pytest.mark.slow
def test_an_edited_script_is_another_recipe(own_swept):
    edit(own_swept, "0.02", "0.03")
    done = run_cli(*SWEEP, "3", cwd=own_swept.folder)
    assert done.code == 2
    assert "holds runs of another recipe: train.command (other train.py) changed" in done.err
    done = run_cli("reproduce", "runs", cwd=own_swept.folder)
    assert done.code == 3
    assert "no longer there: train.command (other train.py) changed" in done.err


@pytest.mark.slow
def test_attempts_and_time_may_change_within_a_sweep_and_finished_runs_are_scored_anew(own_swept):
    text = command_text(train_retries="1", train_timeout_s="600.0").replace('"log_loss"', '"mcc"')
    own_swept.config.write_text(text, encoding="utf-8")
    before = (own_swept.runs / "seed-0" / "head.safetensors").stat().st_mtime_ns
    done = run_cli(*SWEEP, "3", cwd=own_swept.folder)
    assert done.code == 0, done.err
    assert "seed 0, seed 1: scored again, not trained again" in done.err
    assert (own_swept.runs / "seed-0" / "head.safetensors").stat().st_mtime_ns == before
    assert set(json.loads(own_swept.band.read_text())["metrics"]) == {"accuracy", "f1_macro", "mcc"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("np.random.default_rng(7)", "identical weights"),
        # A seed that nobody reads, and kernels that differ all the same.
        ("np.random.default_rng(7); chance = np.random.default_rng()", "identical loss traces"),
    ],
)
def test_a_script_that_ignores_its_seed_is_refused_once_two_seeds_are_known(own, new, told):
    edit(own, "np.random.default_rng(arguments.seed)", new)
    if "chance" in new:
        edit(own, "draw.normal", "chance.normal")
    done = run_cli("sweep", "--out", "runs", "--seeds", "4", cwd=own.folder)
    assert done.code == 3, done.err
    assert f"seeds 0 and 1 gave {told}: your script seems to ignore --seed" in done.err
    assert not own.band.exists()
    assert not (own.runs / "seed-1" / "run.json").exists()
    assert not (own.runs / "seed-2" / "run.json").exists()
    assert run_cli("sweep", "--out", "runs", "--seeds", "2", cwd=own.folder).code == 3


@pytest.mark.slow
def test_a_seed_whose_script_crashes_leaves_the_others(own):
    edit(own, "draw = np", "print('so far so good')\nif arguments.seed == 1: raise MemoryError('no room')\ndraw = np")
    done = run_cli(*SWEEP, "3", cwd=own.folder)
    assert done.code == 5, done.err
    assert "seed 1 crashed: the command ended with exit code 1" in done.err
    assert "MemoryError: no room" in done.err
    assert "runs/logs/seed-1.log" in done.err
    assert "so far so good" in (own.runs / "logs" / "seed-1.log").read_text()
    done = run_cli(*SWEEP, "3", "--keep-going", cwd=own.folder)
    assert done.code == 0, done.err
    assert json.loads(own.band.read_text())["seeds"] == [0, 2]


@pytest.mark.slow
def test_an_interrupted_sweep_ends_its_script_with_what_that_started_and_goes_on(own):
    lasting = "import os, subprocess\nleft = subprocess.Popen(['sleep', '600'])\n"
    lasting += "print('processes', os.getpid(), left.pid)\nif not os.path.exists('go-on'): time.sleep(600)\n"
    edit(own, "tensors = load_file", f"{lasting}left.kill()\ntensors = load_file")
    command = [sys.executable, "-m", "seedband", *SWEEP[:-1], "--seeds", "2", "-v"]
    parent = subprocess.Popen(command, cwd=own.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told = []
    while len(told) < 2:
        line = parent.stderr.readline()
        assert line, told
        told += [line] if "processes" in line else []
    parent.send_signal(signal.SIGTERM)
    _, err = parent.communicate(timeout=PATIENCE_S)
    assert parent.returncode == 130, err
    assert all(gone(int(pid)) for line in told for pid in line.split()[-2:])
    done = run_cli("check", "runs/seed-0", "--band", "band.json", cwd=own.folder)
    assert done.code in (2, 3)
    (own.folder / "go-on").touch()
    done = run_cli(*SWEEP, "2", cwd=own.folder)
    assert done.code == 0, done.err


@pytest.mark.slow
def test_a_kill_between_training_and_scoring_loses_no_training(own):
    held = Held(own.folder, "sweep", "--seeds", "2", "--out", "runs", moved="*/seed-0/trained.json")
    held.pid()
    held.process.kill()
    held.process.communicate()
    assert not (own.runs / "seed-0" / "run.json").exists()
    log = own.runs / "logs" / "seed-0.log"
    done = run_cli(*SWEEP, "2", cwd=own.folder)
    assert done.code == 0, done.err
    assert "'loss'" not in log.read_text()
    assert (own.runs / "seed-0" / "run.json").is_file()
