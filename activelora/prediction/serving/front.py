"""What every request passes first: who asks is looked at, and the response is counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activelora.prediction.serving.refusal import RefusedError

if TYPE_CHECKING:
    from activelora.prediction.serving.app import Service

_UNKNOWN = "other"
"""Stands for paths that are none of the server's: anybody can think of more."""


class Front:
    """An ASGI application in front of another.

    Args:
        app: The other.
        service: Whose guard and measurements these are.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._service.is_stopping:  # the client's next request goes elsewhere
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        headers = dict(scope["headers"])
        try:
            self._service.guard.check(scope["path"], headers.get(b"authorization"), headers.get(b"host"))
        except RefusedError as refusal:
            await _refuse(refusal, send_on)
        else:
            await self._app(scope, receive, send_on)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", _UNKNOWN)
            self._service.measured.request(path, status, time.monotonic() - began)


async def _refuse(refusal: RefusedError, send: Send) -> None:
    """Answer without a look at the body. The connection ends: what the client still sends is not read."""
    import json

    body = json.dumps({"error": refusal.problem}).encode()
    headers = {**refusal.headers, "Content-Type": "application/json", "Connection": "close"}
    headers["Content-Length"] = str(len(body))
    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(refusal.status), "headers": lines})
    await send({"type": "http.response.body", "body": body})
