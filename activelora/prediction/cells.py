"""How values are written into tables: as JSON, and as text where a format knows nothing else."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Mapping
from typing import Any

_DIGITS = 6
"""Decimals of probabilities in text, more than any of them deserves."""


def as_json(value: Any) -> Any:
    """Return a value as JSON can hold it: no NaN, no dates, no bytes."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, decimal.Decimal) or not hasattr(value, "item") else as_json(value.item())


def as_cell(value: Any) -> str:
    """Return a value as the text of a cell: nothing is empty, lists and objects are JSON."""
    if isinstance(value, str):
        return value
    value = as_json(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def rounded(value: Any) -> Any:
    """Return an answer's value with its numbers rounded, for text."""
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, Mapping):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def yes_no(value: Any) -> Any:
    """Return a truth value in words, and anything else as it is."""
    return ("no", "yes")[value] if isinstance(value, bool) else value
