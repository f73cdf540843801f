"""Sends the requests of KFP's generated client: with time-outs, bounded retries, and not at all in a dry run."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3
from kfp_server_api.rest import RESTResponse

from activelora.http import HttpClient, Limits, NoResponseError, Response
from pipelines.cluster.connection import Connection
from pipelines.cluster.errors import REMEDIES, ClusterError, refused, unreachable

CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 5.0, 30.0, 300.0
TRIES = 4
NOWHERE = "http://kubeflow.invalid"
"""Stands for the server where a dry run is given none."""


@dataclass(frozen=True)
class Request:
    """A request that changes something.

    Attributes:
        method: HTTP method.
        url: URL with its query.
        body: JSON content, or None.
        files: Form fields of an upload: names with size and digest.
    """

    method: str
    url: str
    body: Any = None
    files: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the request for reading: the first line, then the content."""
        lines = [f"{self.method} {self.url}", *(f"  {name}: {value}" for name, value in self.files.items())]
        if self.body is not None:
            lines += ["  " + line for line in json.dumps(self.body, indent=2).splitlines()]
        return "\n".join(lines)


class Transport:
    """The `rest_client` of a ``kfp_server_api.ApiClient``.

    Args:
        connection: Address and credentials of the server.
        dry: Send nothing that changes anything, and keep it in ``planned``. Reads are sent, if there is an endpoint.
        read_seconds: Seconds that an answer may take.
        pause_seconds: Pause before the first repetition; doubles each time.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        dry: bool = False,
        read_seconds: float = READ_SECONDS,
        pause_seconds: float = 0.5,
    ) -> None:
        self.planned: list[Request] = []
        self._connection = connection
        self._dry = dry
        limits = Limits(CONNECT_SECONDS, read_seconds, total_seconds=TOTAL_SECONDS)
        self._http = HttpClient(limits, num_tries=TRIES, pause_seconds=pause_seconds, ca_path=connection.ca_path)

    def GET(self, url: str, **arguments: Any) -> RESTResponse:  # noqa: N802 - the generated client's name
        """Read."""
        return self._request("GET", url, arguments)

    def POST(self, url: str, **arguments: Any) -> RESTResponse:  # noqa: N802 - the generated client's name
        """Create or change."""
        return self._request("POST", url, arguments)

    def DELETE(self, url: str, **arguments: Any) -> RESTResponse:  # noqa: N802 - the generated client's name
        """Remove."""
        return self._request("DELETE", url, arguments)

    def _request(self, method: str, url: str, arguments: dict[str, Any]) -> RESTResponse:
        query = [(key, value) for key, value in arguments.get("query_params") or [] if value is not None]
        address = f"{url}?{urlencode(query)}" if query else url
        if method != "GET" and self._dry:
            return self._plan(method, address, arguments)
        if self._connection.endpoint is None:
            return _absent(method, url)
        return self._send(method, address, arguments)

    def _send(self, method: str, address: str, arguments: dict[str, Any]) -> RESTResponse:
        content = self._content(arguments)
        where = address.partition("?")[0]
        try:
            answer = self._http.request(method, address, **content)
        except NoResponseError as error:
            raise unreachable(error.problem, method, where, error.num_tries) from None
        if not 200 <= answer.status < 300:
            raise refused(answer.status, answer.content.decode(errors="replace"), method, where)
        return _json_only(answer, method, where)

    def _content(self, arguments: dict[str, Any]) -> dict[str, Any]:
        headers = {key: value for key, value in (arguments.get("headers") or {}).items() if key != "Content-Type"}
        if token := self._connection.token():
            headers["Authorization"] = f"Bearer {token}"
        if fields := arguments.get("post_params"):
            return {"headers": headers, "fields": fields, "encode_multipart": True}
        body = arguments.get("body")
        if body is None:
            return {"headers": headers}
        return {"headers": {**headers, "Content-Type": "application/json"}, "body": json.dumps(body).encode()}

    def _plan(self, method: str, address: str, arguments: dict[str, Any]) -> RESTResponse:
        """Keep the request, and answer as the server would, with a placeholder for the id that it would give."""
        files = {
            name: f"{file[0]}, {len(file[1])} bytes, sha256 {hashlib.sha256(file[1]).hexdigest()}"
            for name, file in arguments.get("post_params") or []
        }
        body = arguments.get("body")
        self.planned.append(Request(method, address, body, files))
        kind = address.partition("?")[0].rpartition("/")[2]
        ids = {
            "pipelines": "pipeline_id",
            "upload_version": "pipeline_version_id",
            "experiments": "experiment_id",
            "runs": "run_id",
            "recurringruns": "recurring_run_id",
        }
        name = ids.get(kind)
        return _answer({**(body or {}), **({name: f"<{name}>"} if name else {})})


def _json_only(answer: Response, method: str, where: str) -> RESTResponse:
    """Return the answer, or refuse a web page: what a login in front of the API answers, with status 200."""
    if answer.content and not answer.content.lstrip().startswith((b"{", b"[")):
        raise ClusterError(
            f"{method} was answered with something that is not JSON, perhaps a login page",
            where=where,
            remedy=REMEDIES[401],
        )
    return _rest(answer.content, answer.status)


def _absent(method: str, url: str) -> RESTResponse:
    """Answer as a server on which there is nothing."""
    if url.rpartition("/")[0].endswith("/names"):
        raise refused(404, "", method, url)
    return _answer({})


def _answer(content: dict[str, Any]) -> RESTResponse:
    return _rest(json.dumps(content).encode(), 200)


def _rest(content: bytes, status: int) -> RESTResponse:
    headers = {"Content-Type": "application/json"}
    return RESTResponse(urllib3.HTTPResponse(body=io.BytesIO(content), status=status, headers=headers))
