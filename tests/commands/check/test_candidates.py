"""Candidates from a hub, a real server on the loopback."""

from collections.abc import Iterator

import pytest
from hub import COMMIT, Hub, environment, serving
from signatures import a_run
from tiny import run_cli

from seedband.commands.check.candidates import Found, in_order
from seedband.errors import Refused
from seedband.models import hub as hubs
from seedband.models.model_folders import CheckpointFiles

NAME = "org/new-intents"


@pytest.fixture
def hub(tiny_swept) -> Iterator[Hub]:
    """A repository with the adapter of seed 0, and with what must not be fetched."""
    run = tiny_swept.runs / "seed-0"
    files = {name: (run / name).read_bytes() for name in ("adapter_config.json", "adapter_model.safetensors")}
    files |= {"adapter_model.bin": b"pickled", "training_args.bin": b"pickled", "modeling_evil.py": b"print('run')"}
    files |= {
        "1_Pooling/config.json": b"{}",
        "1_Pooling/evil.py": b"",
        "1_Pooling/x.bin": b"",
        "sub/config.json": b"{}",
    }
    with serving(Hub(NAME, files)) as server:
        yield server


def test_a_checkpoint_of_the_hub_is_judged_without_its_pickles_and_code(hub, swept, tmp_path):
    candidate = f"hf://{NAME}@{COMMIT}"
    done = run_cli("check", candidate, "--base", "base", cwd=swept.folder, env=environment(hub, tmp_path))
    assert done.code == 0, done.err
    assert "seed 0" in done.out  # it is recognised as one of the baseline's
    fetched = {path.rpartition("/")[2] for path in hub.asked}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= fetched
    assert not fetched & {"adapter_model.bin", "training_args.bin", "modeling_evil.py", "evil.py", "x.bin"}
    assert f"/{NAME}/resolve/{COMMIT}/1_Pooling/config.json" in hub.asked
    assert not [path for path in hub.asked if "/sub/" in path]
    hub.asked.clear()
    done = run_cli("check", candidate, "--base", "base", "--offline", cwd=swept.folder, env=environment(hub, tmp_path))
    assert done.code == 0, done.err
    assert not hub.asked


@pytest.mark.parametrize(
    "text",
    [
        "hf://org/name",
        "hf://org/name@main",
        "hf://name@" + COMMIT,
        "hf://org/../x@main",
        "hf://../..@" + COMMIT,
        "hf://org/..@" + COMMIT,
        "hf://org/.x@" + COMMIT,
    ],
)
def test_a_hub_id_without_a_commit_is_a_usage_error(swept, text):
    done = run_cli("check", text, cwd=swept.folder)
    assert done.code == 2, done.err
    assert "hf://org/name@commit" in done.err


def test_a_hub_that_cannot_be_reached_exits_5(hub, swept, tmp_path):
    other = f"hf://{NAME}@{'0' * 40}"
    done = run_cli("check", other, "--base", "base", cwd=swept.folder, env=environment(hub, tmp_path))
    assert done.code == 5, done.err
    assert "cannot get org/new-intents@000000000000 from the hub" in done.err


def test_a_hub_candidate_with_pickles_only_is_refused_unfetched(hub, swept, tmp_path):
    del hub.files["adapter_model.safetensors"]
    done = run_cli("check", f"hf://{NAME}@{COMMIT}", "--base", "base", cwd=swept.folder, env=environment(hub, tmp_path))
    assert done.code == 3, done.err
    assert "the weights are pickled (" in done.err
    assert not [path for path in hub.asked if "/resolve/" in path]


def test_a_hub_candidate_of_more_than_100_gb_is_refused_unfetched():
    with pytest.raises(Refused, match="has 100000000002 bytes, more than the 100000000000 that are fetched"):
        hubs._wanted(NAME, {"model.safetensors": 10**11, "config.json": 2, "pytorch_model.bin": 5})


@pytest.mark.slow
def test_a_cached_checkpoint_is_judged_while_the_hub_cannot_be_reached(hub, swept, tmp_path):
    arguments = ("check", f"hf://{NAME}@{COMMIT}", "--base", "base")
    assert run_cli(*arguments, cwd=swept.folder, env=environment(hub, tmp_path)).code == 0
    away = environment(hub, tmp_path) | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    done = run_cli(*arguments, cwd=swept.folder, env=away)
    assert done.code == 0, done.err


def found(name, seed=None):
    return Found(CheckpointFiles("head", name, name), None if seed is None else a_run(seed))


@pytest.mark.parametrize(
    ("given", "looks", "order"),
    [
        ([("b", 7), ("a", 5)], 0, "ab"),
        ([("a", 10), ("b", 9), ("c", 100)], 0, "bac"),
        ([("b", 7), ("a", 5), ("c", 6)], 1, "bac"),
        ([("b", 7), ("a", 5)], 2, "ba"),
        ([("b", None), ("a", None)], 0, "ba"),
        ([("c", 7), ("x", None), ("a", 5)], 0, "axc"),
    ],
)
def test_candidates_given_together_are_ordered_by_root_seed(given, looks, order):
    assert "".join(entry.files.name for entry in in_order([found(*one) for one in given], looks)) == order
