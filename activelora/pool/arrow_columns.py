"""Columns of Parquet and Arrow files, some rows at a time, with all of Arrow's types of text as one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from activelora.formats.arrow_rows import ARROW_FILE
from activelora.formats.features import label_names
from activelora.pool.columns import OddRowsError

BATCH_ROWS = 5_000
_KEY = b"ARROW:schema"


def parquet_batches(
    file: BinaryIO, chunk_bytes: int, columns_of: Callable[[list[str]], list[str]]
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Return the schema of a Parquet file, and its rows, a chunk at a time.

    Args:
        file: The open file; seekable.
        chunk_bytes: Size of a chunk, about.
        columns_of: Returns the columns to read of those that there are.
    """
    parquet = pq.ParquetFile(file)
    columns = columns_of(parquet.schema_arrow.names)
    schema = parquet.schema_arrow
    if (plain := _without_categories(file, schema, columns)) is not None:
        parquet = pq.ParquetFile(file, metadata=plain)
    groups = [parquet.metadata.row_group(number) for number in range(parquet.num_row_groups)]
    row_bytes = sum(group.total_byte_size for group in groups) // max(1, parquet.metadata.num_rows) + 1
    size = min(max(1, chunk_bytes // row_bytes), 10 * BATCH_ROWS)
    batches = parquet.iter_batches(batch_size=size, columns=columns)
    return schema, (pa.Table.from_batches([batch]) for batch in batches)


def _without_categories(file: BinaryIO, schema: pa.Schema, columns: list[str]) -> pq.FileMetaData | None:
    """Return a file's metadata without what makes pyarrow build a dictionary of each column of categories again.

    They say how the columns were kept in memory, under a key of their own. With many different texts that costs as much
    as all the rest of the reading. None where it is not needed, or another type of column would be read as another.
    """
    kinds = [schema.field(name).type for name in columns]
    are_simple = all(
        pa.types.is_integer(kind) or is_text(kind) or (pa.types.is_dictionary(kind) and is_text(kind.value_type))
        for kind in kinds
    )
    if not are_simple or not any(map(pa.types.is_dictionary, kinds)):
        return None
    file.seek(-8, 2)
    size = int.from_bytes(file.read(4), "little")
    file.seek(-8 - size, 2)
    footer = file.read(size + 8)
    if footer.count(_KEY) != 1:
        return None
    return pq.read_metadata(io.BytesIO(b"PAR1" + footer.replace(_KEY, _KEY.lower())))


def arrow_batches(
    file: BinaryIO, chunk_bytes: int, columns_of: Callable[[list[str]], list[str]]
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Return the schema of an Arrow file or stream, and its rows, as :func:`parquet_batches` does."""
    is_file = file.read(len(ARROW_FILE)) == ARROW_FILE
    file.seek(0)
    reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
    batches = (reader.get_batch(at) for at in range(reader.num_record_batches)) if is_file else reader
    columns = columns_of(reader.schema.names)

    def tables() -> Iterator[pa.Table]:
        for batch in batches:
            batch.validate(full=True)
            table = pa.Table.from_batches([batch.select(columns)])
            size = max(1, min(10 * BATCH_ROWS, len(batch) * chunk_bytes // max(1, batch.nbytes)))
            for begin in range(0, len(table), size):
                yield table.slice(begin, size)

    return reader.schema, tables()


def without_dictionaries(table: pa.Table) -> pa.Table:
    """Return a table with the values of columns of categories in their places."""
    for at, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            values = [chunk.dictionary_decode() for chunk in column.chunks]
            table = table.set_column(at, table.field(at).name, pa.chunked_array(values, column.type.value_type))
    return table


def text_column(table: pa.Table, name: str, features: Mapping[str, Any]) -> pa.Array:
    """Return a column of text.

    Args:
        table: Some rows.
        name: The column.
        features: What the file's metadata says of its columns.

    Raises:
        OddRowsError: It is none.
    """
    column = plain_column(table[name].combine_chunks())
    if not pa.types.is_string(column.type) or label_names(features.get(name)) or _is_json(features.get(name)):
        raise OddRowsError
    return column


def _is_json(feature: Any) -> bool:
    return isinstance(feature, Mapping) and feature.get("_type") == "Json"


def plain_column(column: pa.Array) -> pa.Array:
    """Return a column of any of Arrow's types of text, or of bytes that are text, as plain text; others as they are."""
    if is_text(column.type):
        column = column.cast(pa.string())
    return column


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type is one of text, or of bytes that may be text."""
    return any(is_one(kind) for is_one in _TEXTS)


_TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)
