"""Log lines as JSON, for machines that collect logs, or plain; and no secrets in them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from activelora.moved import find_names
from activelora.redacting import redactor, without_secrets

VARIABLE = "ACTIVELORA_LOG"
"""`json` makes every log line a JSON object; the images set it. Anything else leaves plain lines."""

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
        hide = redactor()
        hidden = {key: hide(value) if isinstance(value, str) else value for key, value in line.items()}
        return json.dumps(hidden, ensure_ascii=False)


class PlainFormatter(logging.Formatter):
    """A line for people, as its format string says."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without secrets."""
        return without_secrets(super().format(record))


if not TYPE_CHECKING:  # a checker of types knows the new names only
    __getattr__ = find_names(__name__)
