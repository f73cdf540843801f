"""Files read many rows at a time: the fast path of JSONL, Parquet and Arrow, with the same rows as the readers give.

A chunk is a few megabytes of whole lines. If its bytes are of the plain kind, Arrow reads it, on all cores. What is
plain is decided before, narrowly, so that Arrow and Python's own parsers cannot differ. Any other chunk goes through
the reader of :mod:`activelora.formats`, row by row, and so do its problems, with file and line. So does CSV.
"""

from __future__ import annotations

import functools
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from activelora.campaign.records import Item, Label
from activelora.config import ColumnsConfig
from activelora.errors import DataError, LabelError
from activelora.formats.arrow_rows import ERRORS
from activelora.formats.features import converter, features_of
from activelora.formats.json_rows import is_document, read_json_lines
from activelora.formats.problems import Problems
from activelora.formats.reader import Opened, read_opened
from activelora.formats.row import Row
from activelora.formats.text import as_utf8
from activelora.pool.arrow_columns import (
    BATCH_ROWS,
    arrow_batches,
    parquet_batches,
    plain_column,
    text_column,
    without_dictionaries,
)
from activelora.pool.columns import OddRowsError, codes_of, normalised
from activelora.pool.content import LabelUse, RowParser, wanted_columns
from activelora.pool.files import SourceFile
from activelora.pool.label_readings import LabelReadings
from activelora.pool.plain_json import is_deeper, plain_lines, read_objects, whole_lines
from activelora.tasks.task import Task

CHUNK_BYTES = 16_000_000


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
        cuts_long_texts: Whether texts that are too long are cut.
    """

    def __init__(
        self,
        columns: ColumnsConfig,
        task: Task,
        labels: LabelUse,
        problems: Problems,
        chunk_bytes: int = CHUNK_BYTES,
        readings: LabelReadings | None = None,
        cuts_long_texts: bool = False,
    ) -> None:
        self._columns = columns
        self._names = task.columns
        self._use = labels
        self._problems = problems
        self._chunk_bytes = chunk_bytes
        self._readings = readings or LabelReadings(task)
        self._parser = RowParser(task, columns, labels, problems, self._readings, cuts_long_texts)
        self._wanted = wanted_columns(task, columns, labels)
        self._label = columns.label if labels != "ignored" else None
        self._texts = list(dict.fromkeys([*self._names, *([columns.id] if columns.id else [])]))
        self._label_type = pa.string()
        self._known: dict[tuple[type, Any], Label | None] = {}

    def read(self, files: Sequence[SourceFile]) -> Iterator[Chunk]:
        """Yield the rows of files in their order."""
        for source in files:
            try:
                with source.open() as file, Opened(file, source.name, source.format) as opened:
                    yield from self._read_file(opened, source.constants)
            except DataError as error:
                raise OddRowsError from error

    def _read_file(self, opened: Opened, constants: Mapping[str, str | None]) -> Iterator[Chunk]:
        are_inside = any("." in name for name in self._wanted.names)
        if opened.format in ("parquet", "arrow") and not are_inside:
            yield from self._read_columns(opened, constants)
            return
        if opened.format == "jsonl" and not are_inside and not {*constants} & {*self._wanted.names}:
            opened.file = as_utf8(opened.file, opened.name)
            if not is_document(opened.file):
                yield from self._read_jsonl(opened.file, opened.name)
                return
        yield from self._rows(read_opened(opened, self._problems, self._wanted, constants))

    def _read_jsonl(self, file: BinaryIO, name: str) -> Iterator[Chunk]:
        line = 1
        for data in whole_lines(file, self._chunk_bytes):
            try:
                yield self._chunk(self._json_table(data), {})
            except (OddRowsError, pa.ArrowInvalid):
                yield from self._rows(read_json_lines(io.BytesIO(data), name, self._problems, line))
            line += data.count(b"\n")

    def _json_table(self, data: bytes) -> pa.Table:
        lines = plain_lines(data)
        bare = lines.ends - (lines.last == ord("\r"))
        codes = np.frombuffer(data, dtype=np.uint8)
        if (codes[lines.begins] != ord("{")).any() or (codes[bare - 1] != ord("}")).any() or b"\\u0000" in data:
            raise OddRowsError
        table = self._typed(lambda schema: read_objects(data, schema))
        # An object a line: none is broken over two, since each line begins and ends with a brace.
        if self._wanted.is_export(table.column_names):
            raise OddRowsError
        if table.num_rows != len(lines.begins) or any(is_deeper(field.type, 9) for field in table.schema):
            raise OddRowsError
        return table

    def _read_columns(self, opened: Opened, constants: Mapping[str, str | None]) -> Iterator[Chunk]:
        try:
            batches = parquet_batches if opened.format == "parquet" else arrow_batches
            schema, tables = batches(opened.file, self._chunk_bytes, self._columns_of)
            features = features_of(schema)
            missing = [name for name in self._wanted.names if name in constants and name not in schema.names]
            for table in tables:
                table = without_dictionaries(table)  # first, as each chunk has the whole dictionary
                table.validate(full=True)
                for name in missing:
                    table = table.append_column(name, pa.array([constants[name]] * table.num_rows, pa.string()))
                yield self._chunk(table, features)
        except ERRORS as error:
            raise OddRowsError from error

    def _columns_of(self, present: list[str]) -> list[str]:
        """Return the columns to read of those that there are."""
        columns = [name for name in self._wanted.names if name in present]
        if self._wanted.is_export(present) or any(present.count(name) > 1 for name in columns):
            raise OddRowsError
        return columns

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

    def _chunk(self, table: pa.Table, features: Mapping[str, Any]) -> Chunk:
        if not {*self._wanted.required} <= {*table.column_names}:
            raise OddRowsError
        texts = {name: normalised(text_column(table, name, features)) for name in self._texts}
        fields = {name: texts[name] for name in self._names}
        empty = functools.reduce(pc.and_, (pc.equal(texts_, "") for texts_ in fields.values()))
        if pc.any(empty).as_py():
            raise OddRowsError  # an empty item
        return Chunk(fields, self._labels(table, features), texts[self._columns.id] if self._columns.id else None)

    def _labels(self, table: pa.Table, features: Mapping[str, Any]) -> NDArray[np.int64]:
        if self._label is None or self._label not in table.column_names:
            if self._label is not None and self._use != "optional":
                raise OddRowsError
            return np.full(table.num_rows, -1, dtype=np.int64)
        column = plain_column(table[self._label].combine_chunks())
        is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        if not is_number and not pa.types.is_string(column.type):
            raise OddRowsError
        encoded = column.dictionary_encode()
        named = converter(column.type, features.get(self._label)) or (lambda raw: raw)
        raws = [named(raw) for raw in encoded.dictionary.to_pylist()]
        known = [self._known_label(raw) for raw in raws]
        missing = self._known_label(None) if column.null_count else None
        numbers = np.array([-1 if label is None else label for label in (*known, missing)], dtype=np.int64)
        indices_R = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        labels_R = np.asarray(numbers[indices_R])
        if self._use == "or_left_out" and (labels_R < 0).any():
            raise OddRowsError  # a row to leave out
        counts = np.bincount(indices_R, minlength=len(known) + 1).tolist()
        for raw, label, count in zip(raws, known, counts, strict=False):
            self._readings.add(raw, is_label=label is not None, count=count)
        return labels_R

    def _known_label(self, raw: Any) -> Label | None:
        key = type(raw), raw  # 1 and 1.0 are one key
        if key not in self._known:
            try:
                self._known[key] = self._parser.label(raw)
            except (DataError, LabelError) as error:
                raise OddRowsError from error
        return self._known[key]

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
