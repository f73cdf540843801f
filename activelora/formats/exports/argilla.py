"""Argilla's exports: records with fields, suggestions and responses, nested or flattened.

Nested records (``to_json``, ``Record.to_dict()``) do not tell a response's state; flattened ones do
(``to_list(flatten=True)``, ``to_datasets()``), and so do those of Argilla 1.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import repeat
from typing import Any

from activelora.formats.exports.export import Asked, Export, as_object, spans

TOOL = "Argilla"
STATELESS = (
    "responses of Argilla that carry no state count as submitted: its nested export does not tell drafts from them "
    "(`to_list(flatten=True)` does)"
)
_RESPONSES = ".responses"
_SUGGESTION = ".suggestion"


def is_marked(names: Collection[str]) -> bool:
    """Tell whether columns of these names may be this tool's."""
    is_nested = "fields" in names and ("responses" in names or "suggestions" in names)
    return is_nested or any(str(name).endswith((_RESPONSES, _SUGGESTION)) for name in names)


def read(row: Mapping[str, Any], asked: Asked) -> Export | None:
    """Return what a row says; None if it is not this tool's."""
    if isinstance(row.get("fields"), Mapping) and {"responses", "suggestions"} & row.keys():
        return _nested(row, asked)
    questions = [name.removesuffix(_RESPONSES) for name in row if name.endswith(_RESPONSES)]
    suggested = [name.removesuffix(_SUGGESTION) for name in row if name.endswith(_SUGGESTION)]
    if not questions and not suggested:
        return None
    export = Export(TOOL, dict(row))
    if asked.labels and (name := asked.question(questions, "questions of Argilla")) is not None:
        key = name + _RESPONSES
        parts = ([*_items(row.get(part))] for part in (key, f"{key}.users", f"{key}.status"))
        values, users, states = parts
        _add(export, asked, zip(values, _filled(users), _filled(states), strict=False))
    return export


def _nested(row: Mapping[str, Any], asked: Asked) -> Export:
    export = Export(TOOL, {"id": row.get("id"), **as_object(row.get("metadata")), **row["fields"]})
    if asked.labels:
        found = row.get("responses")
        responses = _by_user(found) if isinstance(found, list) else _by_question(found)
        name = asked.question(responses, "questions of Argilla")
        if name is not None:
            _add(export, asked, responses[name])
    return export


Response = tuple[Any, Any, Any]
"""Value, user and state."""


def _by_question(found: Any) -> dict[str, list[Response]]:
    """Read Argilla 2: question → responses."""
    responses: dict[str, list[Response]] = {}
    for name, given in as_object(found).items():
        own = [one for one in _items(given) if isinstance(one, Mapping)]
        responses[str(name)] = [(one.get("value"), one.get("user_id"), one.get("status")) for one in own]
    return responses


def _by_user(found: Iterable[Any]) -> dict[str, list[Response]]:
    """Read Argilla 1: a response a user, with the values of all questions."""
    responses: dict[str, list[Response]] = {}
    for one in found:
        one = as_object(one)
        for name, value in as_object(one.get("values")).items():
            value = value.get("value") if isinstance(value, Mapping) else value
            responses.setdefault(str(name), []).append((value, one.get("user_id"), one.get("status")))
    return responses


def _add(export: Export, asked: Asked, responses: Iterable[Response]) -> None:
    for value, user, state in responses:
        state = None if state is None else str(state).rpartition(".")[2].casefold()
        if state not in (None, "submitted"):
            export.passed.append({"draft": "drafts", "discarded": "discarded"}.get(str(state), "of an unknown state"))
            continue
        if state is None:
            export.remarks.append(STATELESS)
        labels = value if isinstance(value, list) else [value]
        if any(isinstance(one, Mapping) and "start" in one for one in labels):
            raise spans(TOOL, "spans")
        export.add(asked, labels, user)


def _items(value: Any) -> Iterator[Any]:
    """Yield what a cell holds: a list, as such or as a table of texts writes it, or one value."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = ast.literal_eval(value)
    if isinstance(value, list | tuple):
        yield from value
    elif value not in (None, "") and value == value:
        yield value


def _filled(values: list[Any]) -> Iterable[Any]:
    return values or repeat(None)
