"""A proxy before a real S3 server, that loses, cuts or replaces the answers it is told to."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PASS, LOSE, CUT = "pass", "lose", "cut"


class FaultyProxy(ThreadingHTTPServer):
    """Treats one request after the other as `plan` says, and passes on the rest.

    `lose`: the server does it, and the answer never arrives. `cut`: half of the body arrives. `500 SomeCode`: the
    server never sees it, and this is the answer.
    """

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(endpoint)
        self.plan: list[str] = []
        self.requests: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        treatment = self.server.plan.pop(0) if self.server.plan else PASS
        self.server.requests.append(f"{self.command} {treatment}")
        if treatment[0].isdigit():
            status, code = treatment.split()
            secret = "<Message>the secret is test-secret-key of test-access-key</Message>"
            answer = f"<?xml version='1.0'?><Error><Code>{code}</Code>{secret}</Error>".encode()
            self._answer(int(status), {"Content-Type": "application/xml"}, b"" if treatment.startswith("2") else answer)
            return
        upstream = http.client.HTTPConnection(self.server.upstream.hostname, self.server.upstream.port)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        upstream.request(self.command, self.path, body, headers)
        response = upstream.getresponse()
        content = response.read()
        upstream.close()
        if treatment == LOSE:
            self.close_connection = True
            return
        self._answer(response.status, dict(response.getheaders()), content, cut=treatment == CUT)

    def _answer(self, status: int, headers: dict[str, str], content: bytes, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "date", "server", "connection"):
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running_proxy(endpoint: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(endpoint) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
