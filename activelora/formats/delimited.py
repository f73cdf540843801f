"""CSV as people, spreadsheets and programs write it: by comma, semicolon, tab or bar; one bad row costs that row."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import BinaryIO

from activelora.formats.exports.label_studio import CHOICES_CELL
from activelora.formats.limits import MAX_BROKEN_ROWS, MAX_TEXT_BYTES, in_words
from activelora.formats.problems import Collector, RowError, missing_column
from activelora.formats.row import Row, Wanted
from activelora.formats.text import TextLines, as_utf8

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES = 50
_SAMPLE_CHARS = 1 << 20
_SEP = re.compile(r'"?sep=(?P<sign>[^"\r\n])"?[,;\t|]*\s*', re.IGNORECASE)
"""The line by which Excel is told the delimiter."""
_QUOTE = 'Put text with commas, quotes or line breaks in "quotes", and write a quote in it as "".'
_REASONS = {
    "unexpected end of data": "it opens a quote that is never closed",
    "field larger than field limit": f"it has a cell longer than {in_words(MAX_TEXT_BYTES)}",
    "expected after": "it has text behind a closing quote",
}
Line = tuple[int, str | None]


def read_csv(file: BinaryIO, name: str, wanted: Wanted | None, problems: Collector) -> Iterator[Row]:
    """Yield one row a record; a record may span lines inside quotes. The first row names the columns.

    Cells that a row lacks at its end are empty. A row with more cells than columns is reported, unless those are empty.
    Rows without any text are passed over.

    Args:
        file: The open file, at its beginning.
        name: Its name.
        wanted: The columns to read; None are all.
        problems: Collector of what is wrong.
    """
    lines = _split_at_returns(TextLines(as_utf8(file, name), name, problems, is_windows_allowed=True))
    sample = list(_sample(lines))
    delimiter, sample = _sniffed(sample, wanted)
    if wanted and any(CHOICES_CELL in text for _, text in sample if text):
        wanted = replace(wanted, required=())  # the labels stand in a column of another name
    records = _records(chain(sample, lines), delimiter, name, problems)
    header = _Header.of(next(records, None), name, wanted, problems)
    if header is None:
        return
    for number, cells in records:
        if cells and any(cells) and (values := header.values(cells, number, delimiter)) is not None:
            yield Row(values, name, number)


def delimiter_of(file: BinaryIO, name: str, problems: Collector) -> str:
    """Return what separates the cells of a file, as :func:`read_csv` finds it.

    Args:
        file: The open file, at its beginning.
        name: Its name.
        problems: Collector of what is wrong.
    """
    lines = _split_at_returns(TextLines(as_utf8(file, name), name, problems, is_windows_allowed=True))
    return _sniffed(list(_sample(lines)), None)[0]


def _sniffed(sample: list[Line], wanted: Wanted | None) -> tuple[str, list[Line]]:
    """Return the delimiter by a file's first lines, and those of them that are rows."""
    if sample and sample[0][1] is not None and (match := _SEP.fullmatch(sample[0][1])):
        return match["sign"], sample[1:]
    return _delimiter([text for _, text in sample if text is not None], wanted), sample


class _Header:
    """The names of a file's columns."""

    def __init__(self, names: Sequence[str], name: str, problems: Collector) -> None:
        self._names = names
        self._named = [(number, column) for number, column in enumerate(names) if column]
        self._name = name
        self._problems = problems
        self._is_index_said = False
        self._has_index = len(names) > 1 and not names[0]

    @classmethod
    def of(
        cls, record: tuple[int, list[str] | None] | None, name: str, wanted: Wanted | None, problems: Collector
    ) -> _Header | None:
        """Return the header of a file; None if it cannot be used, which the problems tell."""
        if record is None:
            return None
        number, cells = record
        if cells is None:
            return None
        names = [cell.strip() for cell in cells]
        while names and not names[-1]:  # what trailing delimiters leave
            names.pop()
        reason = None if names else "has no header line that names the columns"
        if twice := sorted({column for column in names if column and names.count(column) > 1}):
            reason = f"the header names a column twice: {', '.join(twice)}"
        if reason:
            problems.add(RowError(reason, name, number))
            return None
        missing = wanted.missing(names) if wanted else []
        for column in missing:
            error = missing_column(column, [one for one in names if one], f"{name}:{number}")
            problems.add(RowError(error.problem, name, number, error.remedy))
        return None if missing else cls(names, name, problems)

    def values(self, cells: list[str], number: int, delimiter: str) -> dict[str, str] | None:
        """Return a row's values; None if it does not fit, which the problems tell."""
        num = len(self._names)
        if len(cells) > num and any(cells[num:]):
            shown = {"\t": "a tab", "|": "a bar"}.get(delimiter, f"a {delimiter!r}")
            problem = (
                f"has {len(cells)} values where the header names {num} columns: {shown} needs quotes around its cell"
            )
            self._problems.add(RowError(problem, self._name, number, _QUOTE))
            return None
        if len(self._named) < num:
            unnamed = [at for at in range(num) if not self._names[at] and at < len(cells) and cells[at]]
            if unnamed == [0] and self._has_index:
                if not self._is_index_said:
                    self._problems.note(f"{self._name}: the header gives the first column no name; it was not read")
                self._is_index_said = True
            elif unnamed:
                shown = ", ".join(str(at + 1) for at in unnamed[:5])
                all_ = [str(at + 1) for at in range(num) if not self._names[at]]
                problem = f"has text in column {shown}, and the header gives no name to column {', '.join(all_[:5])}"
                self._problems.add(RowError(problem, self._name, number, "Name the column, or remove it."))
                return None
        if len(cells) < num:
            cells = [*cells, *[""] * (num - len(cells))]
        if len(self._named) == num:
            return dict(zip(self._names, cells, strict=False))
        return {column: cells[at] for at, column in self._named}


def _split_at_returns(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield lines that hold a carriage return within them in pieces, as the parser takes one for a line end."""
    for number, text in lines:
        if text is None or "\r" not in text or text.find("\r") == len(text) - 2:
            yield number, text
        else:
            for part in io.StringIO(text, newline=""):
                yield number, part


def _sample(lines: Iterator[Line]) -> Iterator[Line]:
    num_chars = 0
    for line in islice(lines, _SAMPLE_LINES):
        yield line
        num_chars += len(line[1] or "")
        if num_chars > _SAMPLE_CHARS:
            return


def _delimiter(texts: list[str], wanted: Wanted | None) -> str:
    """Return the delimiter by which the header has the wanted columns, and the rows fit the header best."""
    best, best_score = DELIMITERS[0], (-1, -1.0, -1)
    for delimiter in DELIMITERS:
        rows = _sample_rows(texts, delimiter)
        if not rows or len(rows[0]) < 2:
            continue
        names = [cell.strip() for cell in rows[0]]
        has_wanted = wanted is not None and not wanted.missing(names)
        fits = [_fit(row, len(names)) for row in rows[1:]]
        score = (int(has_wanted), sum(fits) / len(fits) if fits else 1.0, len(names))
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _fit(row: list[str], num_columns: int) -> float:
    """Return how well a row fits the header: 1 by as many cells, ½ by some of them, 0 by one or by too many."""
    if len(row) < num_columns:
        return 0.5 if len(row) > 1 else 0.0
    return 0.0 if any(row[num_columns:]) else 1.0


def _sample_rows(texts: list[str], delimiter: str) -> list[list[str]]:
    reader = csv.reader(texts, delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        while (cells := _next(reader)) is not None:
            if cells:
                rows.append(cells)
    except csv.Error:
        pass  # the reading itself tells it
    return rows


def _records(
    lines: Iterator[Line], delimiter: str, name: str, problems: Collector
) -> Iterator[tuple[int, list[str] | None]]:
    """Yield each record's first line and its cells; None for one that is reported.

    After a record that is no CSV, the line after its first one is read as the next.
    """
    waiting: deque[Line] = deque()
    taken: list[Line] = []
    num_broken = 0

    def feed() -> Iterator[str]:
        while (line := waiting.popleft() if waiting else next(lines, None)) is not None:
            taken.append(line)
            yield "\n" if line[1] is None else line[1]

    reader = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        try:
            cells = _next(reader)
        except csv.Error as error:
            num_broken += 1
            reason = next((words for text, words in _REASONS.items() if text in str(error)), str(error))
            if num_broken == MAX_BROKEN_ROWS:
                reason += f"; {num_broken} rows are not CSV, and the rest of the file is not read"
            if not any(text is None for _, text in taken):  # that was reported
                problems.add(RowError(f"is not valid CSV: {reason}", name, taken[0][0], _QUOTE))
            if num_broken == MAX_BROKEN_ROWS:
                return
            yield taken[0][0], None
            waiting.extendleft(reversed(taken[1:]))
            reader = csv.reader(feed(), delimiter=delimiter, strict=True)
            continue
        if cells is None:
            return
        if len(taken) == 1 and taken[0][1] is not None:  # nearly always
            if cells:
                yield taken[0][0], cells
        elif cells or taken[0][1] is None:
            yield taken[0][0], None if any(text is None for _, text in taken) else cells


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    limit = csv.field_size_limit(MAX_TEXT_BYTES)  # the limit is the process's: leave it as it was
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)
