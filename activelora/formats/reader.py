"""From bytes to rows: what a file is, by its content first and its name second, and the rows that it holds."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import IO, BinaryIO, Literal, Self, cast

from activelora.errors import DataError
from activelora.formats.delimited import read_csv
from activelora.formats.json_rows import read_json
from activelora.formats.problems import Collector, RowError
from activelora.formats.row import Row, Wanted, with_inner
from activelora.formats.unpack import ENDINGS, head_of, unpacked

Format = Literal["jsonl", "csv", "parquet", "arrow", "xlsx"]
"""``jsonl`` is JSON of any layout, ``csv`` text by any delimiter."""
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
"""Endings of names, in lower case, without those of packed files."""
KNOWN = ".jsonl, .csv or .parquet"
_BINARY: dict[bytes, Format] = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}
_FOREIGN = {
    b"\xd0\xcf\x11\xe0": ("an old workbook (.xls), or one with a password", "Save it as .xlsx without one, or as CSV."),
    b"BZh": ("a bzip2 archive", "Unpack it, or pack it with gzip or Zstandard."),
    b"\xfd7zXZ\x00": ("an xz archive", "Unpack it, or pack it with gzip or Zstandard."),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "Unpack it."),
    b"SQLite format 3": ("an SQLite database", "Export the table as CSV."),
    b"ORC": ("an ORC file", "Convert it to Parquet."),
    b"Obj\x01": ("an Avro file", "Convert it to Parquet."),
    b"%PDF": ("a PDF file", "Export its table as CSV."),
}
_SPOOL_BYTES = 32 << 20
"""Unpacked Parquet, Arrow and workbooks larger than this are put on disk, as they are not read from front to back."""
_ZIP = b"PK\x03\x04"
_TAR = (b"ustar\x00", b"ustar ")


def format_of_name(name: str) -> Format | None:
    """Return the format that a file's name tells, packed or not; None if it tells none."""
    name = name.lower()
    for packed in ENDINGS:
        name = name.removesuffix(packed)
    return next((format_ for ending, format_ in FORMATS.items() if name.endswith(ending)), None)


def format_of(name: str, head: bytes) -> Format | None:
    """Return the format of a file, by its first unpacked bytes and by its name; None if neither tells.

    Args:
        name: Its name.
        head: Its first bytes, a few hundred of them.

    Raises:
        RowError: It is something that is not read, such as a PDF file.
    """
    for magic, (what, remedy) in _FOREIGN.items():
        if head.startswith(magic) and not (magic.isalnum() and format_of_name(name) in ("csv", "jsonl")):
            raise RowError(f"is {what}, which is not read", name, None, remedy)
    if head[257:263] in _TAR and b"\x00" in head[:257]:
        raise RowError("is a tar archive, which is not read", name, None, "Unpack it.")
    for magic, format_ in _BINARY.items():
        if head.startswith(magic) and not (magic == b"PAR1" and format_of_name(name) == "csv" and head.isascii()):
            return format_
    if head.startswith(_ZIP):
        return "xlsx"
    return format_of_name(name)


class Opened:
    """An open file, of which is known what it is.

    Attributes:
        file: Its unpacked content, at its beginning; seekable where the format needs that.
        format: What it holds.
    """

    def __init__(self, file: BinaryIO, name: str, declared: Format | None = None) -> None:
        """Look at the first bytes.

        Args:
            file: The open file: seekable, or a pipe with a buffer.
            name: Its name.
            declared: What somebody says that it holds, where neither content nor name need tell.

        Raises:
            DataError: It is empty, damaged, or nothing that is read.
        """
        self.name = name
        self.file = unpacked(file, name)
        head = head_of(self.file)
        if not head:
            raise RowError("the file is empty", name, None, "Fill it or remove it.")
        found = format_of(name, head)
        if found in ("jsonl", "csv", None) and declared is not None:
            found = declared
        if found is None:
            problem = f"the format cannot be told from the file's ending; expected {KNOWN}"
            raise RowError(problem, name, None, "Rename it, or set `format` beside its `path`.")
        self.format: Format = found
        self._spool: IO[bytes] | None = None
        if found in ("parquet", "arrow", "xlsx") and not self.file.seekable():
            self._spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - closed with this object
            try:
                shutil.copyfileobj(self.file, self._spool)
            except BaseException:
                self._spool.close()
                raise
            self._spool.seek(0)
            self.file = cast(BinaryIO, self._spool)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Throw away what was unpacked; the file itself stays open."""
        if self._spool is not None:
            self._spool.close()


def read_table(
    file: BinaryIO,
    name: str,
    problems: Collector,
    wanted: Wanted | None = None,
    declared: Format | None = None,
    constants: Mapping[str, str | None] = {},
) -> Iterator[Row]:
    """Yield the rows of a file. Nothing is lost: what is not among them is told to the problems.

    Args:
        file: The open file; seekable.
        name: Its name, for messages and where its content does not tell what it is.
        problems: Collector of what is wrong, and of what should be known.
        wanted: The columns to read; None are all. Formats with a header are refused where one is missing that is
            required; rows of JSON are checked by the caller.
        declared: What somebody says that it holds.
        constants: Columns that every row has, unless the file has them itself.
    """
    try:
        with Opened(file, name, declared) as opened:
            yield from read_opened(opened, problems, wanted, constants)
    except DataError as error:
        problems.add(error if isinstance(error, RowError) else RowError(error.problem, name, None, error.remedy))


def read_opened(
    opened: Opened, problems: Collector, wanted: Wanted | None = None, constants: Mapping[str, str | None] = {}
) -> Iterator[Row]:
    """Yield the rows of a file that was opened, as :func:`read_table` does.

    Raises:
        DataError: It is damaged.
    """
    inside = wanted and replace(wanted, required=tuple(name for name in wanted.required if name not in constants))
    dotted = tuple(name for name in wanted.names if "." in name) if wanted else ()
    for row in _rows(opened, inside, problems):
        values = {**constants, **row.values} if constants else row.values
        if dotted:
            values = with_inner(values, dotted)
        yield row if values is row.values else Row(values, row.file, row.line)


def _rows(opened: Opened, wanted: Wanted | None, problems: Collector) -> Iterator[Row]:
    if opened.format == "jsonl":
        return read_json(opened.file, opened.name, problems)
    if opened.format == "csv":
        return read_csv(opened.file, opened.name, wanted, problems)
    read: Callable[[BinaryIO, str, Wanted | None, Collector], Iterator[Row]]
    if opened.format == "xlsx":
        from activelora.formats.spreadsheet import is_workbook, read_xlsx

        if not is_workbook(opened.file):
            what = "a zip archive" if head_of(opened.file).startswith(_ZIP) else "no workbook that can be read"
            raise RowError(f"is {what}, expected a table", opened.name, None, "Unpack it, or save it as CSV.")
        read = read_xlsx
    elif opened.format == "parquet":
        from activelora.formats.arrow_rows import read_parquet as read
    else:
        from activelora.formats.arrow_rows import read_arrow as read
    return read(opened.file, opened.name, wanted, problems)
