"""Rows of Excel's workbooks (.xlsx), with numbers and dates as people see them."""

from __future__ import annotations

import datetime
import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from activelora.errors import ActiveLoRAError
from activelora.formats.limits import MAX_SPREADSHEET_BYTES, in_words
from activelora.formats.problems import Collector, RowError, missing_column
from activelora.formats.row import Row, Wanted

_PART_BYTES = 1 << 20
_NO_RESULT = re.compile(
    rb"<c\b(?![^<>]*\bt=.str)[^<>]*>\s*<f\b[^<>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>"
)
"""A cell with a formula and no result. An empty text is one: such a cell says that it holds text."""
_LONGEST_CELL = 1 << 16
_REMEDY = "Open it in a spreadsheet program and save it as .xlsx or as CSV."


def is_workbook(file: BinaryIO) -> bool:
    """Tell whether a zip archive is a workbook.

    Args:
        file: The open file; seekable. It is left at its beginning.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return "[Content_Types].xml" in archive.namelist() and any(
                name.startswith("xl/") for name in archive.namelist()
            )
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    finally:
        file.seek(0)


def read_xlsx(file: BinaryIO, name: str, wanted: Wanted | None, problems: Collector) -> Iterator[Row]:
    """Yield the rows of a workbook's first visible sheet. The first row that is not empty names the columns.

    Args:
        file: The open file; seekable.
        name: Its name.
        wanted: The columns to read; None are all.
        problems: Collector of what is wrong.
    """
    number = 0
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(part.file_size for part in archive.infolist())
        if size > MAX_SPREADSHEET_BYTES:
            problem = f"unpacks to {in_words(size)}, at most {in_words(MAX_SPREADSHEET_BYTES)} are read"
            problems.add(RowError(problem, name, None, "Save it as CSV."))
            return
        header: dict[int, str] | None = None
        is_index_said = False
        for number, cells in _sheet(file, name, problems):
            if all(value is None for value, _ in cells):
                continue
            if header is None:
                header = _header(cells, name, number, wanted, problems)
                if header is None:
                    return
            elif values := _values(header, cells, name, number, problems):
                if not is_index_said and 0 not in header and cells[0][0] is not None:
                    problems.note(f"{name}: the header gives the first column no name; it was not read")
                    is_index_said = True
                yield Row(values, name, number)
        if header is None:
            problems.add(RowError("its first sheet is empty", name, None, "The sheet that is read must come first."))
    except ActiveLoRAError:
        raise
    # openpyxl has no error of its own: it raises what its parts do, from KeyError to those of zlib and the XML parser.
    except Exception as error:
        problems.add(_broken(error, name, number))


def _broken(error: Exception, name: str, number: int) -> RowError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    line = number + 1 if number else None
    after = "; what comes after it is not read" if number else ""
    return RowError(f"is not a workbook that can be read: {reason}{after}", name, line, _REMEDY)


def _sheet(file: BinaryIO, name: str, problems: Collector) -> Iterator[tuple[int, list[tuple[Any, str]]]]:
    """Yield number, and values with their types, of every row of the first sheet that is not hidden."""
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # styles and extensions that it leaves out are no loss
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        try:
            sheets = book.worksheets
            if not sheets:
                raise ValueError("it has no sheet")
            sheet = next((one for one in sheets if not _is_hidden(one)), sheets[0])
            if len(sheets) > 1:
                which = "its first sheet" if sheet is sheets[0] else "its first visible sheet"
                others = [one for one in sheets if one is not sheet][:5]
                shown = ", ".join(f"`{one.title}`{' (hidden)' * _is_hidden(one)}" for one in others)
                problems.note(f"{name}: only {which} `{sheet.title}` was read, not {shown}")
            if _has_unknown_results(file, str(getattr(sheet, "_worksheet_path", ""))):
                raise ValueError("it has formulas whose results were never worked out")
            sheet.reset_dimensions()  # what it says of its size may be wrong
            for number, row in enumerate(sheet.iter_rows(), 1):
                yield number, [(_plain(cell.value), cell.data_type) for cell in row]
        finally:
            book.close()


def _is_hidden(sheet: Any) -> bool:
    return getattr(sheet, "sheet_state", "visible") != "visible"


def _has_unknown_results(file: BinaryIO, part: str) -> bool:
    """Tell whether a sheet has formulas without their results, as programs write them: they would read as nothing."""
    with zipfile.ZipFile(file) as archive, archive.open(part) as sheet:
        before = b""
        while content := sheet.read(_PART_BYTES):
            if _NO_RESULT.search(before + content):
                return True
            before = content[-_LONGEST_CELL:]
    return False


def _plain(value: Any) -> Any:
    """Return a cell's value as it is shown: whole numbers without a fraction, days without midnight."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date()
    if isinstance(value, datetime.timedelta):
        return str(value)
    return None if value == "" else value


def _header(
    cells: list[tuple[Any, str]], name: str, number: int, wanted: Wanted | None, problems: Collector
) -> dict[int, str] | None:
    """Return the names of columns by their position; None if they cannot be used, which the problems tell."""
    names = {at: str(value).strip() for at, (value, _) in enumerate(cells) if value is not None}
    names = {at: column for at, column in names.items() if column}
    present = tuple(names.values())
    if twice := sorted({column for column in present if present.count(column) > 1}):
        problems.add(RowError(f"the header names a column twice: {', '.join(twice)}", name, number))
        return None
    missing = wanted.missing(present) if wanted else []
    for column in missing:
        error = missing_column(column, present, name)
        problems.add(RowError(error.problem, name, number, error.remedy))
    return None if missing else names


def _values(
    header: dict[int, str], cells: list[tuple[Any, str]], name: str, number: int, problems: Collector
) -> dict[str, Any] | None:
    """Return a row's values; None if it does not fit, which the problems tell."""
    for at, (value, kind) in enumerate(cells):
        if value is None:
            continue
        if at not in header and at > 0:  # an index in front has no name
            problem = f"has text in column {at + 1}, and the header gives it no name"
            problems.add(RowError(problem, name, number, "Name the column, or remove it."))
            return None
        if kind == "e":
            problems.add(RowError(f"column `{header.get(at, at + 1)}` holds the error {value}", name, number))
            return None
    return {column: cells[at][0] if at < len(cells) else None for at, column in header.items()}
