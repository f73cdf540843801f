"""A fake of an OpenAI-compatible endpoint: real sockets and HTTP, answers by rule. No model."""

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeChatServer(ThreadingHTTPServer):
    """Answers `human` to everything, unless ``behave`` (item fields, number of this request) says otherwise.

    ``behave`` returns a reply's text, or (status, body, headers), or calls anything it likes first.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []
        self.headers_seen = []
        self.behave = lambda item, number: '{"label": "human"}'
        self.usage = {"prompt_tokens": 100, "completion_tokens": 10}
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:  # type: ignore[attr-defined]
            server.requests.append(document)  # type: ignore[attr-defined]
            server.headers_seen.append(dict(self.headers))  # type: ignore[attr-defined]
            number = len(server.requests)  # type: ignore[attr-defined]
        assert self.path == "/v1/chat/completions"
        found = server.behave(json.loads(document["messages"][1]["content"])["item"], number)  # type: ignore[attr-defined]
        if isinstance(found, tuple):
            status, content, headers = found
        else:
            body = {"choices": [{"message": {"role": "assistant", "content": found}}], "usage": server.usage}  # type: ignore[attr-defined]
            status, content, headers = 200, json.dumps(body).encode(), {}
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass

    def handle(self):
        with suppress(BrokenPipeError, ConnectionResetError):  # the client gave up, as it should
            super().handle()


@contextmanager
def fake_chat_server():
    with FakeChatServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
