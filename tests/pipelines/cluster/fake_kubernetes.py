"""A FAKE of Kubernetes' API server: it answers from a table of paths. No cluster can run on a test machine.

It shows that the doctor asks the right paths and reads the answers rightly; what real servers answer is tested by the
tests marked `cluster`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

RUNS = "/api/v1/namespaces/kubeflow"


class FakeKubernetes:
    """What the fake holds.

    Attributes:
        objects: Answers by path.
        forbidden: Paths that answer 403.
        denied: Pairs of a verb and a resource that access reviews deny.
        reviews: The access reviews that were asked.
        requests: ``METHOD path?query`` of every request.
        seconds_ahead: How far its clock is ahead of this machine's.
        extension: Answers before the table does, or leaves it to the table with None.
    """

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[str, Any] = {}
        self.forbidden: set[str] = set()
        self.denied: set[tuple[str, str]] = set()
        self.reviews: list[dict] = []
        self.requests: list[str] = []
        self.seconds_ahead = 0.0
        self.extension: Callable[[str, str, bytes], tuple[int, Any] | None] | None = None

    def put_keys(self, kind: str, name: str, *keys: str) -> None:
        self.objects[f"{RUNS}/{kind}/{name}"] = {"metadata": {"name": name}, "data": dict.fromkeys(keys, "c2VjcmV0")}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path in self.forbidden:
            return 403, {"kind": "Status", "reason": "Forbidden", "message": f"{path} is forbidden", "code": 403}
        if self.extension and (found := self.extension(method, path, body)):
            return found
        if method == "POST" and path.endswith("subjectaccessreviews"):
            review = json.loads(body)
            self.reviews.append(review)
            asked = review["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            return 201, {**review, "status": {"allowed": (asked["verb"], resource) not in self.denied}}
        if path in self.objects:
            return 200, self.objects[path]
        return 404, {"kind": "Status", "reason": "NotFound", "code": 404}

    def write_kubeconfig(self, folder: Path) -> Path:
        path = folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        }
        path.write_text(yaml.safe_dump(document))
        return path


class _Handler(BaseHTTPRequestHandler):
    fake: FakeKubernetes

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fake.requests.append(f"{self.command} {self.path}")
        status, content = self.fake.answer(self.command, urlsplit(self.path).path, body)
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _handle

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((time.time() if timestamp is None else timestamp) + self.fake.seconds_ahead)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def running_fake_kubernetes() -> Iterator[FakeKubernetes]:
    """Run a fake on a free port."""
    fake = FakeKubernetes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def node(name: str, *, cpu: str = "16", memory: str = "64Gi", gpus: int = 0, **more: Any) -> dict:
    """Return a node as Kubernetes lists it."""
    allocatable = {"cpu": cpu, "memory": memory, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    labels, spec = more.pop("labels", {}), more
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": allocatable}}


def deployment(image: str, **environment: str | None) -> dict:
    """Return a deployment as Kubernetes answers it; a variable that is None comes from elsewhere."""
    env = [
        {"name": name, "valueFrom": {}} if value is None else {"name": name, "value": value}
        for name, value in environment.items()
    ]
    return {"spec": {"template": {"spec": {"containers": [{"image": image, "env": env}]}}}}
