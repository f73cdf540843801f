"""What a file is, in words: format, delimiter, encoding, packing."""

from __future__ import annotations

import codecs
from typing import BinaryIO

from activelora.formats.delimited import delimiter_of
from activelora.formats.problems import Collector
from activelora.formats.reader import Format, Opened
from activelora.formats.unpack import head_of

_NAMES: dict[Format, str] = {"jsonl": "JSON", "parquet": "Parquet", "arrow": "Arrow", "xlsx": "an Excel workbook"}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF8: "UTF-8 with a mark",
}


def described(file: BinaryIO, name: str, problems: Collector, declared: Format | None = None) -> str:
    """Return what a file is read as, such as `CSV by semicolons, UTF-16, packed`.

    Args:
        file: The open file; seekable. It is left anywhere.
        name: Its name.
        problems: Takes what is wrong with its beginning.
        declared: What somebody says that it holds.

    Raises:
        DataError: It is empty, damaged, or nothing that is read.
    """
    with Opened(file, name, declared) as opened:
        words = _NAMES.get(opened.format, "")
        if opened.format in ("csv", "jsonl"):
            head = head_of(opened.file)
            encoding = next((words for mark, words in _MARKS.items() if head.startswith(mark)), "")
            if opened.format == "csv":
                sign = delimiter_of(opened.file, name, problems)
                words = f"text by {_DELIMITERS.get(sign, repr(sign))}"
            words += f", {encoding}" if encoding else ""
        return words + (", packed" if opened.file is not file and opened.format in ("csv", "jsonl") else "")
