"""JSON as rows: an object a line, or one document of objects, whatever the file is called."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from activelora.formats.json_objects import as_object, excerpt, no_object, no_objects, object_of, reason_of, row_of
from activelora.formats.limits import MAX_TEXT_BYTES, in_words
from activelora.formats.problems import Collector, RowError
from activelora.formats.row import Row
from activelora.formats.text import TextLines, as_utf8
from activelora.formats.unpack import head_of

_PART_BYTES = 1 << 18
_LONGEST_SIGN = 16
"""Characters: more than a literal or an escape has."""
_BLANK = re.compile(r"[ \t\r\n]*")
_BETWEEN = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*(?:\x1a\s*\Z)?")
"""What may stand between values; at the end of the file, also the sign of its end (Ctrl-Z)."""
_LINE_REMEDY = "Each line must be one JSON object."
_END = "; what comes after it is not read"


def read_json(file: BinaryIO, name: str, problems: Collector) -> Iterator[Row]:
    """Yield the objects of a file: of its lines, or of its arrays and objects that span lines.

    Args:
        file: The open file, at its beginning.
        name: Its name.
        problems: Collector of what is wrong.
    """
    text = as_utf8(file, name)
    if not is_document(text) or ((arrays := _array_lines(text)) and all(map(as_object, arrays))):
        return read_json_lines(text, name, problems)
    if arrays:
        problems.add(no_objects(arrays[0], name, 1))
        return iter(())
    return _document(text, name, problems)


def _array_lines(file: BinaryIO) -> list[list[Any]]:
    """Return the first two lines of a file whose lines are arrays of values, as of a text and its label; else none."""
    lines = [line for line in head_of(file).split(b"\n") if line.strip()][:2]
    try:
        arrays = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        return []
    return arrays if all(map(_is_array, arrays)) else []


def _is_array(line: Any) -> bool:
    """Tell whether a line is an array of values or a text with an object, and not a list of rows."""
    if not isinstance(line, list) or not line or isinstance(line[0], dict | list):
        return False
    return (len(line) == 2 and isinstance(line[0], str)) or not any(isinstance(value, dict) for value in line)


def is_document(file: BinaryIO) -> bool:
    """Tell whether a file of UTF-8 text is an array or pretty-printed objects, and not an object a line.

    Args:
        file: The open file, at its beginning.
    """
    lines = head_of(file).split(b"\n")
    filled = [line.strip() for line in lines if line.strip()]
    if not filled or not filled[0].startswith((b"[", b"{")):
        return False
    if filled[0].startswith(b"["):
        return True
    if len(filled) == 1:
        return False
    return not filled[0].endswith(b"}") and not filled[1].startswith(b"{")


def read_json_lines(file: BinaryIO, name: str, problems: Collector, first: int = 1) -> Iterator[Row]:
    """Yield one row a line. Blank lines are passed over.

    Args:
        file: The open file of UTF-8 text.
        name: Its name.
        problems: Collector of what is wrong.
        first: The number of its first line, where it is a part of a file.
    """
    for number, text in TextLines(file, name, problems, first):
        if text is None or not text.strip():
            continue
        try:
            values = json.loads(text, object_pairs_hook=object_of)
        except json.JSONDecodeError as error:
            problem = f"is not valid JSON: {error.msg} at character {error.pos + 1}: {excerpt(text, error.pos)}"
            problems.add(RowError(problem, name, number, _LINE_REMEDY))
        except (ValueError, RecursionError) as error:
            problems.add(RowError(f"cannot be read as JSON: {reason_of(error)}", name, number))
        else:
            if row := row_of(values, name, number, problems):
                yield row


def _document(file: BinaryIO, name: str, problems: Collector) -> Iterator[Row]:
    """Yield the objects of a document; the first thing that is no JSON ends it, in one message."""
    text = _Text(file, name)
    elements = _Elements(text, problems)
    try:
        while text.skip(_BETWEEN):
            if not text.takes("["):
                yield from elements.take()
                continue
            while text.skip(_BLANK) and not text.takes("]"):
                yield from elements.take()
                text.skip(_BLANK)
                if not text.takes(",") and text.sign != "]":
                    raise text.error("expected a comma or the end of the list" if text.sign else "the list has no end")
            if not text.is_closed:
                raise text.error("the list has no end")
    except RowError as error:
        elements.add(error)
    elements.close()


class _Elements:
    """The values of a document, one after the other. Where the first two are no objects, none is."""

    def __init__(self, text: _Text, problems: Collector) -> None:
        self._text = text
        self._problems = problems
        self._num = 0
        self._waiting: RowError | None = None

    def take(self) -> Iterator[Row]:
        """Yield the next value as a row, if it is one.

        Raises:
            RowError: It is no JSON, or no value so far was an object.
        """
        line = self._text.line
        self._num += 1
        try:
            values = self._text.take()
        except _UnusableError as error:
            self.add(RowError(f"cannot be read as JSON: {error}", self._text.name, line))
            return
        if (row := as_object(values)) is not None:
            self.close()
            yield Row(row, self._text.name, line)
        elif self._num == 1:
            self._first = values, line
            self._waiting = no_object(values, self._text.name, line)
        elif self._num == 2 and self._waiting is not None:
            self._waiting = None
            raise no_objects(self._first[0], self._text.name, self._first[1])
        else:
            self.add(no_object(values, self._text.name, line))

    def add(self, error: RowError) -> None:
        """Tell a problem, after what waits."""
        self.close()
        self._problems.add(error)

    def close(self) -> None:
        """Tell what is wrong with the first value, which the second one did not share."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._problems.add(waiting)


class _UnusableError(Exception):
    """An element is JSON, and no row."""


class _Text:
    """A document's text, of which a little is held at a time."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.line = 1
        self.is_closed = False
        """Whether what was taken last is the end of a list."""
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._is_whole = False
        self._json = json.JSONDecoder(object_pairs_hook=object_of)
        self._lenient = json.JSONDecoder(parse_int=str)

    @property
    def sign(self) -> str:
        """The next character; none at the end."""
        return self._text[self._at : self._at + 1]

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Pass over what matches and tell whether anything comes after it."""
        while True:
            match = pattern.match(self._text, self._at)
            assert match is not None, "an empty text matches"  # noqa: S101
            if match.end() < len(self._text) or not self._more():
                self._pass(match.end())
                return self._at < len(self._text)

    def takes(self, sign: str) -> bool:
        """Take the next character if it is that one."""
        if self.sign != sign:
            return False
        self.is_closed = sign == "]"
        self._pass(self._at + 1)
        return True

    def take(self) -> Any:
        """Take the next value.

        Raises:
            RowError: It is no JSON, or too long.
            _UnusableError: It is, and cannot be used; it is taken.
        """
        decoder = self._json
        unusable = ""
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > MAX_TEXT_BYTES:
                    raise self.error(f"a value is longer than {in_words(MAX_TEXT_BYTES)}") from None
                # Only an open string is told at its beginning; all else that more text could heal is at the end.
                is_cut = error.msg.startswith("Unterminated") or error.pos + _LONGEST_SIGN >= len(self._text)
                if not is_cut or not self._more():
                    raise self._broken(error) from None
            except RecursionError:
                raise self.error("nested too deeply") from None
            except ValueError as error:  # the end is found by a reader that takes anything
                unusable, decoder = reason_of(error), self._lenient
            else:
                if end == len(self._text) and self._more():
                    continue  # a number may go on
                self._pass(end)
                if unusable:
                    raise _UnusableError(unusable)
                return value

    def error(self, reason: str) -> RowError:
        """Return the problem of a document that cannot be read on."""
        return RowError(f"is not valid JSON: {reason}{_END}", self.name, self.line, self._remedy)

    def _broken(self, error: json.JSONDecodeError) -> RowError:
        line = self.line + self._text.count("\n", self._at, error.pos)
        problem = f"is not valid JSON: {error.msg}: {excerpt(self._text[max(0, error.pos - 80) :], min(error.pos, 80))}"
        return RowError(problem + _END, self.name, line, self._remedy)

    _remedy = "The file must be one JSON list of objects, or one object a line."

    def _pass(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def _more(self) -> bool:
        """Read more text, as much again as there is; return whether there was any.

        Raises:
            RowError: It is no text.
        """
        if self._is_whole:
            return False
        data = self._file.read(max(_PART_BYTES, len(self._text) - self._at))
        self._is_whole = not data
        try:
            more = self._decoder.decode(data, final=self._is_whole)
        except UnicodeDecodeError as error:
            line = self.line + self._text.count("\n", self._at) + error.object.count(b"\n", 0, error.start)
            problem = f"is not UTF-8 text: byte 0x{error.object[error.start]:02x} ({error.reason}){_END}"
            raise RowError(problem, self.name, line, "Save it as UTF-8 text.") from None
        if self._is_whole:
            return False
        self._text = self._text[self._at :] + more
        self._at = 0
        return True
