"""Lines of text out of bytes: UTF-8, UTF-16 and UTF-32 by their byte order marks, and what Windows writes besides."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from activelora.errors import DataError
from activelora.formats.limits import MAX_TEXT_BYTES, in_words
from activelora.formats.problems import Collector, RowError
from activelora.formats.unpack import head_of

BOM = codecs.BOM_UTF8
WINDOWS = "cp1252"
_ENCODINGS = {  # those of four bytes first: they begin with those of two
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SAVE_AS_UTF8 = "Save it as UTF-8 text."
_SHORTEN = "Shorten the text, or break the line if several objects stand on it."
_PART_BYTES = 1 << 16
_LEAST_NUL = 0.4
_END_OF_FILE = b"\x1a"
"""Ctrl-Z, by which programs of old end a file of text."""
_FOREIGN = re.compile(r"[^\W\d_\x00-\x7f]{4,}")
"""More accented letters in a row than Western languages have: another alphabet's text, in an encoding of its own."""


def as_utf8(file: BinaryIO, name: str) -> BinaryIO:
    """Return a file of text as one of UTF-8 with line feeds at least at line ends; a mark at its beginning is left out.

    Args:
        file: The open file, at its beginning.
        name: Its name, for messages.

    Raises:
        DataError: It looks like UTF-16 without a mark.
    """
    head = head_of(file)
    encoding = next((encoding for mark, encoding in _ENCODINGS.items() if head.startswith(mark)), None)
    if encoding is None and _is_unmarked_utf16(head):
        raise DataError("looks like UTF-16 without a byte order mark", where=name, remedy=_SAVE_AS_UTF8)
    only_returns = encoding is None and b"\r" in head.removesuffix(b"\r") and b"\n" not in head
    if head.startswith(BOM):
        file.read(len(BOM))
    if encoding or only_returns:
        return cast(BinaryIO, io.BufferedReader(_Recoded(file, name, encoding), _PART_BYTES))
    return file


def _is_unmarked_utf16(head: bytes) -> bool:
    """Tell whether every other byte is mostly NUL, as in Western text, and the bytes between never are."""
    num_even, num_odd = head[::2].count(0), head[1::2].count(0)
    return min(num_even, num_odd) == 0 and max(num_even, num_odd) > _LEAST_NUL * len(head) / 2


class _Recoded(io.RawIOBase):
    """Text of another encoding as UTF-8, or of carriage returns alone with line feeds."""

    def __init__(self, file: BinaryIO, name: str, encoding: str | None) -> None:
        self._file = file
        self._name = name
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)() if encoding else None
        self._waiting = b""

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes into a buffer and return their number; 0 at the end."""
        while not self._waiting:
            data = self._file.read(_PART_BYTES)
            self._waiting = self._recode(data)
            if not data:
                break
        part, self._waiting = self._waiting[: len(buffer)], self._waiting[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def _recode(self, data: bytes) -> bytes:
        if self._decoder is None:
            return data.replace(b"\r", b"\n")
        try:
            return self._decoder.decode(data, final=not data).encode()
        except UnicodeDecodeError as error:
            problem = f"is not valid {str(self._encoding).upper()} text: {error.reason}"
            raise DataError(problem, where=self._name, remedy=_SAVE_AS_UTF8) from None


class TextLines:
    """The lines of a file of UTF-8 text.

    Args:
        file: The open file.
        name: Its name.
        problems: Collector of what is wrong.
        first: The number of its first line, where it is a part of a file.
        is_windows_allowed: Whether a file whose first letters beyond ASCII are no UTF-8 is taken for Windows text. That
            is noted. It is wrong text if some of its lines are UTF-8 all the same.
    """

    def __init__(
        self, file: BinaryIO, name: str, problems: Collector, first: int = 1, is_windows_allowed: bool = False
    ) -> None:
        self._file = file
        self._name = name
        self._problems = problems
        self._first = first
        self._is_windows_allowed = is_windows_allowed
        self._windows_line: int | None = None

    def __iter__(self) -> Iterator[tuple[int, str | None]]:
        """Yield number and text of every line; None for one that cannot be read, which the problems tell."""
        number = self._first - 1
        for raw in self._raw_lines():
            number += 1
            if len(raw) > MAX_TEXT_BYTES:
                self._report(f"the line is longer than {in_words(MAX_TEXT_BYTES)}", number, _SHORTEN)
                while raw and not raw.endswith(b"\n"):
                    raw = self._file.readline(MAX_TEXT_BYTES)
                yield number, None
            else:
                yield number, self._decoded(raw, number)

    def _raw_lines(self) -> Iterator[bytes]:
        """Yield the lines, each up to a limit, without the sign of the end of the file."""
        following = b""
        while raw := following or self._file.readline(MAX_TEXT_BYTES + 1):
            following = b""
            if len(raw) <= MAX_TEXT_BYTES and raw.rstrip(b"\r\n").endswith(_END_OF_FILE):
                following = self._file.readline(MAX_TEXT_BYTES + 1)
                if not following:
                    raw = raw.rstrip(b"\r\n").rstrip(_END_OF_FILE)
            if raw:
                yield raw

    def _decoded(self, raw: bytes, number: int) -> str | None:
        if (offset := raw.find(b"\x00")) >= 0:
            self._report(f"holds a NUL byte at byte {offset + 1}", number, "Remove it.")
            return None
        if raw.isascii():
            return raw.decode("ascii")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            if self._is_windows_allowed:
                return self._from_windows(raw, number)
            shown = raw[error.start : error.start + 1].hex()
            problem = f"is not UTF-8 text: byte 0x{shown} at byte {error.start + 1} ({error.reason})"
            self._report(problem, number, _SAVE_AS_UTF8)
            return None
        if self._windows_line is not None:
            problem = f"is UTF-8 text, and line {self._windows_line} is not"
            self._report(problem, number, _SAVE_AS_UTF8)
            return None
        self._is_windows_allowed = False
        return text

    def _from_windows(self, raw: bytes, number: int) -> str | None:
        try:
            text = raw.decode(WINDOWS)
        except UnicodeDecodeError as error:
            shown = raw[error.start : error.start + 1].hex()
            problem = f"is neither UTF-8 nor Windows-1252 text: byte 0x{shown} at byte {error.start + 1}"
            self._report(problem, number, _SAVE_AS_UTF8)
            return None
        if foreign := _FOREIGN.search(text):
            problem = f"is neither UTF-8 nor Windows-1252 text, in which it would read {foreign[0][:20]!r}"
            self._report(problem, number, _SAVE_AS_UTF8)
            return None
        if self._windows_line is None:
            self._windows_line = number
            self._problems.note(
                f"{self._name}: is not UTF-8 text (line {number}) and was read as Windows-1252: if its letters look "
                "wrong, save it as UTF-8"
            )
        return text

    def _report(self, problem: str, number: int, remedy: str) -> None:
        self._problems.add(RowError(problem, self._name, number, remedy))
