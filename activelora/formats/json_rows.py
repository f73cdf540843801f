"""JSON as rows: an object a line, or one document of objects, whatever the file is called."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

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
    return _document(text, name, problems) if is_document(text) else read_json_lines(text, name, problems)


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
            values = json.loads(text, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            problem = f"is not valid JSON: {error.msg} at character {error.pos + 1}: {_excerpt(text, error.pos)}"
            problems.add(RowError(problem, name, number, _LINE_REMEDY))
        except (ValueError, RecursionError) as error:
            problems.add(RowError(f"cannot be read as JSON: {_reason(error)}", name, number))
        else:
            if row := _row(values, name, number, problems):
                yield row


def _document(file: BinaryIO, name: str, problems: Collector) -> Iterator[Row]:
    """Yield the objects of a document; the first thing that is no JSON ends it, in one message."""
    text = _Text(file, name)
    try:
        while text.skip(_BETWEEN):
            if not text.takes("["):
                yield from _element(text, problems)
                continue
            while text.skip(_BLANK) and not text.takes("]"):
                yield from _element(text, problems)
                text.skip(_BLANK)
                if not text.takes(",") and text.sign != "]":
                    raise text.error("expected a comma or the end of the list" if text.sign else "the list has no end")
            if not text.is_closed:
                raise text.error("the list has no end")
    except RowError as error:
        problems.add(error)


def _element(text: _Text, problems: Collector) -> Iterator[Row]:
    line = text.line
    try:
        values = text.take()
    except _UnusableError as error:
        problems.add(RowError(f"cannot be read as JSON: {error}", text.name, line))
        return
    if row := _row(values, text.name, line, problems):
        yield row


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
        self._json = json.JSONDecoder(object_pairs_hook=_object)
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
                unusable, decoder = str(error), self._lenient
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
        problem = (
            f"is not valid JSON: {error.msg}: {_excerpt(self._text[max(0, error.pos - 80) :], min(error.pos, 80))}"
        )
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


def _row(values: Any, name: str, number: int, problems: Collector) -> Row | None:
    if isinstance(values, dict):
        return Row(values, name, number)
    kind = "a list" if isinstance(values, list) else "a single value"
    shown = _excerpt(json.dumps(values, ensure_ascii=False))
    remedy = 'Each row must be one JSON object, such as {"text": "..."}.'
    problems.add(RowError(f"holds {kind}, not an object: {shown}", name, number, remedy))
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"it names a column twice: {', '.join(twice)}")
    return values


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _excerpt(text: str, position: int = 0) -> str:
    begin = max(0, position - 20)
    return repr(text.rstrip("\r\n")[begin : begin + 60])
