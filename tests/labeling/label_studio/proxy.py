"""A small HTTP proxy in front of the server: it can be slow, answer with errors, or kill the one who asks."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3

Trouble = Callable[["Call"], "Answer | None"]
"""Returns what is answered in the server's place; None passes the call on."""
_DROPPED = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "content-encoding"}


@dataclass(frozen=True)
class Call:
    number: int
    method: str
    path: str


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"detail": "trouble"}'


@dataclass
class Proxy:
    """A proxy to a server.

    Attributes:
        target: The server's address.
        before: Trouble in the place of a call.
        after: Called when the server has done what was asked, before the answer goes back.
        calls: What was asked.
    """

    target: str
    before: Trouble = lambda call: None
    after: Callable[[Call], None] = lambda call: None
    calls: list[Call] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        self.before, self.after = (lambda call: None), (lambda call: None)
        self.calls.clear()

    def kill_after(self, number: int, victim: int) -> None:
        """Kill a process when its call of this number, from 1, has been done by the server."""

        def kill(call: Call) -> None:
            if call.number == number:
                os.kill(victim, signal.SIGKILL)

        self.after = kill


def slow(seconds: float) -> Trouble:
    def wait(call: Call) -> None:
        time.sleep(seconds)

    return wait


@contextmanager
def running_proxy(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    pool = urllib3.PoolManager(retries=False, timeout=120.0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with proxy.lock:
                call = Call(len(proxy.calls) + 1, self.command, self.path)
                proxy.calls.append(call)
            answer = proxy.before(call)
            if answer is None:
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _DROPPED}
                real = pool.request(
                    self.command, proxy.target + self.path, body=body or None, headers=headers, redirect=False
                )
                kept = {name: value for name, value in real.headers.items() if name.lower() not in _DROPPED}
                answer = Answer(real.status, kept, real.data)
                proxy.after(call)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PATCH = do_DELETE = _pass

        def log_message(self, *arguments: Any) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, BrokenPipeError):
                self.close_connection = True  # who asked was killed

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
