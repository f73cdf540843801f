"""CSV as people and spreadsheets write it: one bad row costs that row, not the rest of the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

MAX_CHARS = 4 << 20
"""The longest line of JSON, or cell of CSV, that is read."""
MAX_BROKEN_ROWS = 100
"""Number of rows that are not CSV at all after which the rest of a file is not looked at."""
_DELIMITERS = (",", ";", "\t")
_REASONS = {
    "unexpected end of data": "opens a quote that is never closed",
    "field larger than field limit": f"has a cell longer than {MAX_CHARS} characters",
    "expected after": "has text behind a closing quote",
}


@dataclass(frozen=True)
class Row:
    """One row of an inbox file.

    Attributes:
        line: The line it begins on, from 1.
        cells: Cells by column name.
    """

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read.

    Attributes:
        line: The line it begins on; None if nothing of the file can be read.
        reason: The reason, in words.
    """

    line: int | None
    reason: str


def csv_rows(text: str) -> Iterator[Row | BadRow]:
    """Yield the rows of a CSV file. A file without the columns it needs is one bad row.

    Args:
        text: The file's content.
    """
    lines = list(io.StringIO(text, newline=""))
    header, delimiter = _header(lines)
    if isinstance(header, str):
        yield BadRow(None, header)
        return
    parsed = _parsed(lines, delimiter)
    next(parsed)
    for line, cells in parsed:
        if isinstance(cells, str):
            yield BadRow(line, cells)
        elif any(cells[len(header) :]):
            sizes = f"{len(cells)} cells where the header has {len(header)}"
            yield BadRow(line, f"has {sizes}: a {delimiter!r} needs quotes around its cell")
        elif any(cells):
            filled = [*cells, *[""] * (len(header) - len(cells))]
            yield Row(line, dict(zip(header, filled, strict=False)))


def _header(lines: list[str]) -> tuple[list[str] | str, str]:
    """Return the column names in lower case and the delimiter; or what is wrong with them."""
    shown = ""
    for delimiter in _DELIMITERS:
        _, cells = next(_parsed(lines, delimiter))
        if isinstance(cells, str):
            return f"has a header that {cells}", delimiter
        names = [cell.strip().casefold() for cell in cells]
        shown = shown or ", ".join(names)[:200]
        if "item_id" in names:
            for name in ("item_id", "label", "annotator", "labeled_at"):
                if names.count(name) > 1:
                    return f"has two columns `{name}`", delimiter
            missing = "" if "label" in names else "label"
            return (f"has no column `{missing}`; it has: {shown}" if missing else names), delimiter
    return f"has no column `item_id`; it has: {shown}", ""


def _parsed(lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each row's first line and its cells, or why it is not CSV; go on with the line after a bad one."""
    start, num_broken = 0, 0
    while start < len(lines):
        reader = csv.reader(islice(lines, start, None), delimiter=delimiter, strict=True)
        before = 0
        try:
            while True:
                cells = _next(reader)
                if cells is None:
                    return
                yield start + before + 1, cells
                before = reader.line_num
        except csv.Error as error:
            num_broken += 1
            reason = next((words for text, words in _REASONS.items() if text in str(error)), str(error))
            if num_broken == MAX_BROKEN_ROWS:
                yield start + before + 1, f"{reason}; {num_broken} rows are not CSV, the rest of the file is not read"
                return
            yield start + before + 1, reason
            start += before + 1


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    limit = csv.field_size_limit(MAX_CHARS)  # the limit is the process's: leave it as it was
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)
