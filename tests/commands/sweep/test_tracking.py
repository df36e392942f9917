"""Trackers: which addresses a recipe may name, what MLflow is told of a sweep, and that nothing depends on it."""

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
from tiny import ROOT, recipe_text, run_cli

from seedband import sweep as sweep_function
from seedband.commands.sweep import tracking
from seedband.commands.sweep.tracking import entries
from seedband.errors import Refused, UsageError, WorkFailed
from seedband.recipe import identity
from seedband.recipe.parse import load_recipe, parse_recipe
from seedband.runs import run_file, sweep_file
from seedband.storage.json_files import canonical

#: Only the loopback is there; whoever asks for more is told, and written down.
LOOPBACK_ONLY = """
import os, socket, traceback

for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "PYTEST_CURRENT_TEST"):
    os.environ.pop(name, None)  # where these are set, mlflow is quiet by itself

real = {name: getattr(where, name) for where, name in ((socket.socket, "connect"), (socket, "getaddrinfo"))}

def local(host):
    return not isinstance(host, (str, bytes)) or host in ("127.0.0.1", "localhost", b"127.0.0.1")

def guard(name, host):
    if not local(host):
        with open(os.environ["NETWORK_ASKED"], "a") as file:
            file.write(f"{name} {host!r}" + "".join(traceback.format_stack()) + "\\n")
        raise OSError("there is no network in this test")

def connect(self, address):
    guard("connect", address[0] if isinstance(address, tuple) else None)
    return real["connect"](self, address)

def getaddrinfo(host, *args, **kwargs):
    guard("getaddrinfo", host)
    return real["getaddrinfo"](host, *args, **kwargs)

socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo
"""
#: All that a tracker holds, as MLflow's own client reads it, in a process of its own.
READ = """
import json, sys
from pathlib import Path
from mlflow import MlflowClient

client, told = MlflowClient(tracking_uri=sys.argv[1]), []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        number = run.info.run_id
        files = {}
        for found in client.list_artifacts(number):
            for file in client.list_artifacts(number, found.path) if found.is_dir else [found]:
                files[file.path] = Path(client.download_artifacts(number, file.path)).read_bytes().hex()
        points = {name: client.get_metric_history(number, name) for name in run.data.metrics}
        history = {name: sorted([point.step, point.value] for point in found) for name, found in points.items()}
        data = {key: dict(getattr(run.data, key)) for key in ("tags", "params", "metrics")}
        info = {"id": number, "name": run.info.run_name, "status": run.info.status}
        told.append({**info, **data, "experiment": experiment.name, "files": files, "history": history})
        if len(sys.argv) > 2 and data["tags"].get("seedband.key") == sys.argv[2]:
            client.delete_tag(number, "seedband.logged")
print(json.dumps(told))
"""
TOKEN = "token-SECRET-0123456789"


def with_log(**keys: str) -> dict:
    table = tomllib.loads(recipe_text())
    return {**table, "log": keys}


def add_log(config: Path, text: str) -> None:
    config.write_text(f"{recipe_text()}\n[log]\n{text}\n", encoding="utf-8")


def free_port() -> int:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:5000", "https://mlflow.example.org/team", "sqlite:///mlflow.db", "sqlite:////var/m@x.db"],
)
def test_a_server_or_a_file_of_sqlite_is_an_address(address):
    assert parse_recipe(with_log(mlflow=address), "there").log.mlflow == address


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://ann:hunter2@host", "a user or a password"),
        ("https://:hunter2@host:5000", "a user or a password"),
        ("http://ann:hun/hunter2@host", "a user or a password"),
        ("postgresql://ann:hunter2@host/db", "a user or a password"),
        ("http://host?token=hunter2", "an address that starts with 'http:'"),
        ("http://host#hunter2", "an address that starts with 'http:'"),
        ("sqlite:///m.db?password=hunter2", "an address that starts with 'sqlite:'"),
        ("http://", "an address that starts with 'http:'"),
        ("http://host:hunter2", "an address that starts with 'http:'"),
        ("databricks", "no address"),
        ("file:///hunter2", "an address that starts with 'file:'"),
    ],
)
def test_any_other_address_is_a_mistake_that_repeats_no_password(address, found):
    with pytest.raises(UsageError) as error:
        parse_recipe(with_log(mlflow=address), "there")
    [problem] = error.value.problems
    assert (problem.where, problem.found) == ("log.mlflow", found)
    assert "hunter2" not in str(error.value)
    assert "MLFLOW_TRACKING_TOKEN" in problem.hint or "a user" not in found


def test_a_password_in_the_wrong_place_is_not_repeated_either():
    for table in ({**with_log(), "log": "http://ann:hunter2@host"}, with_log(mlflow=["http://ann:hunter2@host"])):
        with pytest.raises(UsageError) as error:
            parse_recipe(table, "there")
        assert "hunter2" not in str(error.value)


def test_an_experiment_without_a_tracker_is_a_mistake():
    with pytest.raises(UsageError, match=r"log\.mlflow: found nothing"):
        parse_recipe(with_log(experiment="x"), "there")


def test_whom_to_tell_makes_no_other_recipe(tiny_swept):
    recorded = sweep_file.read_sweep(tiny_swept.runs).recorded
    known = {key: value for key, value in recorded.recipe.items() if key != "log"}
    first, other = (
        dataclasses.replace(recorded, recipe=recipe)
        for recipe in (known, {**known, "log": {"mlflow": "http://h", "x": 1}})
    )
    assert identity.changed_keys(first, other) == []
    assert canonical(identity.identity(first)) == canonical(identity.identity(other))


def test_an_mlflow_that_is_not_installed_is_told_by_its_extra(monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as error:
        tracking.check_ready(parse_recipe(with_log(mlflow="http://127.0.0.1:1"), "there"), Path(), offline=True)
    assert error.value.hint == 'pip install "seedband[mlflow]"'


def test_a_file_in_no_folder_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"log\.mlflow: .*gone is no folder"):
        tracking.check_ready(parse_recipe(with_log(mlflow="sqlite:///gone/m.db"), "there"), tmp_path, offline=False)


def test_a_server_that_cannot_be_reached_ends_a_sweep_before_any_work(tiny, impatient):
    add_log(tiny.config, f'mlflow = "http://127.0.0.1:{free_port()}"')
    with pytest.raises(WorkFailed, match=r"log\.mlflow: http://127\.0\.0\.1:\d+ cannot be reached$") as error:
        sweep_function(tiny.config, 2, out=tiny.runs, band=tiny.band)
    assert "a later sweep logs what is missing" in error.value.hint
    assert not tiny.runs.exists()


def test_offline_no_server_is_asked_and_it_is_said_once(swept):
    add_log(swept.config, f'mlflow = "http://127.0.0.1:{free_port()}"')
    events = []
    sweep_function(swept.config, 4, out=swept.runs, band=swept.band, offline=True, on_event=events.append)
    told = [event for event in events if "offline" in str(event.content.get("text"))]
    assert [event.kind for event in told] == ["note"]
    assert "sweep again without --offline" in told[0].content["text"]


def test_a_server_that_is_gone_after_the_work_is_a_warning(swept, impatient, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    add_log(swept.config, f'mlflow = "http://127.0.0.1:{free_port()}"')
    recipe, events = load_recipe(swept.config).recipe, []
    tracking.log_sweep(recipe, swept.folder, swept.runs, offline=False, on_event=events.append)
    [event] = events
    assert event.kind == "warning"
    assert "the sweep is done" in event.content["text"]
    assert "sweep again to log what is missing" in event.content["text"]
    assert TOKEN not in event.content["text"] + (swept.runs / "logs" / "mlflow.log").read_text(encoding="utf-8")


def test_runs_that_make_no_band_are_logged_all_the_same(swept, monkeypatch):
    add_log(swept.config, 'mlflow = "sqlite:///mlflow.db"')
    told = []

    def refuse(*_):
        raise Refused("they do not join")

    monkeypatch.setattr(sys.modules["seedband.commands.sweep.sweep"], "_finish", refuse)
    monkeypatch.setattr(tracking, "log_sweep", lambda *args, **_: told.append(args))
    with pytest.raises(Refused, match="do not join"):
        sweep_function(swept.config, 4, out=swept.runs, band=swept.band)
    assert len(told) == 1


def test_a_sweep_is_told_with_its_recipe_its_band_and_its_runs(tiny_swept):
    recipe = load_recipe(tiny_swept.config).recipe
    sweep, *runs = entries.entries_of(recipe, tiny_swept.runs)
    band = json.loads(tiny_swept.band.read_text(encoding="utf-8"))["metrics"]["accuracy"]
    assert sweep.params["train.learning_rate"] == "0.01"
    assert sweep.params["evaluate.2.evaluator"] == "f1_macro"
    assert not {"gate.alpha", "data.train", "log.mlflow"} & sweep.params.keys()
    assert sweep.tags["seedband.gate.alpha"] == "0.05"
    assert sweep.metrics["accuracy.spread"] == pytest.approx(max(band["scores"]) - min(band["scores"]))
    assert {Path(path).name for path in sweep.artifacts} == {"band.json", "sweep.json", "recipe.toml", "scores.parquet"}
    assert [run.name for run in runs] == ["seed 0", "seed 1", "seed 2", "seed 3"]
    record = run_file.read_seed(tiny_swept.runs, 2)
    assert runs[2].metrics["accuracy"] == record.evaluations[0].score
    assert runs[2].params == {
        "seed": "2",
        **{f"{name}_seed": str(value) for name, value in record.record["streams"].items()},
    }
    steps = [json.loads(line) for line in (record.folder / "trace.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [value for name, _, value in runs[2].series if name == "train.loss"] == [step["loss"] for step in steps]
    assert {Path(path).name for path in runs[2].artifacts} == {"run.json", "items.parquet"}


def test_a_run_is_known_by_what_came_out_wherever_it_lies(tiny_swept, tmp_path):
    moved = shutil.copytree(tiny_swept.folder, tmp_path / "moved")
    recipe = load_recipe(tiny_swept.config).recipe
    first, other = (entries.entries_of(recipe, place / "runs") for place in (tiny_swept.folder, moved))
    assert [(entry.key, entry.digest) for entry in first] == [(entry.key, entry.digest) for entry in other]
    with_weights = dataclasses.replace(recipe, log=dataclasses.replace(recipe.log, checkpoints=True))
    more = entries.entries_of(with_weights, moved / "runs")
    assert all(entry.digest != before.digest for entry, before in zip(more, first, strict=True))
    assert {Path(path).name for path, place in more[1].artifacts.items() if place == "checkpoint"} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "head.json",
        "head.safetensors",
    } & {path.name for path in (moved / "runs" / "seed-0").iterdir()}


def test_a_failed_run_is_told_as_failed_and_long_texts_are_cut(tiny_swept):
    run = dataclasses.replace(run_file.read_seed(tiny_swept.runs, 0), status="failed", failure="loss " * 1000)
    entry = entries._run_entry(run, checkpoints=False)
    assert entry.status == "FAILED"
    assert len(entry.tags["seedband.failure"]) == 500


def test_names_stay_apart_when_letters_are_replaced():
    names = ["a/b", "a_b", "a#b", "..", "m", "x" * 300, "x" * 301]
    safe = [entries._name(name) for name in names]
    assert len(set(safe)) == len(names)
    assert all(set(name) <= set(entries.FOREIGN.sub("", name)) and not name.startswith(".") for name in safe)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real MLflow server on the loopback, with SQLite and a folder of artifacts."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/m.db", "--artifacts-destination", str(folder / "artifacts")]
    quiet = {**tracking.QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **quiet}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()
            with closing(socket.socket()) as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read(address: str, forget: str = "") -> list[dict]:
    """Runs of a tracker, the parent first; the run with key `forget` is made one that was not logged to its end."""
    command = [sys.executable, "-c", READ, address, *([forget] if forget else [])]
    done = subprocess.run(command, env={**os.environ, **tracking.QUIET}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(json.loads(done.stdout.splitlines()[-1]), key=lambda run: "mlflow.parentRunId" in run["tags"])


@pytest.fixture
def guarded(tmp_path):
    """Variables of a process that reaches the loopback only, and whose shell names another tracker and a token."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(LOOPBACK_ONLY, encoding="utf-8")
    return {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "guard"), str(ROOT)]),
        "NETWORK_ASKED": str(tmp_path / "asked"),
        "MLFLOW_TRACKING_URI": "http://192.0.2.1:1",
        "MLFLOW_EXPERIMENT_NAME": "elsewhere",
        "MLFLOW_TRACKING_TOKEN": TOKEN,
    }


@pytest.mark.slow
def test_a_server_is_told_of_a_sweep_once_and_of_what_changed(server, swept, guarded, tmp_path):
    add_log(swept.config, f'mlflow = "{server}"\ncheckpoints = true')
    sweep = ("sweep", "--seeds", "4", "--out", "runs")
    page = (ROOT / "docs" / "how-to" / "mlflow.md").read_text(encoding="utf-8")
    before = {path: path.read_bytes() for path in swept.runs.glob("seed-*/run.json")}
    done = run_cli(*sweep, cwd=swept.folder, env=guarded)
    assert done.code == 0, done.err
    assert f"logged to 'tiny-lora' of {server}: sweep runs, seed 0, seed 1, seed 2, seed 3" in done.err
    [told] = [line for line in done.err.splitlines() if line.startswith("note: logged")]
    assert told.replace(server, "http://127.0.0.1:5000").replace("sweep runs", "sweep tiny-lora") in page.splitlines()
    assert {path: path.read_bytes() for path in before} == before  # nothing was trained or scored for it

    parent, *runs = read(server)
    assert (parent["experiment"], parent["name"], parent["status"]) == ("tiny-lora", "sweep runs", "FINISHED")
    assert {run["tags"]["mlflow.parentRunId"] for run in runs} == {parent["id"]}
    assert parent["params"]["lora.r"] == "8"
    assert bytes.fromhex(parent["files"]["band.json"]) == swept.band.read_bytes()
    assert set(parent["files"]) == {"band.json", "sweep.json", "recipe.toml", "scores.parquet"}
    [second] = [run for run in runs if run["name"] == "seed 1"]
    record = run_file.read_seed(swept.runs, 1)
    assert second["metrics"]["accuracy"] == record.evaluations[0].score
    trace = [json.loads(line) for line in (record.folder / "trace.jsonl").read_text().splitlines()]
    assert second["history"]["train.loss"] == [[step["step"], step["loss"]] for step in trace]
    assert {"run.json", "items.parquet", "checkpoint/adapter_model.safetensors"} <= second["files"].keys()
    assert bytes.fromhex(second["files"]["run.json"]) == (record.folder / "run.json").read_bytes()

    assert "nothing new" in run_cli(*sweep, cwd=swept.folder, env=guarded).err
    assert read(server, forget="1") == [parent, *runs]

    text = swept.config.read_text(encoding="utf-8")
    swept.config.write_text(f"{text}\n[gate]\nalpha = 0.1\n", encoding="utf-8")
    done = run_cli(*sweep, cwd=swept.folder, env=guarded)
    assert ": sweep runs, seed 1\n" in done.err
    changed, *again = read(server)
    assert changed["tags"]["seedband.gate.alpha"] == "0.1"
    assert bytes.fromhex(changed["files"]["band.json"]) == swept.band.read_bytes()
    assert changed["id"] == parent["id"]
    assert again == runs  # logged over, seed 1 has every step once

    assert not (tmp_path / "asked").exists(), (tmp_path / "asked").read_text()
    written = [path.read_bytes() for path in swept.folder.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in content for content in written)
    assert not (swept.folder / "mlruns").exists()


@pytest.mark.slow
def test_a_sweep_that_is_logged_is_the_sweep_that_it_is_without(tiny, tiny_swept):
    add_log(tiny.config, 'mlflow = "sqlite:///mlflow.db"\nexperiment = "ours"')
    done = run_cli("sweep", "--seeds", "2", "--out", "runs", "--offline", cwd=tiny.folder)
    assert done.code == 0, done.err
    for seed in (0, 1):
        ours, without = (run_file.read_seed(place.runs, seed) for place in (tiny, tiny_swept))
        assert ours.witnesses == without.witnesses
        assert ours.record["checkpoint_sha256"] == without.record["checkpoint_sha256"]
        assert ours.evaluations == without.evaluations
        assert ours.record["signature"] == without.record["signature"]
    parent, *runs = read(f"sqlite:///{tiny.folder / 'mlflow.db'}")
    assert (parent["experiment"], len(runs)) == ("ours", 2)
    assert (tiny.folder / "mlartifacts" / parent["id"] / "artifacts" / "band.json").is_file()
