"""Bodies of requests: read within limits, and as JSON objects whose mistakes are said in words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect

from activelora.formats.row import find_column
from activelora.prediction.serving.batching import Wish
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.refusal import RefusedError, bad, too_large

_NUMBERS = ("min_confidence", "max_risk")
WISHES = (*_NUMBERS, "probabilities")
"""Names of what a request may want."""


def check_headers(headers: Mapping[str, str], limits: Limits) -> None:
    """Refuse a body by what is said of it, before any of it is read.

    A type must be named: a web page can send bodies of other types, or of none, to any address without asking.

    Args:
        headers: Headers of the request.
        limits: What a request may have.

    Raises:
        RefusedError: It is no JSON, is packed, or is too large.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        problem = f"the content type is `{kind or 'missing'}`, expected application/json"
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
    if "inference-header-content-length" in headers:
        problem = "binary tensors are not taken; send `data` as JSON"
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
    if (coding := headers.get("content-encoding", "identity").strip().lower()) != "identity":
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"packed bodies ({coding}) are not taken; send it unpacked"
        )
    length = headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length[:20]) > limits.request_bytes:
        raise _too_many_bytes(limits)


async def read_body(parts: AsyncIterator[bytes], limits: Limits) -> bytes:
    """Return a body.

    Args:
        parts: The body as it arrives.
        limits: What a request may have.

    Raises:
        RefusedError: It is too large, or takes too long.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in parts:
                body += part
                if len(body) > limits.request_bytes:
                    raise _too_many_bytes(limits)
    except ClientDisconnect:
        raise bad("the body has not arrived whole") from None
    except TimeoutError:
        problem = f"the body has not arrived within {limits.body_seconds:g} seconds"
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, problem, {"Connection": "close"}) from None
    return bytes(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        RefusedError: There is none.
    """
    try:
        found = json.loads(body, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise bad("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise bad(f"the body is no JSON: {error.msg}, at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise bad("the body is no JSON that is taken here: lists or objects lie too deep in each other") from None
    except ValueError as error:
        raise bad(f"the body is no JSON that is taken here: {str(error).partition(';')[0]}") from None
    if not isinstance(found, dict):
        raise bad(f"the body is {kind_of(found)}, expected an object")
    return found


def wish_of(given: Mapping[str, Any], where: str = "") -> Wish:
    """Return what a request wants to know.

    Args:
        given: Values of :data:`WISHES`; others are not looked at.
        where: Words before their names in messages.

    Raises:
        RefusedError: One has a wrong value.
    """
    wishes: dict[str, Any] = {}
    for name in _NUMBERS:
        value = given.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
            raise bad(f"`{where}{name}` is {shown(value)}, expected a number from 0 to 1")
        wishes[name] = float(value)
    value = given.get("probabilities")
    if value is not None and not isinstance(value, bool):
        raise bad(f"`{where}probabilities` is {shown(value)}, expected true or false")
    return Wish(**wishes, probabilities=bool(value))


def check_rows(rows: list[Any], columns: tuple[str, ...], limits: Limits) -> None:
    """Refuse rows that no model could read.

    Args:
        rows: The rows.
        columns: The columns that each must have.
        limits: What a request may have.

    Raises:
        RefusedError: They are too many, or one lacks a column.
    """
    check_number(len(rows), limits)
    for index, row in enumerate(rows, 1):  # from 1, as the model's own messages do
        if not isinstance(row, dict):
            raise bad(f"row:{index}: is {kind_of(row)}, expected an object of columns and values")
        for column in columns:
            if find_column(column, row) is None:
                there = ", ".join(f"`{name[:80]}`" for name in list(row)[:20]) or "none"
                raise bad(f"row:{index}: there is no column `{column}`; it has: {there}")


def check_number(num_rows: int, limits: Limits) -> None:
    """Refuse a number of rows that no request may have.

    Raises:
        RefusedError: They are too many.
    """
    if num_rows > limits.request_rows:
        raise too_large(f"the request has {num_rows} rows, of {limits.request_rows} that one may have: send several")


def kind_of(value: object) -> str:
    """Return what a value of JSON is, with its article."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return names[type(value)]


def shown(value: object) -> str:
    """Return a value as a message shows it."""
    return json.dumps(value, ensure_ascii=False)[:80]


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _too_many_bytes(limits: Limits) -> RefusedError:
    return too_large(f"the body is larger than {limits.request_bytes} bytes: send fewer rows at a time")
