"""Excel's workbooks, as people see them."""

import datetime
import io
import re
import zipfile

import openpyxl
import pytest

from activelora.formats import spreadsheet
from activelora.formats.row import Wanted
from tests.formats.tables import read, values, xlsx


def test_numbers_and_dates_as_they_are_shown():
    day = datetime.datetime(2026, 1, 31)
    moment = datetime.datetime(2026, 1, 31, 9, 30)
    content = xlsx([["text", "n", "x", "day", "at", "yes"], ["a", 1.0, 1.5, day, moment, True]])
    assert values(content, "a.xlsx") == [
        {"text": "a", "n": 1, "x": 1.5, "day": day.date(), "at": moment, "yes": True},
    ]


def test_empty_rows_and_cells_and_the_rows_numbers():
    rows, said = read(xlsx([[], ["text", "label"], [], ["a"], [None, None], ["b", "x"]]), "a.xlsx")
    assert [(row.line, row.values) for row in rows] == [
        (4, {"text": "a", "label": None}),
        (6, {"text": "b", "label": "x"}),
    ]
    assert said.problems == []


def test_other_sheets_are_said():
    rows, said = read(xlsx([["text"], ["a"]], [["text"], ["b"]]), "a.xlsx")
    assert [row.values["text"] for row in rows] == ["a"]
    assert said.notes == ["a.xlsx: only its first sheet `sheet 0` was read, not `sheet 1`"]


def test_what_is_wrong_in_a_row_costs_that_row():
    content = xlsx([["text", "label"], ["a", "x", "more"], ["#N/A", "x"], ["b", "y"]])
    rows, said = read(content, "a.xlsx")
    assert [row.values["text"] for row in rows] == ["b"]
    assert "a.xlsx:2: has text in column 3, and the header gives it no name" in said.problems[0]
    assert "a.xlsx:3: column `text` holds the error #N/A" in said.problems[1]


def test_headers_that_cannot_be_used():
    assert "names a column twice: text" in read(xlsx([["text", "text"], ["a", "b"]]), "a.xlsx")[1].problems[0]
    assert "there is no column `text`" in read(xlsx([["Text"], ["a"]]), "a.xlsx", Wanted(("text",)))[1].problems[0]
    assert "its first sheet is empty" in read(xlsx([]), "a.xlsx")[1].problems[0]


def test_an_index_without_a_name_is_said():
    rows, said = read(xlsx([[None, "text"], [0, "a"]]), "a.xlsx")
    assert [row.values for row in rows] == [{"text": "a"}]
    assert said.notes == ["a.xlsx: the header gives the first column no name; it was not read"]


def test_formulas_whose_results_nobody_has_worked_out():
    content = xlsx([["text", "n"], ["a", "=1+1"]])
    rows, said = read(content, "a.xlsx")
    assert rows == []
    assert "it has formulas whose results were never worked out" in said.problems[0]
    assert "Open it in a spreadsheet program" in said.problems[0]
    empty = damaged(content, SHEET, lambda body: re.sub(rb'(<c r="B2")[^>]*>', rb'\1 t="str">', body))
    assert values(empty, "a.xlsx") == [{"text": "a", "n": None}]
    worked_out = damaged(content, SHEET, lambda body: re.sub(rb"</f><v\s*/>|</f><v></v>", b"</f><v>2</v>", body))
    assert values(worked_out, "a.xlsx") == [{"text": "a", "n": 2}]


def damaged(content, part, change):
    """Return a workbook of which one part is changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(made, "w") as other:
        for name in archive.namelist():
            body = archive.read(name)
            other.writestr(name, change(body) if name == part else body)
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"ha") for n in range(9))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        (SHEET, lambda body: body[:-40]),
        (SHEET, lambda body: b""),
        (SHEET, lambda body: body.replace(b"<v>", b"<v>x")),
        (SHEET, lambda body: b"<!DOCTYPE x [" + LAUGHS + b"]>" + body.replace(b"<v>", b"<v>&l8;")),
        ("xl/workbook.xml", lambda body: b"<a/>"),
        ("[Content_Types].xml", lambda body: b"no xml"),
        ("xl/styles.xml", lambda body: body[:50]),
    ],
)
def test_damaged_workbooks_are_a_message(part, change):
    content = damaged(xlsx([["text", "n"], ["a", 1], ["b", 2]]), part, change)
    _, said = read(content, "a.xlsx")
    assert len(said.errors) == 1
    assert "is not a workbook that can be read" in said.problems[0]


def test_a_workbook_that_is_far_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(spreadsheet, "MAX_SPREADSHEET_BYTES", 1 << 20)
    content = damaged(xlsx([["text"], ["a"]]), SHEET, lambda body: body.replace(b"</sheetData>", b" " * (2 << 20)))
    _, said = read(content, "a.xlsx")
    assert "a.xlsx: unpacks to 2 MiB, at most 1 MiB are read. Save it as CSV." in said.problems


def test_a_sheet_that_says_it_is_of_another_size():
    book = openpyxl.Workbook()
    for row in (["text", "label"], ["a", "x"]):
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    for size in (b"A1:XFD1048576", b"A1"):
        content = damaged(buffer.getvalue(), SHEET, lambda body, size=size: body.replace(b"A1:B2", size))
        assert values(content, "a.xlsx") == [{"text": "a", "label": "x"}]


def test_a_hidden_sheet_is_passed_over_and_said():
    book = openpyxl.load_workbook(io.BytesIO(xlsx([["notes"], ["x"]], [["text"], ["a"]], [["more"]])))
    book.worksheets[0].sheet_state = "hidden"
    book.active = 1
    buffer = io.BytesIO()
    book.save(buffer)
    rows, said = read(buffer.getvalue(), "a.xlsx")
    assert [row.values for row in rows] == [{"text": "a"}]
    assert said.notes == ["a.xlsx: only its first visible sheet `sheet 1` was read, not `sheet 0` (hidden), `sheet 2`"]
