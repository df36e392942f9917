"""Candidates from a hub, a real server on the loopback."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny import run_cli

from seedband import models
from seedband.errors import Refused

COMMIT = "c0ffee" + "0" * 34
NAME = "org/new-intents"


class Hub(ThreadingHTTPServer):
    """Serves the files of one repository at one commit, as huggingface.co does, and remembers what was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        if path == f"/api/models/{NAME}/revision/{COMMIT}":
            told = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.server.files]}
            self._send(json.dumps(told).encode(), "application/json", body=body)
            return
        if path == f"/api/models/{NAME}/tree/{COMMIT}":
            listed = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.server.files.items()
            ]
            self._send(json.dumps(listed).encode(), "application/json", body=body)
            return
        name = path.removeprefix(f"/{NAME}/resolve/{COMMIT}/")
        if name in self.server.files:
            self._send(self.server.files[name], "application/octet-stream", body=body)
            return
        self.send_response(404)
        self.end_headers()

    def _send(self, content: bytes, kind: str, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


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
    server = Hub(files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def environment(hub: Hub, folder: Path) -> dict[str, str]:
    url = f"http://127.0.0.1:{hub.server_port}"
    own = {"HF_ENDPOINT": url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    return own | {"HF_HUB_OFFLINE": "0", "no_proxy": "127.0.0.1"} | {k: "" for k in os.environ if k == "HF_TOKEN"}


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
        models._wanted(NAME, {"model.safetensors": 10**11, "config.json": 2, "pytorch_model.bin": 5})


def test_a_cached_checkpoint_is_judged_while_the_hub_cannot_be_reached(hub, swept, tmp_path):
    arguments = ("check", f"hf://{NAME}@{COMMIT}", "--base", "base")
    assert run_cli(*arguments, cwd=swept.folder, env=environment(hub, tmp_path)).code == 0
    away = environment(hub, tmp_path) | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    done = run_cli(*arguments, cwd=swept.folder, env=away)
    assert done.code == 0, done.err
