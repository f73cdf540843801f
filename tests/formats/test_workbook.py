"""Tables written as workbooks: text stays text, and what a sheet cannot hold is refused."""

import io

import openpyxl
import pytest

from activelora.errors import DataError
from activelora.formats.workbook import MAX_CELL_CHARS, workbook_bytes

ODD = ["=1+1", "+41", "007", "2024-01-31", "a\nb", "日本 👩", "TRUE", "x" * MAX_CELL_CHARS]


def cells(content):
    return list(openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows())


def test_every_cell_is_text_as_it_was():
    header, *rows = cells(workbook_bytes(["name"], [[text] for text in ODD]))
    assert [cell.value for cell in header] == ["name"]
    assert [row[0].value for row in rows] == ODD
    assert {row[0].data_type for row in rows} == {"s"}


def test_characters_that_no_workbook_holds_are_left_out():
    assert cells(workbook_bytes(["a"], [["x\x00\x1by\ud800"]]))[1][0].value == "xy?"


def test_a_text_that_no_cell_holds_is_refused():
    with pytest.raises(DataError, match="row 2 is longer than a cell"):
        workbook_bytes(["a"], [["x" * (MAX_CELL_CHARS + 1)]])
