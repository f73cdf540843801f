"""HTTP for every client here: verified TLS, time-outs, bounded repetitions, a largest answer, no secret in errors.

What is repeated: always what never reached the server and what it refused unread (429); after other trouble that
passes (5xx, silence, a broken connection) only what may be done twice. ``Retry-After`` is heeded, within reason.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions

from activelora.errors import ActiveLoRAError

LONGEST_PAUSE_SECONDS = 60
"""Longest time between two tries, also where ``Retry-After`` asks for more."""
_CHUNK_BYTES = 1 << 16
_UNSENT = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError)
_PASSING = (*_UNSENT, exceptions.ReadTimeoutError, exceptions.ProtocolError)


@dataclass(frozen=True)
class Limits:
    """How long a request may take, and how much it may bring.

    Attributes:
        connect_seconds: Longest wait for a connection.
        read_seconds: Longest silence of the server.
        answer_seconds: Longest time of one try, looked at between two pieces of the answer.
        total_seconds: Longest time of all tries with their pauses: none begins later.
        max_bytes: Largest content of an answer.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 15.0
    answer_seconds: float = math.inf
    total_seconds: float = math.inf
    max_bytes: int = 256 << 20


@dataclass(frozen=True)
class Response:
    """A whole answer, whatever its status.

    Attributes:
        status: HTTP status.
        headers: What the answer's headers say; upper and lower case of their names are one.
        content: Bytes of the body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


class NoResponseError(ActiveLoRAError):
    """There was no whole answer. The words hold neither address nor header, either of which may be a secret.

    Args:
        problem: What went wrong, in plain words.
        num_tries: Number of requests that were sent.
        may_have_arrived: Whether the server may have done what was asked.
        is_slow: Whether it was silent, or took too long.
    """

    def __init__(self, problem: str, num_tries: int, *, may_have_arrived: bool, is_slow: bool) -> None:
        super().__init__(problem)
        self.num_tries = num_tries
        self.may_have_arrived = may_have_arrived
        self.is_slow = is_slow


class _TooSlowError(exceptions.ProtocolError):
    """The answer took longer than a try may."""


class _TooLargeError(exceptions.HTTPError):
    """The answer is larger than it may be."""


class _Policy(urllib3.Retry):
    """urllib3's retries, with 429 for every method, and a pause before the first repetition too."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        return status_code == 429 or super().is_retry(method, status_code, has_retry_after)

    def get_backoff_time(self) -> float:
        return min(self.backoff_max, self.backoff_factor * 2.0 ** (len(self.history) - 1))

    def pause(self, outcome: Response | exceptions.HTTPError) -> float:
        asked = outcome.headers.get("Retry-After") if isinstance(outcome, Response) else None
        try:
            return self.get_backoff_time() if asked is None else self.parse_retry_after(asked)
        except exceptions.InvalidHeader:
            return self.get_backoff_time()


class HttpClient:
    """Sends requests, and waits for their ends. Threads may share one.

    Args:
        limits: How long and how much.
        num_tries: Number of times that a request is sent at most.
        pause_seconds: Time before the first repetition; doubles each time.
        num_redirects: Number of redirects that are followed. Another host is not shown the ``Authorization``.
        ca_path: File with certificates to trust instead of the system's.
        num_connections: Number of connections to a server that are kept.
        heeds_proxies: Whether proxies that the environment names (``HTTPS_PROXY``, ``NO_PROXY``) are used.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        num_tries: int = 1,
        pause_seconds: float = 0.5,
        num_redirects: int = 0,
        ca_path: str | None = None,
        num_connections: int = 1,
        heeds_proxies: bool = False,
    ) -> None:
        self._limits = limits
        self._num_tries = num_tries
        self._pause_seconds = pause_seconds
        self._num_redirects = num_redirects
        self._heeds_proxies = heeds_proxies
        self._settings: dict[str, Any] = {"maxsize": num_connections, "ca_certs": ca_path}
        self._direct = urllib3.PoolManager(**self._settings)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        is_safe: bool = False,
        **content: Any,
    ) -> Response:
        """Send, and again after trouble that passes; return the last answer, whatever its status.

        Args:
            method: HTTP method.
            url: Address, with its query.
            headers: What the request's headers say.
            is_safe: Whether to do it twice is to do it once. GET and HEAD are safe in any case.
            content: ``body``, or ``fields`` of a form, as urllib3 takes them.

        Raises:
            NoResponseError: There was no whole answer.
        """
        policy = _Policy(
            self._num_tries - 1,
            allowed_methods=None if is_safe else frozenset(("GET", "HEAD")),
            status_forcelist=range(500, 600),
            backoff_factor=self._pause_seconds,
            backoff_max=LONGEST_PAUSE_SECONDS,
            retry_after_max=LONGEST_PAUSE_SECONDS,
        )
        until = time.monotonic() + self._limits.total_seconds
        while True:
            outcome = self._try(method, url, until, {"headers": dict(headers or {}), **content})
            num_tries = len(policy.history) + 1
            following = _after(policy, method, outcome)
            pause = following.pause(outcome) if following else 0.0
            if following is None or time.monotonic() + pause >= until:
                if isinstance(outcome, Response):
                    return outcome
                raise _explained(outcome, num_tries, self._limits) from None
            policy = following
            time.sleep(pause)

    def _try(self, method: str, url: str, until: float, content: dict[str, Any]) -> Response | exceptions.HTTPError:
        limits, now = self._limits, time.monotonic()
        left = max(until - now, 0.001)
        timeout = urllib3.Timeout(connect=min(limits.connect_seconds, left), read=min(limits.read_seconds, left))
        many = self._num_redirects
        retries = urllib3.Retry(many, connect=0, read=0, other=0, respect_retry_after_header=False) if many else False
        try:
            if not url.lower().startswith(("https://", "http://")):
                raise exceptions.LocationValueError
            answer = self._pool(url).request(
                method,
                url,
                timeout=timeout,
                retries=retries,
                redirect=many > 0,
                preload_content=False,
                **content,
            )
            try:
                return Response(
                    answer.status, answer.headers, self._read(answer, min(until, now + limits.answer_seconds))
                )
            finally:
                answer.close()
        except exceptions.HTTPError as error:
            return _cause(error)
        except ValueError:  # its words hold the header or the address
            return exceptions.LocationValueError()
        except OSError as error:
            return exceptions.ProtocolError(type(error).__name__)

    def _read(self, answer: urllib3.BaseHTTPResponse, until: float) -> bytes:
        parts, size = [], 0
        while part := answer.read1(_CHUNK_BYTES):
            parts.append(part)
            size += len(part)
            if size > self._limits.max_bytes:
                raise _TooLargeError
            if time.monotonic() > until:
                raise _TooSlowError
        return b"".join(parts)

    def _pool(self, url: str) -> urllib3.PoolManager:
        if not self._heeds_proxies:
            return self._direct
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return self._direct
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        user = urlsplit(proxy)
        login = f"{unquote(user.username)}:{unquote(user.password or '')}" if user.username else None
        return urllib3.ProxyManager(proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=login), **self._settings)


def _after(policy: _Policy, method: str, outcome: Response | exceptions.HTTPError) -> _Policy | None:
    """Return the policy for the next try; None if this one was the last."""
    if isinstance(outcome, Response):
        error, is_passing = None, policy.is_retry(method, outcome.status, "Retry-After" in outcome.headers)
    else:
        error, is_passing = outcome, isinstance(outcome, _PASSING)
    if not is_passing:
        return None
    try:
        return policy.increment(method, error=error)
    except exceptions.HTTPError:  # there is no try left, or it may have arrived and must not arrive twice
        return None


def _cause(error: exceptions.HTTPError) -> exceptions.HTTPError:
    """Return what is behind urllib3's own wrapping."""
    inner: object = None
    if isinstance(error, exceptions.MaxRetryError):
        inner = error.reason
    elif isinstance(error, exceptions.ProxyError):
        inner = error.original_error
    return _cause(inner) if isinstance(inner, exceptions.HTTPError) else error


def _explained(error: exceptions.HTTPError, num_tries: int, limits: Limits) -> NoResponseError:
    may_have_arrived, is_slow = False, False
    if isinstance(error, exceptions.NameResolutionError):
        problem = "the host's name cannot be found"
    elif isinstance(error, exceptions.NewConnectionError):
        reason = getattr(error.__cause__, "strerror", None)
        problem = f"there is no connection ({reason or 'for no known reason'})"
    elif isinstance(error, exceptions.ConnectTimeoutError):
        problem, is_slow = f"the connection timed out ({limits.connect_seconds:g} s)", True
    elif isinstance(error, exceptions.LocationValueError):
        problem = "the address is no URL, or a header is none"
    elif isinstance(error, exceptions.SSLError):
        problem, may_have_arrived = _insecure(error.args[0] if error.args else None)
    elif isinstance(error, exceptions.ProxyError):
        problem = "the proxy does not pass it on"
    else:
        may_have_arrived = True
        is_slow = isinstance(error, exceptions.ReadTimeoutError | _TooSlowError)
        problem = _unread(error, limits)
    return NoResponseError(problem, num_tries, may_have_arrived=may_have_arrived, is_slow=is_slow)


def _insecure(reason: object) -> tuple[str, bool]:
    """Return what is wrong with the TLS, and whether the request may have arrived all the same."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"the server's certificate is not accepted ({reason.verify_message.rstrip('.')})", False
    words = getattr(reason, "reason", None) or type(reason).__name__
    return f"there is no secure connection ({str(words).lower().replace('_', ' ')})", True


def _unread(error: exceptions.HTTPError, limits: Limits) -> str:
    if isinstance(error, _TooLargeError):
        return f"the answer is longer than {limits.max_bytes >> 20} MiB"
    if isinstance(error, _TooSlowError):
        return f"the answer timed out ({min(limits.answer_seconds, limits.total_seconds):g} s)"
    if isinstance(error, exceptions.ReadTimeoutError):
        return f"the answer timed out ({limits.read_seconds:g} s)"
    if isinstance(error, exceptions.ResponseError):
        return "it is redirected too often"
    return "the connection broke" if isinstance(error, exceptions.ProtocolError) else "the answer is no HTTP"
