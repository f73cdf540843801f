"""The receiver: it looks at a secret in a header, triggers a tick, and reads nothing of what it is sent.

A webhook's content is not believed: it only says that something may have changed. So nothing of it is parsed, logged or
kept. Every connection has a size, a time and a number of others beside it that it may not exceed.
"""

from __future__ import annotations

import hmac
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

logger = logging.getLogger(__name__)
HOOK_PATH, HEALTH_PATH = "/webhook", "/healthz"
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Limits:
    """What one sender may do.

    Attributes:
        body_bytes: The largest body. Label Studio sends the task with each annotation.
        connection_seconds: The longest that a connection may last, whatever it does.
        num_connections: Number of connections at a time. One more closes the oldest that has not shown the secret yet,
            or is closed itself where all have.
        per_second: Number of accepted webhooks a second, in the long run.
        burst: Number of accepted webhooks at once.
    """

    body_bytes: int = 4 << 20
    connection_seconds: float = 10.0
    num_connections: int = 32
    per_second: float = 20.0
    burst: int = 200


class RateLimit:
    """A bucket of tokens. Threads may share it.

    Args:
        per_second: Tokens that come back.
        burst: Tokens that it holds.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a token, if there is one."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class WakeServer(ThreadingHTTPServer):
    """Takes webhooks.

    Args:
        address: Host and port; port 0 takes a free one.
        header: The header that holds the secret.
        secret: What it must say.
        trigger: Function that is called for each webhook with the right secret; must return at once.
        is_alive: Whether what is behind ``trigger`` works, for the health check.
        limits: What a sender may do.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        header: str,
        secret: str,
        trigger: Callable[[], None],
        is_alive: Callable[[], bool],
        limits: Limits | None = None,
    ) -> None:
        self.header = header
        self.secret = secret.encode()
        self.trigger = trigger
        self.is_alive = is_alive
        self.limits = limits or Limits()
        self.rate = RateLimit(self.limits.per_second, self.limits.burst)
        self._connections: dict[socket.socket, bool] = {}  # whether each has shown the secret, the oldest first
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, unless there are too many."""
        if not self._make_room(request):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._leave(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and cut it off when its time is up: a sender may drip a byte now and then."""
        timer = threading.Timer(self.limits.connection_seconds, _cut_off, (request,))
        timer.daemon = True
        try:
            timer.start()
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._leave(request)

    def prove(self, connection: socket.socket) -> None:
        """Keep a connection that has shown the secret from being closed to make room."""
        with self._lock:
            if connection in self._connections:
                self._connections[connection] = True

    def _make_room(self, connection: socket.socket) -> bool:
        with self._lock:
            if len(self._connections) >= self.limits.num_connections:
                oldest = next((one for one, is_proven in self._connections.items() if not is_proven), None)
                if oldest is None:
                    return False
                del self._connections[oldest]
                _cut_off(oldest)
            self._connections[connection] = False
            return True

    def _leave(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.pop(connection, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in the log that a connection broke."""
        logger.debug("a connection broke", exc_info=True)


def _cut_off(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("a connection had ended by itself when it was to be cut off")


class _Handler(BaseHTTPRequestHandler):
    server: WakeServer
    timeout = 5.0

    def version_string(self) -> str:
        """Say no version."""
        return "activelora-wake"

    def do_GET(self) -> None:
        """Answer the health check."""
        if self.path != HEALTH_PATH:
            self._answer(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.OK if self.server.is_alive() else HTTPStatus.SERVICE_UNAVAILABLE)

    def do_POST(self) -> None:
        """Take a webhook."""
        given = self.headers.get(self.server.header, "").encode("latin-1", errors="replace")
        if is_known := hmac.compare_digest(given, self.server.secret):
            self.server.prove(self.connection)
        if self.path != HOOK_PATH:
            self._answer(HTTPStatus.NOT_FOUND)
        elif not is_known:
            self._answer(HTTPStatus.UNAUTHORIZED)
        elif (size := self._body_size()) is None:
            self._answer(HTTPStatus.LENGTH_REQUIRED)
        elif size > self.server.limits.body_bytes:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif not self.server.rate.take():
            self._answer(HTTPStatus.TOO_MANY_REQUESTS)
        else:
            self.server.trigger()
            self._skip(size)
            self._answer(HTTPStatus.ACCEPTED)

    def _body_size(self) -> int | None:
        text = self.headers.get("Content-Length", "")
        is_plain = text.isascii() and text.isdecimal() and len(text) < 16 and "Transfer-Encoding" not in self.headers
        return int(text) if is_plain else None

    def _skip(self, size: int) -> None:
        """Read the body and forget it: a sender whose words nobody takes sees a broken connection."""
        while size > 0 and (part := self.rfile.read(min(size, _CHUNK_BYTES))):
            size -= len(part)

    def _answer(self, status: HTTPStatus) -> None:
        content = f"{status.phrase}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log requests for those who look for trouble only; never headers or bodies."""
        logger.debug("%s %s", self.address_string(), format % arguments)
