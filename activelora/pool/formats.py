"""Rows out of JSONL, CSV and Parquet files, a little at a time, each with its place.

Every reader notes what it cannot read and goes on with the next row, so that one run shows many mistakes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from activelora.errors import DataError
from activelora.pool.problems import Problems, missing_column

MAX_LINE_BYTES = 1 << 20
_BATCH_ROWS = 512
_BOM = b"\xef\xbb\xbf"
_MAGIC = {
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"PAR1": "a Parquet file",
}


@dataclass(frozen=True)
class Row:
    """One row of a source.

    Attributes:
        values: Column to value.
        file: The file's path or URI.
        line: The line that the row begins on, from 1; in Parquet files and hub data sets, the row from 1.
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

    Attributes:
        required: Must be there.
        optional: Used where they are there.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


Reader = Callable[[BinaryIO, str, Wanted, Problems], Iterator[Row]]
"""Open file, its name, columns, where problems go → rows."""


def read_jsonl(file: BinaryIO, name: str, wanted: Wanted, problems: Problems, first: int = 1) -> Iterator[Row]:
    """Yield one row a line. Blank lines are passed over. Columns are checked row by row, by the caller.

    Args:
        file: The open file.
        name: Its name.
        wanted: The columns to read.
        problems: Collector of what is wrong.
        first: The number of its first line, where it is a part of a file.
    """
    for number, text in _lines(file, name, problems, first):
        if not text.strip():
            continue
        where = f"{name}:{number}"
        try:
            values = json.loads(text, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            problem = f"is not valid JSON: {error.msg} at character {error.pos + 1}: {_excerpt(text, error.pos)}"
            problems.add(DataError(problem, where=where, remedy="Each line must be one JSON object."))
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            problems.add(DataError(f"cannot be read as JSON: {reason}", where=where))
        else:
            if isinstance(values, dict):
                yield Row(values, name, number)
            else:
                kind = "a list" if isinstance(values, list) else "a single value"
                remedy = 'Each line must be one JSON object, such as {"text": "..."}.'
                problems.add(DataError(f"holds {kind}, not an object: {_excerpt(text)}", where=where, remedy=remedy))


def read_csv(file: BinaryIO, name: str, wanted: Wanted, problems: Problems) -> Iterator[Row]:
    """Yield one row a record; a record may span lines inside quotes. The first row names the columns."""
    rows = csv.reader((text for _, text in _lines(file, name, problems)), strict=True)
    header = _csv_header(rows, name, wanted, problems)
    while header:
        begin = rows.line_num + 1
        where = f"{name}:{begin}"
        try:
            record = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = 'Put text with commas, quotes or line breaks in "quotes", and write a quote in it as "".'
            problems.add(DataError(f"is not valid CSV: {error}", where=where, remedy=remedy))
            # A quote that was never closed swallows what follows: nothing after it can be trusted.
            if rows.line_num > begin:
                return
            continue
        if not record:
            continue
        if len(record) != len(header):
            problem = f"has {len(record)} values where the header names {len(header)} columns"
            problems.add(DataError(problem, where=where, remedy='Put text with commas in "quotes".'))
            continue
        yield Row(dict(zip(header, record, strict=True)), name, begin)


def read_parquet(file: BinaryIO, name: str, wanted: Wanted, problems: Problems) -> Iterator[Row]:
    """Yield the rows, a few hundred at a time, and only the wanted columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        problems.add(DataError(f"is not a readable Parquet file: {_first_line(error)}", where=name))
        return
    present = parquet.schema_arrow.names
    if not _has_columns(present, name, wanted, problems):
        return
    columns = [column for column in (*wanted.required, *wanted.optional) if column in present]
    number = 1
    try:
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=list(dict.fromkeys(columns))):
            for values in batch.to_pylist():
                yield Row(values, name, number)
                number += 1
    except (pa.ArrowException, OSError) as error:
        problems.add(DataError(f"is damaged: {_first_line(error)}", where=f"{name}:{number}"))
    except UnicodeDecodeError as error:
        last = number + _BATCH_ROWS - 1
        problem = f"a text in rows {number} to {last} is not UTF-8: {error.reason}"
        problems.add(DataError(problem, where=f"{name}:{number}"))


READERS: dict[str, Reader] = {"jsonl": read_jsonl, "csv": read_csv, "parquet": read_parquet}
"""Readers by format."""


def _csv_header(rows: Any, name: str, wanted: Wanted, problems: Problems) -> list[str]:
    """Return the column names; none if they cannot be used."""
    try:
        header = [column.strip() for column in next(rows, [])]
    except csv.Error as error:
        problems.add(DataError(f"is not valid CSV: {error}", where=f"{name}:1"))
        return []
    if not header:
        if not problems:  # a first line that cannot be read has its own
            problems.add(DataError("has no header line that names the columns", where=f"{name}:1"))
        return []
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        problems.add(DataError(f"the header names a column twice: {', '.join(twice)}", where=f"{name}:1"))
        return []
    if len(header) == 1 and (separator := next((sign for sign in ";\t|" if sign in header[0]), None)):
        problem = f"the columns are separated by {separator!r}, expected commas"
        problems.add(DataError(problem, where=f"{name}:1", remedy="Export it as CSV with commas, or as JSONL."))
        return []
    return header if _has_columns(header, f"{name}:1", wanted, problems) else []


def _has_columns(present: list[str], where: str, wanted: Wanted, problems: Problems) -> bool:
    missing = [column for column in wanted.required if column not in present]
    for column in missing:
        problems.add(missing_column(column, present, where))
    return not missing


def _lines(file: BinaryIO, name: str, problems: Problems, first: int = 1) -> Iterator[tuple[int, str]]:
    """Yield number and text of every line; an empty text for one that cannot be read."""
    number = first - 1
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"{name}:{number}"
        if number == 1:
            raw = raw.removeprefix(_BOM)
            if kind := next((kind for magic, kind in _MAGIC.items() if raw.startswith(magic)), None):
                problems.add(DataError(f"is {kind}, expected UTF-8 text", where=where, remedy=_SAVE_AS_UTF8))
                return
        if len(raw) > MAX_LINE_BYTES:
            problems.add(DataError("the line is longer than 1 MiB", where=where, remedy=_SHORTEN))
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(MAX_LINE_BYTES)
            raw = b"\n"
        yield number, _decode(raw, where, problems)


_SAVE_AS_UTF8 = "Save it as UTF-8 text."
_SHORTEN = "Shorten the text, or break the line if several objects stand on it."


def _decode(raw: bytes, where: str, problems: Problems) -> str:
    if (offset := raw.find(b"\x00")) >= 0:
        problems.add(DataError(f"holds a NUL byte at byte {offset + 1}", where=where, remedy="Remove it."))
        return "\n"
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        shown = raw[error.start : error.start + 1].hex()
        problem = f"is not UTF-8 text: byte 0x{shown} at byte {error.start + 1} ({error.reason})"
        problems.add(DataError(problem, where=where, remedy=_SAVE_AS_UTF8))
        return "\n"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"it names a column twice: {', '.join(twice)}")
    return values


def _excerpt(text: str, position: int = 0) -> str:
    begin = max(0, position - 20)
    return repr(text.rstrip("\r\n")[begin : begin + 60])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
