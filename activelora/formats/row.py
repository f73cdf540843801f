"""A row of a table, and which columns of it somebody wants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One row of a source.

    Attributes:
        values: Column to value.
        file: The file's path or URI.
        line: The line that the row begins on, from 1; in Parquet, Arrow and hub data sets, the row from 1; in
            spreadsheets, the row as it is shown there.
    """

    values: dict[str, Any]
    file: str
    line: int

    @property
    def where(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Wanted:
    """The columns that are read.

    A column inside another is named by both, with a dot: ``fields.text``; one of a list by its number from 0.

    Attributes:
        required: Must be there.
        optional: Used where they are there.
        is_export: Tells by the names of a file's columns whether a labelling tool may have written it. Such a file is
            read with all its columns, which are not yet those that are wanted.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    is_export: Callable[[Collection[str]], bool] = field(default=lambda names: False, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((*self.required, *self.optional)))

    def missing(self, present: Sequence[str]) -> list[str]:
        """Return the required columns that a file lacks."""
        if self.is_export(present):
            return []
        return [name for name in self.required if find_column(name, tuple(present)) is None]

    def found(self, present: Sequence[str]) -> list[str]:
        """Return the columns of a file that are to be read, each once."""
        if self.is_export(present):
            return list(present)
        columns = (find_column(name, tuple(present)) for name in self.names)
        return list(dict.fromkeys(column for column in columns if column is not None))


def find_column(name: str, present: Mapping[str, Any] | tuple[str, ...]) -> str | None:
    """Return the column that holds what a name means: itself, or the one that it lies in; None if there is none."""
    if name in present:
        return name
    return next((outer for outer, _ in _splits(name) if outer in present), None)


def with_inner(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a row's values with those that lie inside others under their dotted names.

    Args:
        values: Column to value.
        names: The columns that are wanted.
    """
    for name in names:
        if "." in name and name not in values:
            for outer, path in _splits(name):
                if outer in values:
                    found, value = _inner(values[outer], path)
                    if found:
                        values = {**values, name: value}
                        break
    return values


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to take a dotted name apart, the longest column first."""
    end = name.rfind(".")
    while end > 0:
        yield name[:end], name[end + 1 :]
        end = name.rfind(".", 0, end)


def _inner(value: Any, path: str) -> tuple[bool, Any]:
    """Return whether there is something at a path, and what."""
    if value is None:  # nothing holds nothing
        return True, None
    if isinstance(value, list):
        head, _, rest = path.partition(".")
        if not head.isdecimal() or int(head) >= len(value):
            return False, None
        return _inner(value[int(head)], rest) if rest else (True, value[int(head)])
    if not isinstance(value, dict):
        return False, None
    if path in value:
        return True, value[path]
    for outer, rest in _splits(path):
        if outer in value:
            return _inner(value[outer], rest)
    return False, None
