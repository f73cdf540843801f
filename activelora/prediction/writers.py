"""Writers of tables, chunk by chunk. Those that can be gone on with say how far they are.

A mark is a whole number: the bytes of a text, the parts of a folder.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from activelora.errors import DataError
from activelora.formats.workbook import MAX_CELL_CHARS, MAX_ROWS, text_cell
from activelora.prediction.cells import as_cell, as_json, rounded, yes_no
from activelora.prediction.targets import Target

_MAX_SHEET_NUMBER = 10**15
"""Larger whole numbers lose digits in a spreadsheet."""
Rows = Sequence[Mapping[str, Any]]


class Writer(Protocol):
    """Writes rows that all have the same columns."""

    def write(self, rows: Rows) -> None:
        """Write some rows."""

    def mark(self) -> int:
        """Bring all to the disk, and return how far that is."""

    def finish(self) -> None:
        """Write what comes last, and close."""

    def close(self) -> None:
        """Let go of what is open, whether or not all is written."""


class TextWriter:
    """CSV, TSV or JSON lines.

    Args:
        target: What is written.
        columns: The columns, of CSV and TSV.
        answers: Those of them that are answers' own.
        mark: Mark to go on from; 0 begins anew.
    """

    def __init__(self, target: Target, columns: Sequence[str], answers: Sequence[str], mark: int) -> None:
        self._columns, self._answers = columns, frozenset(answers)
        self._is_json = target.format == "jsonl"
        self._delimiter = "\t" if target.format == "tsv" else ","
        self._inner: IO[bytes] | None = None
        if target.path is None:
            self._file: IO[bytes] = sys.stdout.buffer
        elif target.is_packed:
            self._inner = target.partial.open("wb")
            self._file = cast(IO[bytes], gzip.GzipFile("", "wb", fileobj=self._inner, mtime=0))
        else:
            self._file = target.partial.open("r+b" if mark else "wb")
            self._file.truncate(mark)
            self._file.seek(mark)
        self._is_pipe = target.path is None
        if not mark and not self._is_json:
            self._file.write(self._lines([list(columns)]))

    def write(self, rows: Rows) -> None:
        """Write some rows."""
        if self._is_json:
            self._file.write(json_lines(rows, self._answers))
        else:
            self._file.write(self._lines([[self._cell(key, row.get(key)) for key in self._columns] for row in rows]))
        if self._is_pipe:
            self._file.flush()

    def mark(self) -> int:
        """Bring all to the disk, and return the number of bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def finish(self) -> None:
        """Send what waits, and close."""
        self._file.flush()
        self.close()

    def close(self) -> None:
        """Close the file; a pipe stays open."""
        if not self._is_pipe:
            self._file.close()
        if self._inner is not None:
            self._inner.close()

    def _cell(self, column: str, value: Any) -> str:
        return as_cell(yes_no(rounded(value)) if column in self._answers else value)

    def _lines(self, rows: list[list[str]]) -> bytes:
        text = io.StringIO()
        plain = csv.writer(text, delimiter=self._delimiter, lineterminator="\n")
        quoted = csv.writer(text, delimiter=self._delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in rows:  # a carriage return by itself is quoted by later versions of Python only
            (quoted if any("\r" in cell for cell in row) else plain).writerow(row)
        return text.getvalue().encode("utf-8", "replace")


def json_lines(rows: Rows, answers: Collection[str]) -> bytes:
    """Return rows as JSON, one a line.

    Args:
        rows: The rows.
        answers: The columns that are answers' own.
    """
    documents = (
        {key: as_json(rounded(value) if key in answers else value) for key, value in row.items()} for row in rows
    )
    return "".join(f"{json.dumps(document, ensure_ascii=False)}\n" for document in documents).encode("utf-8", "replace")


class ParquetWriter:
    """A folder of Parquet files, one a chunk, all with the columns' types of the first.

    Args:
        target: What is written.
        columns: The columns.
        answers: Those of them that are answers' own.
        mark: How many parts there are.
    """

    def __init__(self, target: Target, columns: Sequence[str], answers: Sequence[str], mark: int) -> None:
        self._folder, self._columns, self._answers = target.partial, columns, frozenset(answers)
        self._name = target.name
        self._num_parts = mark
        if not mark and self._folder.exists():
            shutil.rmtree(self._folder)
        self._folder.mkdir(exist_ok=True)
        self._schema = pq.read_schema(self._part(0)) if mark else None

    def write(self, rows: Rows) -> None:
        """Write some rows as the next part; no rows are no part."""
        if rows:
            self._write(rows)

    def _write(self, rows: Rows) -> None:
        values = {column: [self._value(column, row.get(column)) for row in rows] for column in self._columns}
        schema = self._schema or _as_read(pa.schema([(column, _type_of(found)) for column, found in values.items()]))
        self._schema = schema
        arrays = [self._array(column, found, schema.field(column).type) for column, found in values.items()]
        table = pa.table(arrays, schema=schema)
        partial = self._folder / f"{self._part(self._num_parts).name}.partial"
        pq.write_table(table, partial, compression="zstd")
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self._part(self._num_parts))
        self._num_parts += 1

    def mark(self) -> int:
        """Return the number of parts."""
        return self._num_parts

    def close(self) -> None:
        """Do nothing: no part stays open."""

    def finish(self) -> None:
        """Remove what a killed run left behind the last part."""
        if not self._num_parts:
            self._write([])
        written = {self._part(number) for number in range(self._num_parts)}
        for path in set(self._folder.iterdir()) - written:
            path.unlink()

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:05d}.parquet"

    def _value(self, column: str, value: Any) -> Any:
        if column in self._answers and isinstance(value, Mapping):  # a label may be any name, and items have their own
            return json.dumps(as_json(rounded(value)), ensure_ascii=False)
        return value

    def _array(self, column: str, values: list[Any], kind: pa.DataType) -> pa.Array:
        if pa.types.is_string(kind):
            values = [None if value is None else as_cell(value) for value in values]
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise DataError(
                f"column `{column}` holds another kind of value than its first rows, which are {kind}: {error}",
                where=self._name,
                remedy="Write .jsonl or .csv.",
            ) from None


def _as_read(schema: pa.Schema) -> pa.Schema:
    """Return a schema as it is read from a file, where parts of lists are named otherwise; a run that goes on reads it.

    With it, a run that is not interrupted writes the same bytes.
    """
    file = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), file)
    return pq.read_schema(pa.BufferReader(file.getvalue()))


def _type_of(values: list[Any]) -> pa.DataType:
    """Return the type of a column by its first values; where they differ or are none, text."""
    try:
        found = pa.array(values).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.string()
    if pa.types.is_list(found) and pa.types.is_null(found.value_type):
        return pa.list_(pa.string())
    return pa.string() if pa.types.is_null(found) else found


class SheetWriter:
    """One sheet of a workbook.

    Args:
        target: What is written.
        columns: The columns.
        answers: Those of them that are answers' own.
        mark: 0: a workbook cannot be gone on with.
    """

    def __init__(self, target: Target, columns: Sequence[str], answers: Sequence[str], mark: int) -> None:
        from openpyxl import Workbook

        self._partial, self._name = target.partial, target.name
        self._columns, self._answers = columns, frozenset(answers)
        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet("answers")
        self._num_rows = 1
        self._sheet.append([self._cell(column) for column in columns])

    def write(self, rows: Rows) -> None:
        """Write some rows."""
        self._num_rows += len(rows)
        check_sheet_rows(self._num_rows - 1, self._name)
        for row in rows:
            self._sheet.append([self._cell(self._value(column, row.get(column))) for column in self._columns])

    def mark(self) -> int:
        """Return 0."""
        return 0

    def finish(self) -> None:
        """Write the workbook."""
        self._book.save(self._partial)

    def close(self) -> None:
        """Close the workbook, whole or not."""
        if not self._sheet.closed:
            self._sheet.close()
        self._book.close()

    def _value(self, column: str, value: Any) -> Any:
        value = as_json(yes_no(rounded(value)) if column in self._answers else value)
        if isinstance(value, int) and abs(value) > _MAX_SHEET_NUMBER:
            return str(value)
        return value if isinstance(value, int | float) or value is None else as_cell(value)

    def _cell(self, value: Any) -> Any:
        return text_cell(self._sheet, value, MAX_CELL_CHARS) if isinstance(value, str) else value


def check_sheet_rows(num_rows: int, name: str) -> None:
    """Refuse more rows than a sheet has.

    Raises:
        DataError: There are more.
    """
    if num_rows > MAX_ROWS - 1:
        problem = f"a sheet has at most {MAX_ROWS - 1:,} rows below its header, and the input has more"
        raise DataError(problem, where=name, remedy="Write .csv, .jsonl or .parquet.")


def open_writer(target: Target, columns: Sequence[str], answers: Sequence[str], mark: int = 0) -> Writer:
    """Return what writes a target.

    Args:
        target: What is written.
        columns: The columns.
        answers: Those of them that are answers' own.
        mark: Mark to go on from, as :meth:`Writer.mark` returned it; 0 begins anew.
    """
    if target.format == "parquet":
        return ParquetWriter(target, columns, answers, mark)
    if target.format == "xlsx":
        return SheetWriter(target, columns, answers, mark)
    return TextWriter(target, columns, answers, mark)
