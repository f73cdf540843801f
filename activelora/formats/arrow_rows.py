"""Rows of Parquet files, and of Arrow's own files and streams, as ``datasets`` saves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from activelora.formats.features import Convert, converter, features_of
from activelora.formats.problems import Collector, RowError, missing_column
from activelora.formats.row import Row, Wanted

ARROW_FILE = b"ARROW1"
_BATCH_ROWS = 512
ERRORS = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError)
"""What pyarrow raises for a damaged file."""


def read_parquet(file: BinaryIO, name: str, wanted: Wanted | None, problems: Collector) -> Iterator[Row]:
    """Yield the rows, a few hundred at a time, and only the wanted columns.

    Args:
        file: The open file; seekable.
        name: Its name.
        wanted: The columns to read; None are all.
        problems: Collector of what is wrong.
    """
    try:
        parquet = pq.ParquetFile(file)
        schema = parquet.schema_arrow
        _ = schema.names  # which may be no text
    except ERRORS as error:
        problems.add(RowError(f"is not a readable Parquet file: {first_line(error)}", name, None))
        return
    columns = _columns(schema, name, wanted, problems)
    if columns is not None:
        batches = parquet.iter_batches(batch_size=_BATCH_ROWS, columns=columns)
        yield from _rows(batches, schema, columns, name, problems)


def read_arrow(file: BinaryIO, name: str, wanted: Wanted | None, problems: Collector) -> Iterator[Row]:
    """Yield the rows of an Arrow file or stream.

    Args:
        file: The open file; seekable.
        name: Its name.
        wanted: The columns to read; None are all.
        problems: Collector of what is wrong.
    """
    is_file = file.read(len(ARROW_FILE)) == ARROW_FILE
    file.seek(0)
    try:
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        schema = reader.schema
        _ = schema.names  # which may be no text
    except ERRORS as error:
        problems.add(RowError(f"is not a readable Arrow file: {first_line(error)}", name, None))
        return
    columns = _columns(schema, name, wanted, problems)
    if columns is not None:
        batches = (reader.get_batch(at) for at in range(reader.num_record_batches)) if is_file else reader
        yield from _rows(_checked(batches), schema, columns, name, problems)


def _checked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches in small parts; what is read from memory as it stands could point anywhere."""
    for batch in batches:
        batch.validate(full=True)
        for begin in range(0, batch.num_rows, _BATCH_ROWS):
            yield batch.slice(begin, _BATCH_ROWS)


def _columns(schema: pa.Schema, name: str, wanted: Wanted | None, problems: Collector) -> list[str] | None:
    """Return the columns to read; None if some cannot be, which the problems tell."""
    present = tuple(schema.names)
    columns = list(present)
    if wanted is not None:
        missing = wanted.missing(present)
        for column in missing:
            error = missing_column(column, present, name)
            problems.add(RowError(error.problem, name, None, error.remedy))
        if missing:
            return None
        columns = wanted.found(present)
    if twice := sorted({column for column in columns if present.count(column) > 1}):
        problem = f"the file names a column twice: {', '.join(twice)}"
        problems.add(RowError(problem, name, None, "Rename one of them, or leave it out."))
        return None
    return columns


def _rows(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, columns: list[str], name: str, problems: Collector
) -> Iterator[Row]:
    number = 1
    try:
        features = features_of(schema)
        converters = {
            column: convert
            for column in columns
            if (convert := converter(schema.field(column).type, features.get(column))) is not None
        }
        for batch in batches:
            batch = batch.select(columns)
            for values in _values(batch, converters):
                if isinstance(values, dict):
                    yield Row(values, name, number)
                else:
                    problems.add(RowError(_reason(values), name, number))
                number += 1
    except ERRORS as error:
        problems.add(RowError(f"is damaged: {first_line(error)}; what comes after it is not read", name, number))


def _values(batch: pa.RecordBatch, converters: dict[str, Convert]) -> Iterator[dict[str, Any] | Exception]:
    """Yield every row's values, or why it has none."""
    try:
        rows: list[Any] = batch.to_pylist()
    except (ValueError, OverflowError):  # one of them: find it
        rows = [_one(batch.slice(at, 1)) for at in range(batch.num_rows)]
    for row in rows:
        if isinstance(row, dict) and converters:
            try:
                row |= {column: convert(row[column]) for column, convert in converters.items()}
            except ValueError as error:
                row = error
        yield row


def _one(batch: pa.RecordBatch) -> dict[str, Any] | Exception:
    try:
        row: dict[str, Any] = batch.to_pylist()[0]
    except (ValueError, OverflowError) as error:
        return error
    return row


def _reason(error: Exception) -> str:
    return f"a text is not UTF-8: {error.reason}" if isinstance(error, UnicodeDecodeError) else first_line(error)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
