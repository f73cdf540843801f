"""A webhook on loopback that keeps what it gets, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hook(BaseHTTPRequestHandler):
    """Keeps every message; answers with the statuses in turn, then with 200.

    Attributes:
        statuses: What to answer next.
        got: The messages.
        location: Sent as the header of that name, if it is set.
        url: Where it listens; the path is a secret.
    """

    statuses: list[int]
    got: list[dict]
    url: str
    location: str = ""

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).got.append(content)
        self.send_response(type(self).statuses.pop(0) if type(self).statuses else 200)
        self.send_header("Content-Length", "0")
        if type(self).location:
            self.send_header("Location", type(self).location)
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def webhook() -> Iterator[type[Hook]]:
    """Serve a webhook of its own."""
    handler = type("OneHook", (Hook,), {"statuses": [], "got": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    handler.url = f"http://127.0.0.1:{server.server_address[1]}/secret-path"  # type: ignore[attr-defined]
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
