"""A local HTTP server that speaks the part of Kubeflow Pipelines' v2beta1 API that is used here.

What it accepts and sends is checked against KFP's own OpenAPI definitions, as ``kfp-server-api`` carries them: a key
that they do not know, or a value of another type, fails the test. It can also be slow, busy, closed, or short of pages.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api
import yaml

API = "/apis/v2beta1"
_SIMPLE = {"str": str, "bool": bool, "int": int, "datetime": str}


def check(model: str, content: Any, path: str = "") -> Any:
    """Return the content, or raise for what KFP's definition of the model does not allow."""
    if model in _SIMPLE:
        if not isinstance(content, _SIMPLE[model]):
            raise TypeError(f"{path}: {content!r} is no {model}")
    elif item := re.fullmatch(r"list\[(.+)\]", model):
        for index, one in enumerate(content):
            check(item[1], one, f"{path}[{index}]")
    elif model.startswith("dict(") or model == "object":
        if not isinstance(content, dict):
            raise TypeError(f"{path}: {content!r} is no object")
    else:
        definition = getattr(kfp_server_api, model)
        if values := getattr(definition, "allowable_values", None):
            if content not in values:
                raise TypeError(f"{path}: {content!r} is none of {values}")
            return content
        types = {definition.attribute_map[name]: kind for name, kind in definition.openapi_types.items()}
        for key, value in content.items():
            if key not in types:
                raise TypeError(f"{path}: {model} has no {key!r}")
            if value is not None:
                check(types[key], value, f"{path}.{key}")
    return content


class KfpServer:
    """What the server holds, and how it misbehaves.

    Attributes:
        url: Where it is.
        calls: Method and path of every request, in order.
        token: Required if set.
        page_size: Items in a page at most.
        trouble: Statuses to answer next, one a request, before anything is done.
        conflicts: Names whose creation answers 409 once, as if another caller had been first.
        delay_seconds: Before every answer.
        web_page: Answer a login page.
        uploads: Texts of the pipelines that were uploaded.
        forbidden: Calls in which this occurs are answered 403.
        refused: The first call that is, or holds, one of these is answered 403; then it is taken off.
        lost: The first call that is, or holds, one of these is done, and its answer is 502; then it is taken off.
    """

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[str] = []
        self.token: str | None = None
        self.page_size = 2
        self.trouble: list[int] = []
        self.conflicts: set[str] = set()
        self.delay_seconds = 0.0
        self.web_page = False
        self.forbidden: str | None = None
        self.refused: list[str] = []
        self.lost: list[str] = []
        self.pipelines: dict[str, dict] = {}
        self.versions: dict[str, dict] = {}
        self.experiments: dict[str, dict] = {}
        self.runs: dict[str, dict] = {}
        self.recurring: dict[str, dict] = {}
        self.killed: list[str] = []
        self.uploads: list[str] = []
        self._number = 0
        self._lock = threading.Lock()

    def changes(self) -> list[str]:
        """Return the calls that change something, ids replaced."""
        return [re.sub(r"[a-z]+-\d+", "ID", call) for call in self.calls if not call.startswith("GET")]

    def fly(self, recurring_run_id: str, state: str = "RUNNING") -> dict:
        """Let a recurring run start a run."""
        recurring = self.recurring[recurring_run_id]
        return self._add(
            self.runs,
            "run_id",
            {
                "experiment_id": recurring["experiment_id"],
                "display_name": "scheduled",
                "recurring_run_id": recurring_run_id,
                "state": state,
            },
        )

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, kind: str) -> tuple[int, Any]:
        """Return status and content."""
        with self._lock:
            for pattern, handler in ROUTES:
                if match := re.fullmatch(pattern, f"{method} {path.removeprefix(API)}"):
                    return handler(self, query, _parsed(body, kind), *match.groups())
        return 404, {"error": f"no such route: {method} {path}"}

    def _add(self, where: dict[str, dict], id_name: str, content: dict) -> dict:
        self._number += 1
        identity = f"{id_name.removesuffix('_id').replace('_', '')}-{self._number}"
        stamp = f"2026-01-01T00:{self._number // 60 % 60:02d}:{self._number % 60:02d}Z"
        where[identity] = {**content, id_name: identity, "created_at": stamp}
        return where[identity]

    def _page(self, model: str, key: str, items: list[dict], query: dict[str, str]) -> tuple[int, Any]:
        if "filter" in query:
            for predicate in json.loads(query["filter"])["predicates"]:
                items = [one for one in items if one.get(predicate["key"]) == predicate["stringValue"]]
        if query.get("sort_by") == "created_at desc":
            items = sorted(items, key=lambda one: one["created_at"], reverse=True)
        start = int(query.get("page_token") or 0)
        end = start + min(self.page_size, int(query.get("page_size", 10)))
        content = {key: items[start:end], "total_size": len(items)}
        if end < len(items):
            content["next_page_token"] = str(end)
        return 200, check(model, content)

    # One method for each endpoint; the arguments are query, content and the path's ids.

    def get_health(self, query: dict, _: Any) -> tuple[int, Any]:
        return 200, check("V2beta1GetHealthzResponse", {"multi_user": False})

    def get_pipeline(self, query: dict, _: Any, name: str) -> tuple[int, Any]:
        for pipeline in self.pipelines.values():
            if pipeline["name"] == name and pipeline.get("namespace") == query.get("namespace"):
                return 200, check("V2beta1Pipeline", pipeline)
        return 404, {"error": "pipeline not found", "code": 5, "message": f"pipeline {name} not found", "details": []}

    def create_pipeline(self, query: dict, content: dict) -> tuple[int, Any]:
        check("V2beta1Pipeline", content)
        taken = any(one["name"] == content["name"] for one in self.pipelines.values())
        if content["name"] in self.conflicts:
            self.conflicts.discard(content["name"])
            self._add(self.pipelines, "pipeline_id", content)
            taken = True
        if taken:
            return 409, {"message": "a pipeline of this name exists", "code": 6}
        return 200, check("V2beta1Pipeline", self._add(self.pipelines, "pipeline_id", content))

    def list_versions(self, query: dict, _: Any, pipeline_id: str) -> tuple[int, Any]:
        found = [one for one in self.versions.values() if one["pipeline_id"] == pipeline_id]
        return self._page("V2beta1ListPipelineVersionsResponse", "pipeline_versions", found, query)

    def upload_version(self, query: dict, content: bytes) -> tuple[int, Any]:
        if query["pipelineid"] not in self.pipelines:
            return 404, {"message": "no such pipeline"}
        spec = next(yaml.safe_load_all(content))
        assert "deploymentSpec" in spec
        self.uploads.append(content.decode())
        version = {
            "pipeline_id": query["pipelineid"],
            "name": query["name"],
            "display_name": query["name"],
            "description": query.get("description", ""),
        }
        if query["name"] in self.conflicts:
            self.conflicts.discard(query["name"])
            self._add(self.versions, "pipeline_version_id", version)
            return 409, {"message": "a version of this name exists"}
        return 200, check("V2beta1PipelineVersion", self._add(self.versions, "pipeline_version_id", version))

    def list_experiments(self, query: dict, _: Any) -> tuple[int, Any]:
        return self._page("V2beta1ListExperimentsResponse", "experiments", list(self.experiments.values()), query)

    def create_experiment(self, query: dict, content: dict) -> tuple[int, Any]:
        check("V2beta1Experiment", content)
        return 200, check("V2beta1Experiment", self._add(self.experiments, "experiment_id", content))

    def list_runs(self, query: dict, _: Any) -> tuple[int, Any]:
        found = [one for one in self.runs.values() if one["experiment_id"] == query["experiment_id"]]
        return self._page("V2beta1ListRunsResponse", "runs", found, query)

    def create_run(self, query: dict, content: dict) -> tuple[int, Any]:
        check("V2beta1Run", content)
        if missing := self._dangling(content):
            return 404, {"message": f"no such {missing}"}
        return 200, check("V2beta1Run", self._add(self.runs, "run_id", {**content, "state": "PENDING"}))

    def get_run(self, query: dict, _: Any, run_id: str) -> tuple[int, Any]:
        return 200, check("V2beta1Run", self.runs[run_id])

    def list_recurring(self, query: dict, _: Any) -> tuple[int, Any]:
        found = [one for one in self.recurring.values() if one["experiment_id"] == query["experiment_id"]]
        return self._page("V2beta1ListRecurringRunsResponse", "recurringRuns", found, query)

    def create_recurring(self, query: dict, content: dict) -> tuple[int, Any]:
        check("V2beta1RecurringRun", content)
        if missing := self._dangling(content):
            return 404, {"message": f"no such {missing}"}
        if not re.fullmatch(r"(\S+ ){5}\S+", content["trigger"]["cron_schedule"]["cron"]):
            return 400, {"message": "Schedule cron is not supported: six fields are needed"}
        made = self._add(self.recurring, "recurring_run_id", {**content, "status": f"{content['mode']}D"})
        return 200, check("V2beta1RecurringRun", made)

    def change_recurring(self, query: dict, _: Any, identity: str, verb: str) -> tuple[int, Any]:
        self.recurring[identity]["status"] = f"{verb.upper()}D"
        return 200, {}

    def delete_recurring(self, query: dict, _: Any, identity: str) -> tuple[int, Any]:
        del self.recurring[identity]
        # As KFP does: kubeflow/pipelines#7421.
        self.killed += [
            run["run_id"]
            for run in self.runs.values()
            if run.get("recurring_run_id") == identity and run["state"] in ("RUNNING", "PENDING")
        ]
        return 200, {}

    def _dangling(self, content: dict) -> str | None:
        reference = content["pipeline_version_reference"]
        if self.versions.get(reference["pipeline_version_id"], {}).get("pipeline_id") != reference["pipeline_id"]:
            return "pipeline version"
        return None if content["experiment_id"] in self.experiments else "experiment"


ROUTES = [
    (r"GET /healthz", KfpServer.get_health),
    (r"GET /pipelines/names/([^/]+)", KfpServer.get_pipeline),
    (r"POST /pipelines", KfpServer.create_pipeline),
    (r"POST /pipelines/upload_version", KfpServer.upload_version),
    (r"GET /pipelines/([^/]+)/versions", KfpServer.list_versions),
    (r"GET /experiments", KfpServer.list_experiments),
    (r"POST /experiments", KfpServer.create_experiment),
    (r"GET /runs", KfpServer.list_runs),
    (r"POST /runs", KfpServer.create_run),
    (r"GET /runs/([^/:]+)", KfpServer.get_run),
    (r"GET /recurringruns", KfpServer.list_recurring),
    (r"POST /recurringruns", KfpServer.create_recurring),
    (r"POST /recurringruns/([^/:]+):(enable|disable)", KfpServer.change_recurring),
    (r"DELETE /recurringruns/([^/:]+)", KfpServer.delete_recurring),
]


def _parsed(body: bytes, kind: str) -> Any:
    """Return JSON content, or the one file of a form."""
    if kind.startswith("multipart/"):
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        (part,) = message.iter_parts()
        assert part.get_param("name", header="content-disposition") == "uploadfile"
        return part.get_payload(decode=True)
    return json.loads(body) if body else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kfp: KfpServer

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.kfp.calls.append(f"{self.command} {parts.path.removeprefix(API)}")
        time.sleep(self.kfp.delay_seconds)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if self.kfp.trouble:
            return self._send(self.kfp.trouble.pop(0), {"message": "trouble"})
        if self.kfp.token and self.headers.get("Authorization") != f"Bearer {self.kfp.token}":
            return self._send(401, {"message": "Unauthenticated: no valid token"})
        if self.kfp.forbidden and self.kfp.forbidden in self.kfp.calls[-1]:
            return self._send(403, {"message": "forbidden"})
        if self._is_one_of(self.kfp.refused):
            return self._send(403, {"message": "forbidden"})
        if self.kfp.web_page:
            return self._send(200, None)
        try:
            status, content = self.kfp.answer(self.command, parts.path, query, body, self.headers["Content-Type"] or "")
            if self._is_one_of(self.kfp.lost):
                return self._send(502, {"message": "bad gateway"})
            return self._send(status, content)
        except (TypeError, AssertionError, KeyError) as error:
            return self._send(400, {"message": f"not by the definitions: {error!r}"})

    def _is_one_of(self, calls: list[str]) -> bool:
        """Tell whether this call is named, and take its name off."""
        this = self.kfp.calls[-1]
        for call in calls:
            if call == this or (not call.startswith("POST /") and call in this):
                calls.remove(call)
                return True
        return False

    do_GET = do_POST = do_DELETE = _handle

    def _send(self, status: int, content: Any) -> None:
        data = b"<!doctype html><title>Log in</title>" if content is None else json.dumps(content).encode()
        with suppress(BrokenPipeError, ConnectionResetError):  # the client gave up waiting
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if content is None else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def running_kfp_server() -> Iterator[KfpServer]:
    """Run a server on a free port."""
    kfp = KfpServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"kfp": kfp}))
    server.daemon_threads = True
    kfp.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield kfp
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
