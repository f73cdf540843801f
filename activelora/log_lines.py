"""Log lines as JSON, for machines that collect logs, or plain; and no secrets in them."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from urllib.parse import quote

VARIABLE = "ACTIVELORA_LOG"
"""`json` makes every log line a JSON object; the images set it. Anything else leaves plain lines."""

_SECRET_NAME = re.compile(
    r"(^|_)(SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIALS?|WEBHOOK_URL|(API|ACCESS|PRIVATE|SECRET)_?KEY)(_|$)", re.I
)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_SECRET_IN_URI = re.compile(
    r"(?<=://)[^/\s]*@"  # up to the last @: passwords may hold one
    r"|(?<=[?&])(?P<name>password|token|signature|sig|api[_-]?key|x-amz-[a-z\-]+)=[^&\s\"']*",
    re.I,
)
_HIDDEN = "***"
_SHORTEST_SECRET = 6
_context: ContextVar[Mapping[str, str | int]] = ContextVar("log_context", default={})  # noqa: B039 - never changed


def wants_json() -> bool:
    """Tell whether the environment asks for JSON lines."""
    return os.environ.get(VARIABLE, "").strip().lower() == "json"


@contextmanager
def log_context(**names: str | int) -> Iterator[None]:
    """Put names, such as step, round and campaign, into every JSON line that is logged meanwhile."""
    token = _context.set({**_context.get(), **names})
    try:
        yield
    finally:
        _context.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, what :func:`log_context` names, logger, message, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without secrets."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": moment, "level": record.levelname, **_context.get(), "logger": record.name}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        secrets = _secrets()
        hidden = {key: _hide(value, secrets) if isinstance(value, str) else value for key, value in line.items()}
        return json.dumps(hidden, ensure_ascii=False)


class PlainFormatter(logging.Formatter):
    """A line for people, as its format string says."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without secrets."""
        return without_secrets(super().format(record))


def without_secrets(text: str) -> str:
    """Return a text without the values of secret environment variables, and without credentials in URIs."""
    return _hide(text, _secrets())


def _hide(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return _SECRET_IN_URI.sub(lambda found: f"{found['name']}={_HIDDEN}" if found["name"] else f"{_HIDDEN}@", text)


def is_secret_name(variable: str) -> bool:
    """Tell whether an environment variable's name says that its value is a secret, which no log line shows."""
    return _VARIABLE.fullmatch(variable) is not None and _SECRET_NAME.search(variable) is not None


def _secrets() -> list[str]:
    """Return the environment's secrets as they are and as they look in a URI; longest first, as one may hold another.

    What is shorter than six characters is left: hiding it would hide ordinary words.
    """
    values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name) and not name.endswith("_FILE")}
    long_enough = {value for value in values if len(value) >= _SHORTEST_SECRET}
    return sorted(long_enough | {quote(value, safe="") for value in long_enough}, key=lambda one: (-len(one), one))
