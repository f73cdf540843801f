"""Values of JSON as rows, and what is said of those that are none."""

from __future__ import annotations

import json
import sys
from typing import Any

from activelora.formats.problems import Collector, RowError
from activelora.formats.row import Row

_OBJECTS = 'Each row must be one JSON object, such as {"text": "..."}.'


def row_of(values: Any, name: str, number: int, problems: Collector) -> Row | None:
    """Return a value as a row; None if it is none, which the problems tell."""
    row = as_object(values)
    if row is None:
        problems.add(no_object(values, name, number))
        return None
    return Row(row, name, number)


def as_object(values: Any) -> dict[str, Any] | None:
    """Return an object, also of a pair that spaCy trains on: ``["text", {"cats": {...}}]``; None for all else."""
    if isinstance(values, list) and len(values) == 2 and isinstance(values[0], str):
        said = values[1]
        return {**said, "text": values[0]} if isinstance(said, dict) and isinstance(said.get("cats"), dict) else None
    return values if isinstance(values, dict) else None


def no_object(values: Any, name: str, number: int) -> RowError:
    """Return the problem of a value that is no object."""
    kind = "a list" if isinstance(values, list) else "a single value"
    return RowError(f"holds {kind}, not an object: {_shown(values)}", name, number, _OBJECTS)


def no_objects(values: Any, name: str, number: int) -> RowError:
    """Return the problem of a file without objects, of which one value is shown."""
    kind = "arrays" if isinstance(values, list) else "single values"
    problem = f"holds {kind}, not objects with column names: {_shown(values)}; the file is not read"
    return RowError(problem, name, number, _OBJECTS)


def _shown(values: Any) -> str:
    return excerpt(json.dumps(values, ensure_ascii=False))


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of its pairs.

    Raises:
        ValueError: A name stands in it twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"it names a column twice: {', '.join(twice)}")
    return values


def reason_of(error: Exception) -> str:
    """Return why JSON cannot be read, in words of ours where Python's give advice to programmers."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if "set_int_max_str_digits" in str(error):
        return f"it holds a number of more than {sys.get_int_max_str_digits():,} digits"
    return str(error)


def excerpt(text: str, position: int = 0) -> str:
    """Return a little of a text, from just before a position on."""
    begin = max(0, position - 20)
    return repr(text.rstrip("\r\n")[begin : begin + 60])
