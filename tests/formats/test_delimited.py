"""CSV as it is met: by any delimiter and encoding, with rows that are short, long or no CSV."""

import csv

import pytest

from activelora.formats import limits
from activelora.formats.row import Wanted
from tests.formats.tables import csv_bytes, read, values

ROWS = [{"text": f"message {n}, please", "label": "ab"[n % 2]} for n in range(5)]
BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_delimiters_line_ends_and_encodings(delimiter, end, encoding):
    rows = [{**row, "é": "中\U0001f600"} for row in ROWS]
    assert values(csv_bytes(rows, encoding, delimiter=delimiter, lineterminator=end)) == rows


@pytest.mark.parametrize("line", [b"sep=;\r\n", b"SEP=;\n", b'"sep=;"\r\n', BOM + b"sep=;;\r\n"])
def test_the_line_by_which_excel_is_told_the_delimiter(line):
    rows, said = read(line + b"text;label\r\na, b;x\r\n")
    assert [(row.values, row.line) for row in rows] == [({"text": "a, b", "label": "x"}, 3)]
    assert said.problems == []


def test_a_comma_within_the_name_of_a_column():
    content = b"text;label;note (short, free)\r\nhello;a;\r\nbye;b;\r\n"
    assert values(content)[0] == {"text": "hello", "label": "a", "note (short, free)": ""}


def test_the_wanted_columns_tell_the_delimiter():
    content = b"text;label,other,more\na;b,c,d\n"
    assert list(values(content)[0]) == ["text;label", "other", "more"]
    assert list(values(content, wanted=Wanted(("text",)))[0]) == ["text", "label,other,more"]


def test_one_column_needs_no_delimiter():
    assert values(b"text\nhello\nbye\n") == [{"text": "hello"}, {"text": "bye"}]


def test_short_rows_are_filled_and_empty_ones_passed_over():
    content = b"text,label,note\na,x\nb\n,,\n\nc,y,z,,\n"
    assert [[*row.values()] for row in values(content)] == [["a", "x", ""], ["b", "", ""], ["c", "y", "z"]]


def test_a_row_of_too_many_cells_is_reported_with_its_line():
    rows, said = read(b'text,label\na,x\nb, c,y\n"d, e",z\n')
    assert [row.line for row in rows] == [2, 4]
    assert "a.csv:3: has 3 values where the header names 2 columns: a ',' needs quotes" in said.problems[0]
    assert [error.line for error in said.errors] == [3]


def test_columns_without_a_name():
    rows, said = read(b"text,label,,\na,x,,\nb,y,,z\n")
    assert [row.values for row in rows] == [{"text": "a", "label": "x"}]
    assert said.problems[0].startswith("a.csv:3: has 4 values where the header names 2 columns")
    rows, said = read(b"text,,,label\na,,,x\nb,c,d,y\n")
    assert [row.values for row in rows] == [{"text": "a", "label": "x"}]
    assert said.problems[0].startswith("a.csv:3: has text in column 2, 3, and the header gives no name to column 2, 3")


def test_the_index_that_pandas_writes_is_passed_over_and_said():
    rows, said = read(b",text,label\n0,a,x\n1,b,y\n")
    assert [row.values["text"] for row in rows] == ["a", "b"]
    assert said.problems == []
    assert said.notes == ["a.csv: the header gives the first column no name; it was not read"]


def test_windows_text_is_read_and_said_once():
    content = csv_bytes([{"text": "é", "label": "ü"}, {"text": "plain", "label": "€"}], "cp1252")
    rows, said = read(content)
    assert [row.values for row in rows] == [{"text": "é", "label": "ü"}, {"text": "plain", "label": "€"}]
    assert said.problems == []
    assert said.notes == [
        "a.csv: is not UTF-8 text (line 2) and was read as Windows-1252: if its letters look wrong, save it as UTF-8"
    ]


@pytest.mark.parametrize(
    ("text", "encoding"), [("привет", "cp1251"), ("γειά σου", "cp1253"), ("Добрый день", "koi8-r")]
)
def test_text_of_another_alphabet_is_never_taken_for_windows_text(text, encoding):
    rows, said = read(csv_bytes([{"text": "plain", "label": "a"}, {"text": text, "label": "b"}], encoding))
    assert [row.values["text"] for row in rows] == ["plain"]
    assert "a.csv:3: is neither UTF-8 nor Windows-1252 text, in which it would read" in said.problems[0]
    assert said.notes == []


def test_windows_text_and_utf8_in_one_file_are_never_mixed():
    utf8, windows = "é,x\n".encode(), "é,x\n".encode("cp1252")
    rows, said = read(b"text,label\n" + utf8 + windows)
    assert [row.values["text"] for row in rows] == ["é"]
    assert said.problems == [
        "a.csv:3: is not UTF-8 text: byte 0xe9 at byte 1 (invalid continuation byte). Save it as UTF-8 text."
    ]
    rows, said = read(b"text,label\n" + windows + utf8)
    assert "a.csv:3: is UTF-8 text, and line 2 is not" in said.problems[0]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b'text,label\na,x\n"b"c,y\nd,z\n', 3, "it has text behind a closing quote"),
        (b'text,label\na,x\n"b,y\nd,z\n', 3, "it opens a quote that is never closed"),
        (b"text,label\na,x\nb\x00,y\nd,z\n", 3, "holds a NUL byte at byte 2"),
        (b'text,label\na,x\n"b\n\x81",y\nd,z\n', 4, "is neither UTF-8 nor Windows-1252 text: byte 0x81"),
    ],
)
def test_a_row_that_is_no_csv_costs_that_row(content, line, words):
    rows, said = read(content)
    assert [row.values["text"] for row in rows] == ["a", "d"]
    assert [error.line for error in said.errors] == [line]
    assert words in said.problems[0]


def test_after_a_hundred_broken_rows_the_rest_is_not_read_and_that_is_said():
    _, said = read(b"text,label\n" + b'"a"b,c\n' * 200)
    assert len(said.errors) == limits.MAX_BROKEN_ROWS
    assert "100 rows are not CSV, and the rest of the file is not read" in said.problems[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'"text,label\nx,y\n', "a.csv:1: is not valid CSV: it opens a quote that is never closed"),
        (b"\x00text,label\nx,y\n", "a.csv:1: holds a NUL byte"),
        (b"text,text\nx,y\n", "a.csv:1: the header names a column twice: text"),
        (b",,\nx,y\n", "a.csv:1: has no header line that names the columns"),
    ],
)
def test_a_header_that_cannot_be_used_is_one_message(content, words):
    rows, said = read(content)
    assert rows == []
    assert [words in problem for problem in said.problems] == [True]


def test_missing_columns_are_told_with_those_that_there_are():
    rows, said = read(b"Text;label\nx;y\n", wanted=Wanted(("text", "label")))
    assert rows == []
    assert said.problems[0].startswith("a.csv:1: there is no column `text`; the columns are: Text, label. Did you mean")


def test_cells_are_read_up_to_the_limit():
    before = csv.field_size_limit()
    assert len(values(b"text,label\n" + b"a" * (1 << 20) + b",x\n")[0]["text"]) == 1 << 20
    content = b'text,label\n"' + (b"a" * 600_000 + b"\n") * 30 + b'",x\nb,y\n'
    _, said = read(content)
    assert "it has a cell longer than 16 MiB" in said.problems[0]
    rows, said = read(b"text,label\n" + b"a" * (17 << 20) + b",x\nb,y\n")
    assert [row.line for row in rows] == [3]
    assert "a.csv:2: the line is longer than 16 MiB" in said.problems[0]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("end", [b"\x1a", b"\x1a\r\n", b"\r\n\x1a"])
def test_a_sign_of_the_end_of_the_file_is_no_row(end):
    assert values(b"text,label\na,x\nb,y" + end) == [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
    assert values(b"text\na\x1a\nb\n") == [{"text": "a\x1a"}, {"text": "b"}]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_utf_16_without_a_mark_is_one_message(encoding, name):
    rows, said = read('text,label\n{"text": "größe"},x\n'.encode(encoding), name)
    assert rows == []
    assert said.problems == [f"{name}: looks like UTF-16 without a byte order mark. Save it as UTF-8 text."]
