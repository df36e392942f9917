"""A model and data hub, a real server on the loopback."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """Serves the files of one repository at one commit, as huggingface.co does, and remembers what was asked for."""

    def __init__(self, name: str, files: dict[str, bytes], kind: str = "models") -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.api = files, f"/api/{kind}/{name}"
        self.resolve = f"/{name}/resolve/{COMMIT}/" if kind == "models" else f"/{kind}/{name}/resolve/{COMMIT}/"
        self.told = {"id": name, "sha": COMMIT}
        self.sizes: dict[str, int] = {}
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
        if path == f"{self.server.api}/revision/{COMMIT}":
            siblings = [{"rfilename": name} for name in self.server.files]
            self._send(json.dumps({**self.server.told, "siblings": siblings}).encode(), "application/json", body=body)
            return
        if path == f"{self.server.api}/tree/{COMMIT}":
            listed = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.server.files.items()
            ]
            self._send(json.dumps(listed).encode(), "application/json", body=body)
            return
        name = path.removeprefix(self.server.resolve)
        if path.startswith(self.server.resolve) and name in self.server.files:
            size = self.server.sizes.get(name) if not body else None
            self._send(self.server.files[name], "application/octet-stream", body=body, size=size)
            return
        self.send_response(404)
        if path.startswith(self.server.resolve):
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()

    def _send(self, content: bytes, kind: str, *, body: bool, size: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) if size is None else size))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(server: Hub) -> Iterator[Hub]:
    """The hub while it answers."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def environment(hub: Hub, folder: Path) -> dict[str, str]:
    """What sends a command to this hub, with a cache of its own."""
    url = f"http://127.0.0.1:{hub.server_port}"
    own = {"HF_ENDPOINT": url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    return own | {"HF_HUB_OFFLINE": "0", "no_proxy": "127.0.0.1"} | {k: "" for k in os.environ if k == "HF_TOKEN"}
