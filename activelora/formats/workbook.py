"""A table as an Excel workbook."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from activelora.errors import DataError

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

MAX_ROWS, MAX_CELL_CHARS = 1_048_576, 32_767
"""What a sheet can hold: rows, its header among them, and characters in a cell."""


def workbook_bytes(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a workbook of one sheet. Every cell is text: none is taken for a formula, a number or a date.

    Characters that no workbook can hold are left out.

    Raises:
        DataError: There are more rows, or a longer text, than a sheet can hold.
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("labels")
    try:
        _fill(sheet, header, rows)
    except BaseException:
        sheet.close()  # its own file is open
        raise
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _fill(sheet: WriteOnlyWorksheet, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for number, row in enumerate(itertools.chain([header], rows), 1):
        if number > MAX_ROWS:
            raise DataError(f"there are more rows than a sheet of Excel holds: {MAX_ROWS:,}", remedy="Write .csv.")
        cells = []
        for text in row:
            if len(text) > MAX_CELL_CHARS:
                problem = f"a text of row {number} is longer than a cell of Excel holds: {MAX_CELL_CHARS:,} characters"
                raise DataError(problem, remedy="Write .csv.")
            cells.append(text_cell(sheet, text))
        sheet.append(cells)


def text_cell(sheet: WriteOnlyWorksheet, text: str, max_chars: int | None = None) -> Cell:
    """Return a cell that is a text whatever it looks like, without the characters that no workbook can hold.

    Args:
        sheet: The sheet that it will be in.
        text: The text.
        max_chars: Characters after which it is cut; None cuts nothing.
    """
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", text.encode(errors="replace").decode())[:max_chars])
    cell.data_type = "s"  # a text that begins with = is no formula
    return cell
