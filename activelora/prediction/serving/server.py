"""The process around the paths: listening, TLS, and an end in order."""

from __future__ import annotations

import logging
import math
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from activelora.errors import ConfigError
from activelora.prediction.serving.app import Service, make_app

logger = logging.getLogger(__name__)
_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 75
"""Longer than load balancers keep a connection: the one that closes first should be the one that asks."""
_MARGIN_SECONDS = 5.0


@dataclass(frozen=True)
class Listening:
    """Where the server listens.

    Attributes:
        host: Address.
        port: Port; 0 takes a free one.
        certificate: File of the certificate and those above it, PEM; None speaks plain HTTP.
        key: File of its private key.
        drain_seconds: Seconds that it answers on after it was told to stop, so that whoever sends requests notices.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    certificate: Path | None = None
    key: Path | None = None
    drain_seconds: float = 0.0

    def check(self) -> None:
        """Refuse files that no TLS could be spoken with.

        Raises:
            ConfigError: One is missing, cannot be read, or does not fit the other.
        """
        if (self.certificate is None) != (self.key is None):
            missing = "--tls-key" if self.key is None else "--tls-cert"
            raise ConfigError("TLS needs a certificate and its key", where=missing, remedy="Give both files.")
        if self.certificate is None:
            return
        where = f"--tls-cert {self.certificate} --tls-key {self.key}"
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.certificate, self.key, _no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            said = (isinstance(error, OSError) and error.strerror) or str(error)
            remedy = "Give PEM files that belong together, the key not encrypted."
            raise ConfigError(f"cannot be used: {said}", where=where, remedy=remedy) from None

    def bind(self) -> socket.socket:
        """Return the socket that it listens with.

        Raises:
            ConfigError: The address is taken or none of this machine's.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=_BACKLOG)
        except OSError as error:
            where = f"{self.host}:{self.port}"
            raise ConfigError(f"cannot listen: {error.strerror or error}", where=where) from error


def serve(service: Service, listening: Listening, listener: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM, and then those that have come.

    Args:
        service: What the paths work with.
        listening: The address, and its certificate.
        listener: What :meth:`Listening.bind` returned.
    """
    longest_seconds = service.limits.answer_seconds + service.limits.body_seconds + _MARGIN_SECONDS
    config = uvicorn.Config(
        make_app(service),
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(longest_seconds),
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.key,
    )
    scheme = "http" if listening.certificate is None else "https"
    host, port = listener.getsockname()[:2]
    logger.info("listening at %s://%s:%d", scheme, f"[{host}]" if ":" in host else host, port)
    _Server(config, service, listening.drain_seconds).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends in two steps: not ready for more, then deaf. A second signal skips the first step."""

    def __init__(self, config: uvicorn.Config, service: Service, drain_seconds: float) -> None:
        super().__init__(config)
        self._service = service
        self._drain_seconds = drain_seconds
        self._end_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal. It is not raised again at the end, as uvicorn would: the command ends as it should."""
        self._service.is_stopping = True
        if self._end_at is None:
            self._end_at = time.monotonic() + self._drain_seconds
        elif self.should_exit:
            self.force_exit = True
        else:
            self._end_at = time.monotonic()

    async def on_tick(self, counter: int) -> bool:
        """Tell whether it is time to end; asked ten times a second."""
        if self._end_at is not None and time.monotonic() >= self._end_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has come, and end.

        Connections without an open question are cut: over TLS, a client that does not look at them could hold up the
        end for half a minute.
        """
        for connection in list(self.server_state.connections):
            cycle, transport = getattr(connection, "cycle", None), connection.transport
            if (cycle is None or cycle.response_complete) and transport.get_extra_info("ssl_object") is not None:
                transport.abort()
        await super().shutdown(sockets)


def _no_password() -> str:
    raise ValueError("the key is encrypted")
