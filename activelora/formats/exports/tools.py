"""Exports of labelling tools as they come out: which tool a row is from is told by its shape, not by a file's name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from activelora.formats.exports import argilla, doccano, label_studio, prodigy, spacy
from activelora.formats.exports.export import Asked, Export
from activelora.formats.exports.label_studio import CHOICES

_PLAIN = (int, float, bool, type(None))
_BEGINS_CHOICES = ("{", " ", "\t", "\n", "\r")
_IS_MARKED = (label_studio.is_marked, argilla.is_marked, prodigy.is_marked, spacy.is_marked, doccano.is_marked)
_READ = (label_studio.read, argilla.read, prodigy.read, spacy.read, doccano.read)


def is_marked(names: Collection[str], asked: Asked) -> bool:
    """Tell whether columns of these names may be a tool's: such rows are read one by one, with all their columns.

    Args:
        names: Names of the columns that a file has.
        asked: What the campaign looks for.
    """
    others = [name for name in names if name == "text" or name not in asked.columns]
    return any(is_marked(others) for is_marked in _IS_MARKED)


def read_export(row: Mapping[str, Any], asked: Asked) -> Export | None:
    """Return what a row of an export says, in plain columns; None for a row that is plain already.

    Args:
        row: Column to value, as a file has it.
        asked: What the campaign looks for.

    Raises:
        DataError: The row's labels are of a kind that no campaign can take, or it is open which of several they are.
    """
    if _is_plain(row, asked):
        return None
    for read in _READ:
        if (export := read(row, asked)) is not None:
            for name in asked.columns - export.values.keys():
                if (value := row.get(name, _inner(row, name.split(".")))) is not None:
                    export.values[name] = value
            return export
    return None


def _is_plain(row: Mapping[str, Any], asked: Asked) -> bool:
    """Tell quickly of most rows that no tool wrote them: by the names of their columns and the kinds of their cells."""
    if _are_marked(tuple(row), asked):
        return False
    for value in row.values():
        kind = type(value)
        if kind is str:
            if value[:1] in _BEGINS_CHOICES and value.lstrip().startswith(CHOICES):
                return False
        elif kind not in _PLAIN:
            return False
    return not any("#" in value for name in asked.labels if isinstance(value := row.get(name), str))


@lru_cache(maxsize=256)
def _are_marked(names: tuple[str, ...], asked: Asked) -> bool:
    return is_marked(names, asked)


def _inner(value: Any, path: list[str]) -> Any:
    """Return what ``fields.text`` means in an object; None if it has no such part."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value
