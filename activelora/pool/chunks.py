"""Files read many rows at a time: the fast path of JSONL and Parquet, with the same rows as the readers give.

A chunk is a few megabytes of whole lines. If its bytes are of the plain kind, Arrow reads it, on all cores. What is
plain is decided before, narrowly, so that Arrow and Python's own parsers cannot differ. Any other chunk goes through
the readers of :mod:`activelora.pool.formats`, row by row, and so do its problems, with file and line. So does CSV.
"""

from __future__ import annotations

import functools
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
import pyarrow.parquet as pq
from numpy.typing import NDArray

from activelora.campaign.records import Item, Label
from activelora.config import ColumnsConfig
from activelora.errors import DataError, LabelError
from activelora.pool.columns import OddRowsError, codes_of, normalised
from activelora.pool.content import LabelUse, RowParser, wanted_columns
from activelora.pool.files import SourceFile
from activelora.pool.formats import MAX_LINE_BYTES, READERS, Row, read_jsonl
from activelora.pool.label_readings import LabelReadings
from activelora.pool.problems import Problems
from activelora.tasks.task import Task

CHUNK_BYTES = 16_000_000
BATCH_ROWS = 5_000
_BOM = b"\xef\xbb\xbf"
_MAGIC = (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"PK\x03\x04", b"PAR1")
_LONG_LINE = 4000
"""Bytes. Longer lines could hold what Python's parsers limit: numbers of 4,300 digits, CSV fields of 128 KiB."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a source that can be used, in their order.

    Attributes:
        fields: Column of the prompt to its normalised texts.
        labels: The gold labels; −1 where there is none.
        source_ids: The user's own ids, if the campaign keeps them.
    """

    fields: dict[str, pa.Array]
    labels: NDArray[np.int64]
    source_ids: pa.Array | None

    @property
    def checksum(self) -> int:
        """A checksum of all that it holds."""
        parts = [codes_of(texts) for texts in (*self.fields.values(), self.source_ids) if texts is not None]
        return functools.reduce(lambda sum_, part: zlib.crc32(part.data, sum_), [*parts, self.labels.view(np.uint8)], 0)

    @property
    def longest_chars(self) -> int:
        """Length of the longest item."""
        lengths = functools.reduce(pc.add, (pc.utf8_length(texts) for texts in self.fields.values()))
        return int(pc.max(lengths).as_py() or 0)

    def item(self, row: int, item_id: str) -> Item:
        """Return one row as an item."""
        fields = {name: texts[row].as_py() for name, texts in self.fields.items()}
        return Item(item_id, fields, (), None if self.source_ids is None else self.source_ids[row].as_py())

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)


class ChunkReader:
    """Reads a source of items without choices, whose labels are indices.

    Args:
        columns: Which columns mean what.
        task: Names the columns and knows the labels.
        labels: How gold labels are used.
        problems: Collector of what is wrong.
        chunk_bytes: Size of a chunk.
        readings: Says what numbers mean as labels, and counts what was read.
    """

    def __init__(
        self,
        columns: ColumnsConfig,
        task: Task,
        labels: LabelUse,
        problems: Problems,
        chunk_bytes: int = CHUNK_BYTES,
        readings: LabelReadings | None = None,
    ) -> None:
        self._columns = columns
        self._names = task.columns
        self._use = labels
        self._problems = problems
        self._chunk_bytes = chunk_bytes
        self._readings = readings or LabelReadings(task)
        self._parser = RowParser(task, columns, labels, problems, self._readings)
        self._wanted = wanted_columns(task, columns, labels)
        self._label = columns.label if labels != "ignored" else None
        self._texts = list(dict.fromkeys([*self._names, *([columns.id] if columns.id else [])]))
        self._label_type = pa.string()
        self._known: dict[Any, Label | None] = {}

    def read(self, files: Sequence[SourceFile]) -> Iterator[Chunk]:
        """Yield the rows of files in their order."""
        for source in files:
            with source.open() as file:
                begin = file.read(4)
                file.seek(0)
                if not begin:
                    raise OddRowsError
                if source.format == "parquet":
                    yield from self._read_parquet(file)
                elif source.format == "jsonl" and not begin.startswith(_MAGIC):
                    yield from self._read_jsonl(file, source.name)
                else:
                    yield from self._rows(READERS[source.format](file, source.name, self._wanted, self._problems))

    def _read_jsonl(self, file: BinaryIO, name: str) -> Iterator[Chunk]:
        line = 1
        for data in _whole_lines(file, self._chunk_bytes):
            try:
                yield self._chunk(self._json_table(data.removeprefix(_BOM) if line == 1 else data))
            except (OddRowsError, pa.ArrowInvalid):
                yield from self._rows(read_jsonl(io.BytesIO(data), name, self._wanted, self._problems, line))
            line += data.count(b"\n")

    def _json_table(self, data: bytes) -> pa.Table:
        lines = _plain_lines(data)
        bare = lines.ends - (lines.last == ord("\r"))
        codes = np.frombuffer(data, dtype=np.uint8)
        if (codes[lines.begins] != ord("{")).any() or (codes[bare - 1] != ord("}")).any() or b"\\u0000" in data:
            raise OddRowsError
        table = self._typed(lambda schema: _read_json(data, schema))
        # An object a line: none is broken over two, since each line begins and ends with a brace.
        if table.num_rows != len(lines.begins) or any(_is_deeper(field.type, 9) for field in table.schema):
            raise OddRowsError
        return table

    def _read_parquet(self, file: BinaryIO) -> Iterator[Chunk]:
        try:
            parquet = pq.ParquetFile(file)
            present = parquet.schema_arrow.names
            if not {*self._wanted.required} <= {*present} or len({*present}) < len(present):
                raise OddRowsError
            wanted = (*self._texts, self._label)
            columns = list(dict.fromkeys(name for name in wanted if name in present))
            groups = [parquet.metadata.row_group(number) for number in range(parquet.num_row_groups)]
            row_bytes = sum(group.total_byte_size for group in groups) // max(1, parquet.metadata.num_rows) + 1
            size = min(max(1, self._chunk_bytes // row_bytes), 10 * BATCH_ROWS)
            for batch in parquet.iter_batches(batch_size=size, columns=list(dict.fromkeys(columns))):
                table = pa.Table.from_batches([batch])
                table.validate(full=True)
                yield self._chunk(table)
        except (pa.ArrowException, OSError) as error:
            raise OddRowsError from error

    def _typed(self, read: Any) -> pa.Table:
        """Read with the label as text; if it is none, as a number. What is no text is no plain text column."""
        texts = [pa.field(name, pa.string()) for name in self._texts]
        if self._label is None or self._label in self._texts:
            return read(pa.schema(texts))
        try:
            return read(pa.schema([*texts, pa.field(self._label, self._label_type)]))
        except pa.ArrowInvalid:
            self._label_type = pa.int64() if self._label_type == pa.string() else pa.string()
            return read(pa.schema([*texts, pa.field(self._label, self._label_type)]))

    def _chunk(self, table: pa.Table) -> Chunk:
        texts = {name: normalised(_text(table, name)) for name in self._texts}
        fields = {name: texts[name] for name in self._names}
        empty = functools.reduce(pc.and_, (pc.equal(texts_, "") for texts_ in fields.values()))
        if pc.any(empty).as_py():
            raise OddRowsError  # an empty item
        return Chunk(fields, self._labels(table), texts[self._columns.id] if self._columns.id else None)

    def _labels(self, table: pa.Table) -> NDArray[np.int64]:
        if self._label is None or self._label not in table.column_names:
            if self._use != "optional":
                raise OddRowsError
            return np.full(table.num_rows, -1, dtype=np.int64)
        column = table[self._label].combine_chunks()
        if pa.types.is_integer(column.type) and not pa.types.is_uint64(column.type):
            column = column.cast(pa.int64())
        elif not pa.types.is_string(column.type):
            raise OddRowsError
        encoded = column.dictionary_encode()
        known = [self._known_label(raw) for raw in encoded.dictionary.to_pylist()]
        missing = self._known_label(None) if column.null_count else None
        numbers = np.array([-1 if label is None else label for label in (*known, missing)], dtype=np.int64)
        indices_R = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        labels_R = np.asarray(numbers[indices_R])
        if self._use == "or_left_out" and (labels_R < 0).any():
            raise OddRowsError  # a row to leave out
        counts = np.bincount(indices_R, minlength=len(known) + 1).tolist()
        for raw, label, count in zip(encoded.dictionary.to_pylist(), known, counts, strict=False):
            self._readings.add(raw, is_label=label is not None, count=count)
        return labels_R

    def _known_label(self, raw: Any) -> Label | None:
        if raw not in self._known:
            try:
                self._known[raw] = self._parser.label(raw)
            except (DataError, LabelError) as error:
                raise OddRowsError from error
        return self._known[raw]

    def _rows(self, rows: Iterator[Row]) -> Iterator[Chunk]:
        """Yield rows that the slow path reads, some at a time."""
        usable = (parsed for row in rows if (parsed := self._parser.parse(row)))
        while items := list(islice(usable, BATCH_ROWS)):
            if any(isinstance(label, tuple) for _, label in items):
                raise OddRowsError  # a labelling tool's export
            fields = {name: pa.array([item.fields[name] for item, _ in items], pa.string()) for name in self._names}
            labels = np.array([-1 if label is None else label for _, label in items], dtype=np.int64)
            source_ids = pa.array([item.source_id for item, _ in items], pa.string()) if self._columns.id else None
            yield Chunk(fields, labels, source_ids)


@dataclass(frozen=True)
class _Lines:
    """Where the lines of some bytes begin and end, and the last byte of each."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    last: NDArray[np.uint8]


def _plain_lines(data: bytes) -> _Lines:
    """Return the lines of a chunk.

    Raises:
        OddRowsError: A line is empty or long, or the bytes are not UTF-8 text.
    """
    codes = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(codes))
    begins = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - begins
    if not len(ends) or lengths.min() < 2 or lengths.max() > _LONG_LINE or b"\x00" in data:
        raise OddRowsError
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            raise OddRowsError from None
    return _Lines(begins, ends, codes[ends - 1])


def _whole_lines(file: BinaryIO, size: int) -> Iterator[bytes]:
    rest = b""
    while data := file.read(size):
        data = rest + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            yield data[:end]
        elif len(data) > 2 * max(size, MAX_LINE_BYTES):
            raise OddRowsError
    if rest:
        yield rest


def _read_json(data: bytes, schema: pa.Schema) -> pa.Table:
    options = pa_json.ParseOptions(explicit_schema=schema, newlines_in_values=False, unexpected_field_behavior="infer")
    # One object must fit into a block.
    reading = pa_json.ReadOptions(block_size=1 << 20)
    return pa_json.read_json(pa.BufferReader(data), read_options=reading, parse_options=options)


def _text(table: pa.Table, name: str) -> pa.Array:
    column = table[name].combine_chunks()
    if pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_string(column.type):
        raise OddRowsError
    return column


def _is_deeper(kind: pa.DataType, most: int) -> bool:
    """Tell whether more than that number of types hold one another."""
    if pa.types.is_struct(kind):
        return most == 0 or any(_is_deeper(field.type, most - 1) for field in kind)
    return pa.types.is_list(kind) and (most == 0 or _is_deeper(kind.value_type, most - 1))
