"""Columns of text, normalised and hashed many rows at a time: the same results as :mod:`activelora.pool.content`.

What is rare (accents that stand by themselves, symbols) is done by that module's own function, value by value.
Letters: N rows, B bytes of a digest.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from activelora.pool.content import MAX_TEXT_CHARS, normal_text

Bytes = NDArray[np.uint8]
ID_BYTES = 10
_WHITE = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
"""What Python strips off ASCII text."""
_ODD = np.zeros(256, dtype=np.bool_)
_ODD[0xCC:] = True
_ODD[[0xD0, 0xD1, *range(0xE4, 0xEA), 0xEB, 0xEC]] = False
"""First bytes of characters that NFC may change or that may join the one before, and of rare white space. Without them,
Latin, Cyrillic, Chinese characters and Korean syllables stay as they are (a test goes through all of them)."""
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


class OddRowsError(Exception):
    """Some rows need the slow path: they are wrong, or not what the fast one is made for."""


def normalised(texts: pa.Array) -> pa.Array:
    """Return texts as :func:`activelora.pool.content.as_text` does.

    Raises:
        OddRowsError: There is a gap, or a text that no item may hold.
    """
    if texts.null_count:
        raise OddRowsError
    codes = codes_of(texts)
    if (codes == 0).any():
        raise OddRowsError
    plain, is_odd_N = texts, _rows_with(texts, _ODD[codes])
    if is_odd_N is not None:
        odd = texts.filter(is_odd_N).to_pylist()
        plain = pc.if_else(is_odd_N, "", texts)
    if (codes == ord("\r")).any():
        plain = pc.replace_substring(pc.replace_substring(plain, "\r\n", "\n"), "\r", "\n")
    plain = pc.ascii_trim(plain, _WHITE) if (codes < 128).all() else pc.utf8_trim(plain, _WHITE + "\x85\xa0")
    if is_odd_N is not None:
        plain = pc.replace_with_mask(plain, is_odd_N, pa.array([normal_text(text) for text in odd], pa.string()))
    if len(plain) and pc.max(pc.utf8_length(plain)).as_py() > MAX_TEXT_CHARS:
        raise OddRowsError
    return plain


def contents(fields: Mapping[str, pa.Array]) -> pa.Array:
    """Return the JSON of every item without choices, of which its id is the hash.

    Args:
        fields: Column to its normalised texts.
    """
    parts: list[Any] = []
    for name in sorted(fields):
        before = "," if parts else "[["
        parts += [f"{before}[{_json(name)},", _quoted(fields[name]), "]"]
    return pc.binary_join_element_wise(*parts, "],[]]", "")


def digests(texts: pa.Array, num_bytes: int) -> Bytes:
    """Return the first bytes of every text's sha256, (N, B). On all cores, where DuckDB is installed."""
    if not len(texts):
        return np.empty((0, num_bytes), dtype=np.uint8)
    joined = (_by_duckdb if _has_duckdb() else _by_hashlib)(texts, num_bytes)
    return np.frombuffer(joined, dtype=np.uint8)[: len(texts) * num_bytes].reshape(-1, num_bytes)


def _by_duckdb(texts: pa.Array, num_bytes: int) -> Any:
    table = pa.table({"content": texts})
    relation = _connection().from_arrow(table).project(f"unhex(left(sha256(content), {2 * num_bytes})) as digest")
    return relation.to_arrow_table()["digest"].combine_chunks().buffers()[2]


def _by_hashlib(texts: pa.Array, num_bytes: int) -> bytes:
    return b"".join(hashlib.sha256(text).digest()[:num_bytes] for text in texts.cast(pa.binary()).to_pylist())


def id_texts(digests_NB: Bytes, before: str = "") -> pa.Array:
    """Return ids as they are written, ``i`` and hexadecimal digits, after a text that may come before."""
    num, num_bytes = digests_NB.shape
    head = np.frombuffer((before + "i").encode(), dtype=np.uint8)
    width = len(head) + 2 * num_bytes
    codes = np.empty((num, width), dtype=np.uint8)
    codes[:, : len(head)] = head
    codes[:, len(head) :: 2] = _HEX[digests_NB >> 4]
    codes[:, len(head) + 1 :: 2] = _HEX[digests_NB & 15]
    offsets = pa.py_buffer(np.arange(0, (num + 1) * width, width, dtype=np.int32)[: num + 1])
    return pa.StringArray.from_buffers(num, offsets, pa.py_buffer(codes))


def _quoted(texts: pa.Array) -> pa.Array:
    """Return texts as JSON writes them."""
    codes = codes_of(texts)
    if (codes == ord("\\")).any():
        texts = pc.replace_substring(texts, "\\", "\\\\")
    special = np.bincount(codes[(codes < 32) | (codes == ord('"'))], minlength=1)
    for code in np.flatnonzero(special).tolist():
        texts = pc.replace_substring(texts, chr(code), _json(chr(code))[1:-1])
    return pc.binary_join_element_wise('"', texts, '"', "")


def codes_of(texts: pa.Array) -> Bytes:
    """Return the bytes of all texts, one after the other."""
    _, offsets, data = texts.buffers()
    if data is None:
        return np.empty(0, dtype=np.uint8)
    ends = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, dtype=np.uint8)[int(ends[0]) : int(ends[-1])]


def _rows_with(texts: pa.Array, is_byte: NDArray[np.bool_]) -> pa.Array | None:
    """Return which texts hold one of some bytes; None if none does."""
    positions = np.flatnonzero(is_byte)
    if not len(positions):
        return None
    ends = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    is_in_N = np.zeros(len(texts), dtype=np.bool_)
    is_in_N[np.searchsorted(ends - ends[0], positions, side="right") - 1] = True
    return pa.array(is_in_N)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@cache
def _has_duckdb() -> bool:
    return importlib.util.find_spec("duckdb") is not None


@cache
def _connection() -> Any:
    import duckdb

    return duckdb.connect()
