"""A fake of a container engine's HTTP interface, with faults that a real one shows now and then."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import docker


class FakeEngine(BaseHTTPRequestHandler):
    """One container, which ends by itself.

    Attributes:
        lines: Its log.
        num_followed: How many of the lines a request that follows the log gets before it hangs.
        num_looks: At how many looks it still runs.
        is_gone: Whether the engine answers nothing more, but for the removal, once the container runs.
        runs: Set when the container has been started.
        removed: Set when the container has been removed.
        over: Set when the test is over: whoever hangs may go.
    """

    lines: tuple[str, ...]
    num_followed: int | None
    num_looks: int
    is_gone: bool
    runs: threading.Event
    removed: threading.Event
    over: threading.Event

    def do_POST(self) -> None:
        if "/create" in self.path:
            self._answer(201, {"Id": "c1", "Warnings": []})
        elif self.path.endswith("/start"):
            self.runs.set()
            self._answer(204)
        else:
            self._answer(200, {"StatusCode": 7})

    def do_GET(self) -> None:
        if "/logs" not in self.path:
            if self.is_gone and self.runs.is_set():
                self.over.wait()
            else:
                self._answer(200, {"Id": "c1", "Config": {"Tty": False}, "State": {"Status": self._status()}})
            return
        follows = "follow=1" in self.path
        if follows and self.num_followed is None:
            self.over.wait()
            return
        shown = self.lines[: self.num_followed] if follows else self.lines
        self.send_response(200)
        self.end_headers()
        for line in (one.encode() for one in shown):
            self.wfile.write(struct.pack(">BxxxL", 1, len(line)) + line)
        self.wfile.flush()
        if follows:
            self.over.wait()

    def _status(self) -> str:
        if not self.runs.is_set():
            return "created"
        type(self).num_looks -= 1
        return "running" if self.num_looks >= 0 else "exited"

    def do_DELETE(self) -> None:
        self.removed.set()
        self._answer(204)

    def _answer(self, status: int, content: Any = None) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def fake_engine(**faults: Any) -> Iterator[tuple[docker.DockerClient, type[FakeEngine]]]:
    """Serve an engine with these attributes, and yield a client of it that waits half a second for an answer."""
    attributes = {"lines": (), "num_followed": None, "num_looks": 0, "is_gone": False, **faults}
    events = {name: threading.Event() for name in ("runs", "removed", "over")}
    handler = type("OneEngine", (FakeEngine,), {**attributes, **events})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    client = docker.DockerClient(f"tcp://127.0.0.1:{server.server_address[1]}", version="1.41", timeout=0.5)
    try:
        yield client, handler
    finally:
        handler.over.set()  # type: ignore[attr-defined]
        client.close()
        server.shutdown()
        server.server_close()
        thread.join()
