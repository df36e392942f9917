"""A judge on the loopback: a real HTTP server that grades, and misbehaves when it is told to."""

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-SECRETOFJUDGE-0123456789"
MODEL = "judge-2026-11-01"
#: Everything that can go wrong on the way to a grade, and may be right another time.
MISBEHAVIOUR = (
    "429", "500", "503", "slow", "drip", "truncated", "closed", "reset",
    "no json", "no completion", "no answer", "malformed", "wrong schema", "out of range", "true", "length", "huge",
)  # fmt: skip


def answer(grade: Any) -> str:
    return json.dumps({"reason": "because", "score": grade})


def completion(content: str | None, finish: str = "stop", model: str = MODEL, usage: bool = True) -> dict[str, Any]:
    tokens = {"usage": {"prompt_tokens": 100, "completion_tokens": 10}} if usage else {}
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion", "model": model, "choices": [choice], **tokens}


#: What the model says, in a reply that is sound.
SAID = {
    "malformed": "The output is fine, so: 5",
    "wrong schema": json.dumps({"verdict": "good"}),
    "out of range": answer(7),
    "true": answer(True),
    "no answer": None,
}
#: What is sent instead of a reply.
SENT = {
    "no json": b"<html>bad gateway</html>",
    "no completion": b'{"object": "list", "data": []}',
    "huge": b" " * (5 * 1024**2),
}


class Judge:
    """What the server does, and what it has seen.

    Attributes:
        act: Number of a request, from 0, and the material → "ok", one of MISBEHAVIOUR, or a status.
        grade: The material and how often it was graded before → the grade.
        served: Material → the model that the reply names.
        usage: Whether replies count tokens.
        retry_after: Header of a 429.
        requests: Everything that was asked: body, headers, and when.
        graded: Output → how many grades of it were sent whole.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.act: Callable[[int, dict[str, Any]], str] = lambda *_: "ok"
        self.grade: Callable[[dict[str, Any], int], Any] = lambda *_: 4
        self.served: Callable[[dict[str, Any]], str] = lambda *_: MODEL
        self.usage = True
        self.retry_after = "0"
        self.requests: list[tuple[dict[str, Any], dict[str, str], float]] = []
        self.graded: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.over = threading.Event()


@contextmanager
def judging() -> Iterator[Judge]:
    """A judge that listens on a free port of the loopback."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.judge = Judge(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.judge
    finally:
        server.judge.over.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    judge: Judge

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        judge = self.server.judge
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        material = json.loads(body["messages"][1]["content"])
        with judge.lock:
            number = len(judge.requests)
            judge.requests.append((body, dict(self.headers), time.monotonic()))
        action = judge.act(number, material)
        if action != "ok":
            self._misbehave(action)
            return
        with judge.lock:
            grade = judge.grade(material, judge.graded[material["output"]])
            judge.graded[material["output"]] += 1
        self._reply(200, completion(answer(grade), model=judge.served(material), usage=judge.usage))

    def _misbehave(self, action: str) -> None:
        if action in SAID:
            self._reply(200, completion(SAID[action]))
        elif action in SENT:
            self._send(200, SENT[action], len(SENT[action]))
        elif action.isdigit():
            sent = self.headers.get("Authorization", "")
            code = "insufficient_quota" if action == "4290" else "odd"
            self._reply(int(action[:3]), {"error": {"message": f"no, {sent}, not\x1b now", "code": code}})
        elif action == "length":
            self._reply(200, completion(answer(4)[:-4], "length"))
        else:
            self.close_connection = True
            getattr(self, f"_{action}")()

    def _closed(self) -> None:
        pass

    def _hold(self) -> None:
        self.server.judge.over.wait()

    def _slow(self) -> None:
        self.server.judge.over.wait(1.0)

    def _drip(self) -> None:
        self._send(200, b"", 1000)
        while not self.server.judge.over.wait(0.05):
            self.wfile.write(b" ")

    def _truncated(self) -> None:
        text = json.dumps(completion(answer(4))).encode()
        self._send(200, text[: len(text) // 2], len(text))

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self._send(status, text, len(text))

    def _send(self, status: int, text: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        if status == 429:
            self.send_header("Retry-After", self.server.judge.retry_after)
        if status in (301, 302, 307, 308):
            self.send_header("Location", "http://127.0.0.1:9/v1/chat/completions")
        self.end_headers()
        self.wfile.write(text)
        self.wfile.flush()
