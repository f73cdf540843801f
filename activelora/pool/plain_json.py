"""Lines of JSON that are so plain that Arrow reads what Python reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json
from numpy.typing import NDArray

from activelora.formats.limits import MAX_TEXT_BYTES
from activelora.pool.columns import OddRowsError

_LONG_LINE = 4000
"""Bytes. Longer lines could hold what Python's parser limits: numbers of 4,300 digits."""


@dataclass(frozen=True)
class Lines:
    """Where the lines of some bytes begin and end, and the last byte of each."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    last: NDArray[np.uint8]


def plain_lines(data: bytes) -> Lines:
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
    return Lines(begins, ends, codes[ends - 1])


def whole_lines(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield a file as chunks of whole lines.

    Args:
        file: The file.
        size: Bytes of a chunk, about.

    Raises:
        OddRowsError: A line is far too long.
    """
    rest = b""
    while data := file.read(size):
        data = rest + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            yield data[:end]
        elif len(data) > 2 * max(size, MAX_TEXT_BYTES):
            raise OddRowsError
    if rest:
        yield rest


def read_objects(data: bytes, schema: pa.Schema) -> pa.Table:
    """Read lines of JSON objects; columns that the schema does not name get the types that they have."""
    options = pa_json.ParseOptions(explicit_schema=schema, newlines_in_values=False, unexpected_field_behavior="infer")
    # One object must fit into a block.
    reading = pa_json.ReadOptions(block_size=1 << 20)
    return pa_json.read_json(pa.BufferReader(data), read_options=reading, parse_options=options)


def is_deeper(kind: pa.DataType, most: int) -> bool:
    """Tell whether more than that number of types hold one another."""
    if pa.types.is_struct(kind):
        return most == 0 or any(is_deeper(field.type, most - 1) for field in kind)
    return pa.types.is_list(kind) and (most == 0 or is_deeper(kind.value_type, most - 1))
