"""Exports of labelling tools as they come out: which tool a row is from is told by its shape, not by a file's name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from activelora.formats.exports import argilla, doccano, label_studio, prodigy, spacy
from activelora.formats.exports.export import Asked, Export

_TOOLS = (label_studio, argilla, prodigy, spacy, doccano)


def is_marked(names: Collection[str], asked: Asked) -> bool:
    """Tell whether columns of these names may be a tool's: such rows are read one by one, with all their columns.

    Args:
        names: Names of the columns that a file has.
        asked: What the campaign looks for.
    """
    others = [name for name in names if name == "text" or name not in asked.columns]
    return any(tool.is_marked(others) for tool in _TOOLS)


def read_export(row: Mapping[str, Any], asked: Asked) -> Export | None:
    """Return what a row of an export says, in plain columns; None for a row that is plain already.

    Args:
        row: Column to value, as a file has it.
        asked: What the campaign looks for.

    Raises:
        DataError: The row's labels are of a kind that no campaign can take, or it is open which of several they are.
    """
    for tool in _TOOLS:
        if (export := tool.read(row, asked)) is not None:
            for name in asked.columns - export.values.keys():
                if (value := _inner(row, name.split("."))) is not None:
                    export.values[name] = value
            return export
    return None


def _inner(value: Any, path: list[str]) -> Any:
    """Return what ``fields.text`` means in an object; None if it has no such part."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value
