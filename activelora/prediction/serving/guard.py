"""Who may ask: those who show the bearer token or, without one, programs of this machine."""

from __future__ import annotations

import hmac
import os
from http import HTTPStatus

from activelora.errors import ConfigError
from activelora.prediction.serving.refusal import RefusedError

TOKEN_VARIABLE = "ACTIVELORA_SERVE_TOKEN"  # noqa: S105 - the variable's name
MIN_TOKEN_CHARS = 16
LOOPBACK = ("127.0.0.1", "::1", "localhost")
OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")
"""What probes ask: it tells nothing of the model."""


def token_from_environment() -> str | None:
    """Return the token that clients must show; None where there is none.

    Raises:
        ConfigError: It is too short, or no header could carry it.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        return None
    if len(token) < MIN_TOKEN_CHARS or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(
            f"holds no token of at least {MIN_TOKEN_CHARS} printable ASCII characters without spaces",
            where=TOKEN_VARIABLE,
            remedy="Make one with `openssl rand -hex 24`.",
        )
    return token


def check_host(host: str, token: str | None, *, is_insecure: bool) -> None:
    """Refuse to let everybody ask by mistake.

    Args:
        host: Address that is listened at.
        token: What clients must show.
        is_insecure: Somebody has said that no token is wanted.

    Raises:
        ConfigError: Others could ask, and need show nothing.
    """
    if token is None and host not in LOOPBACK and not is_insecure:
        raise ConfigError(
            f"without a token in {TOKEN_VARIABLE} the server listens on this machine only (127.0.0.1)",
            where=f"--host {host}",
            remedy=f"Set {TOKEN_VARIABLE}, or say --insecure where something else keeps strangers out.",
        )


class Guard:
    """Looks at who asks.

    Args:
        token: What clients must show; None lets all ask.
        is_local: Whether only names of this machine may be asked for: a web page that a browser shows here could
            otherwise ask under a name of its own that leads here.
    """

    def __init__(self, token: str | None, *, is_local: bool) -> None:
        self._token = None if token is None else token.encode()
        self._is_local = is_local

    def check(self, path: str, authorization: bytes | None, host: bytes | None) -> None:
        """Let a request pass, or refuse it.

        Args:
            path: Its path.
            authorization: Header of that name.
            host: Header of that name.

        Raises:
            RefusedError: It shows no token, or a wrong one.
        """
        if path in OPEN_PATHS:
            return
        if self._token is not None:
            scheme, _, given = (authorization or b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token):
                problem = "show the server's token: `Authorization: Bearer ...`"
                raise RefusedError(HTTPStatus.UNAUTHORIZED, problem, {"WWW-Authenticate": "Bearer"})
        elif self._is_local and _name(host or b"") not in LOOPBACK:
            problem = "this server answers to names of its own machine only: 127.0.0.1 or localhost"
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, problem)


def _name(host: bytes) -> str:
    """Return the name in a Host header, without its port."""
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]
