"""The HTTP server's paths: the open inference protocol, the simple form, health and metrics."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from activelora.code_version import code_version
from activelora.prediction.serving import open_inference, simple_form
from activelora.prediction.serving.batching import Batcher, Reply, Wish
from activelora.prediction.serving.docs_page import HEADERS, docs_page
from activelora.prediction.serving.documented import described
from activelora.prediction.serving.front import Front
from activelora.prediction.serving.guard import Guard
from activelora.prediction.serving.json_body import check_headers, check_rows, parse_object, read_body
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.measured import CONTENT_TYPE, Measured
from activelora.prediction.serving.refusal import RefusedError, busy
from activelora.prediction.serving.request_log import RequestLog

logger = logging.getLogger(__name__)
_FAULT = "the server could not answer: its log says why"
Read = Callable[[Mapping[str, Any], Limits], tuple[list[dict[str, Any]], Wish]]


@dataclass
class Service:
    """What the paths work with.

    Attributes:
        batcher: Answers rows.
        limits: What a request may have.
        measured: Takes what is measured.
        guard: Looks at who asks.
        log: Takes the rows of requests for the pool, if it is wanted.
        is_stopping: Whether the server has been told to stop: it answers on, and is not ready for more.
        num_requests: Number of requests that are being read or answered.
    """

    batcher: Batcher
    limits: Limits
    measured: Measured
    guard: Guard
    log: RequestLog | None = None
    is_stopping: bool = False
    num_requests: int = field(default=0, init=False)

    async def answer(self, request: Request, read: Read) -> tuple[dict[str, Any], Reply]:
        """Return a request's document, and the answers to its rows.

        Args:
            request: The request.
            read: Returns the rows of its document, and what it wants to know.

        Raises:
            RefusedError: It gets no answer.
        """
        check_headers(request.headers, self.limits)
        if self.num_requests >= self.limits.num_requests:
            raise busy(f"{self.num_requests} requests are being answered already")
        self.num_requests += 1
        try:
            document = parse_object(await read_body(request.stream(), self.limits))
            rows, wish = read(document, self.limits)
            check_rows(rows, self.batcher.served.columns, self.limits)
            reply = await self._ask(rows, wish)
        finally:
            self.num_requests -= 1
        if self.log is not None:
            self.log.add(rows)
        self.measured.rows.inc(len(rows))
        self.measured.review_rows.inc(sum(bool(answer.get("review")) for answer in reply.answers))
        return document, reply

    async def _ask(self, rows: Sequence[Mapping[str, Any]], wish: Wish) -> Reply:
        future = self.batcher.ask(rows, wish)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.limits.answer_seconds)
        except RefusedError:
            raise
        except TimeoutError:
            problem = f"no answer within {self.limits.answer_seconds:g} seconds; send fewer rows, or try again later"
            raise RefusedError(HTTPStatus.GATEWAY_TIMEOUT, problem) from None
        except Exception:
            raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, _FAULT) from None  # the batcher has logged it

    @property
    def is_ready(self) -> bool:
        """Whether requests are answered, and more may come."""
        return self.batcher.is_alive and not self.is_stopping


def make_app(service: Service) -> Front:
    """Return the server's paths, behind what guards and counts them."""
    app = FastAPI(title="ActiveLoRA", version=code_version(), docs_url=None, redoc_url=None)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(Exception, _failed)
    _add_health(app, service)
    _add_models(app, service)
    _add_docs(app, service)
    app.add_api_route("/predict", _predict(service), methods=["POST"], **described("predict", service.batcher.served))
    return Front(app, service)


def _predict(service: Service) -> Callable[[Request], Awaitable[Response]]:
    async def predict(request: Request) -> Response:
        """Answer rows, as objects of columns and values."""
        _, reply = await service.answer(request, simple_form.read_request)
        return _json(simple_form.response(reply))

    return predict


def _add_docs(app: FastAPI, service: Service) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        page = docs_page(app.openapi(), service.batcher.served.about)
        return Response(page, headers=HEADERS, media_type="text/html")


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/v2/health/live")
    async def live() -> Response:
        """Tell whether the server works."""
        return _json({"live": service.batcher.is_alive}, service.batcher.is_alive)

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        """Tell whether requests may come."""
        return _json({"ready": service.is_ready}, service.is_ready)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return what the server measures, for Prometheus."""
        return Response(service.measured.text(), headers={"Content-Type": CONTENT_TYPE})

    @app.get("/v2")
    async def server() -> Response:
        """Name the server."""
        return _json({"name": "activelora", "version": code_version(), "extensions": []})


def _add_models(app: FastAPI, service: Service) -> None:
    def check(name: str, version: str | None) -> None:
        about = service.batcher.served.about
        if name != about["name"]:
            raise RefusedError(
                HTTPStatus.NOT_FOUND, f"there is no model `{name[:80]}`; this server has `{about['name']}`"
            )
        if version not in (None, about["version"]):
            problem = f"version {version[:80]} is not served; it is version {about['version']} now"
            raise RefusedError(HTTPStatus.NOT_FOUND, problem)

    async def metadata(name: str, version: str | None = None) -> Response:
        """Tell the model's columns and outputs."""
        check(name, version)
        return _json(open_inference.metadata(service.batcher.served))

    async def ready(name: str, version: str | None = None) -> Response:
        """Tell whether the model may be asked."""
        check(name, version)
        return _json({"name": name, "ready": service.is_ready}, service.is_ready)

    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        """Answer rows, as a tensor for each column."""
        check(name, version)
        document, reply = await service.answer(request, open_inference.read_request)
        return _json(open_inference.response(document, reply.answers, reply.about))

    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        app.add_api_route(path, metadata, methods=["GET"])
        app.add_api_route(f"{path}/ready", ready, methods=["GET"])
        app.add_api_route(f"{path}/infer", infer, methods=["POST"], **described("infer", service.batcher.served))


def _json(document: Mapping[str, Any], is_fine: bool = True) -> Response:
    status = HTTPStatus.OK if is_fine else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(json.dumps(document, ensure_ascii=False, allow_nan=False), status, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - what it is registered for
    return Response(
        json.dumps({"error": error.problem}, ensure_ascii=False),
        error.status,
        headers=error.headers,
        media_type="application/json",
    )


async def _unknown(request: Request, error: Exception) -> Response:
    """Answer what no path takes."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    problem = f"{request.method} {request.url.path[:200]}: {HTTPStatus(error.status_code).phrase.lower()}"
    return await _refused(request, RefusedError(HTTPStatus(error.status_code), problem, dict(error.headers or {})))


async def _failed(request: Request, error: Exception) -> Response:
    """Answer where the server is at fault; its log says how."""
    return await _refused(request, RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, _FAULT))
