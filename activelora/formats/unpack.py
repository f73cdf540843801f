"""Packed files, read as if they were not: gzip and Zstandard, known by their first bytes and not by their names."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any, BinaryIO, cast

from activelora.errors import DataError
from activelora.formats.limits import FREE_UNPACKED_BYTES, MAX_UNPACKED_RATIO

HEAD_BYTES = 1 << 16
ENDINGS = (".gz", ".gzip", ".zst", ".zstd")
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "Zstandard"}
_DEPTH = 2
_BUFFER_BYTES = 1 << 18


def unpacked(file: BinaryIO, name: str) -> BinaryIO:
    """Return a file's content: itself, from its beginning, or what is packed in it, which cannot be sought in.

    Reading the latter raises a DataError where it is damaged, or far larger than an honest file would be.

    Args:
        file: The open file: seekable, or a pipe with a buffer.
        name: Its name, for messages.
    """
    size = 0  # of a pipe, which nobody knows
    if file.seekable():
        size = file.seek(0, 2)
        file.seek(0)
    packing = _packing(head_of(file))
    for _ in range(_DEPTH):
        if packing is None:
            break
        file = cast(BinaryIO, io.BufferedReader(_Unpacked(file, name, packing, size), _BUFFER_BYTES))
        packing = _packing(head_of(file))
    return file


def head_of(file: BinaryIO) -> bytes:
    """Return the next bytes of a file, and leave them there to be read."""
    if not file.seekable():
        return cast(io.BufferedReader, file).peek(HEAD_BYTES)[:HEAD_BYTES]
    begin = file.tell()
    head = file.read(HEAD_BYTES)
    file.seek(begin)
    return head


def _packing(head: bytes) -> str | None:
    return next((packing for magic, packing in _PACKED.items() if head.startswith(magic)), None)


class _Unpacked(io.RawIOBase):
    """The content of a packed file, up to a limit."""

    def __init__(self, file: BinaryIO, name: str, packing: str, size: int) -> None:
        self._name = name
        self._packing = packing
        self._most = max(FREE_UNPACKED_BYTES, MAX_UNPACKED_RATIO * size)
        self._num_read = 0
        self._inner = _opened(file, packing)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes into a buffer and return their number; 0 at the end."""
        try:
            data = bytearray()
            while len(data) < len(buffer) and (more := self._inner.read(len(buffer) - len(data))):
                data += more
        # pyarrow and gzip both raise OSError for what is damaged; a gzip file that ends early raises EOFError.
        except (OSError, EOFError, zlib.error) as error:
            problem = f"is a damaged {self._packing} file: {error}"
            raise DataError(problem, where=self._name, remedy="Make it anew, or unpack what can be saved.") from None
        self._num_read += len(data)
        if self._num_read > self._most:
            problem = f"unpacks to more than {MAX_UNPACKED_RATIO} times its size"
            raise DataError(problem, where=self._name, remedy="If it is what it should be, unpack it first.")
        buffer[: len(data)] = data
        return len(data)


def _opened(file: BinaryIO, packing: str) -> Any:
    if packing == "gzip":
        return gzip.GzipFile(fileobj=file, mode="rb")
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
