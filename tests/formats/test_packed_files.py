"""Packed files: known by their bytes, and never larger than honest files are."""

import gzip
import io
import tarfile

import pyarrow as pa
import pytest

from activelora.formats import unpack
from tests.formats import tables
from tests.formats.tables import csv_bytes, jsonl, packed, read, values

ROWS = [{"text": f"message {n}", "label": "ab"[n % 2]} for n in range(5)]


@pytest.mark.parametrize("packing", ["gz", "zst"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "A.CSV.ZST"])
def test_the_bytes_tell_that_a_file_is_packed(packing, name):
    assert values(packed(csv_bytes(ROWS), packing), name) == ROWS


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_parts_packed_one_after_the_other_and_twice(packing):
    halves = packed(jsonl(ROWS[:2]), packing) + packed(jsonl(ROWS[2:]), packing)
    assert values(halves, "a.jsonl.gz") == ROWS
    assert values(packed(packed(jsonl(ROWS), "gz"), packing), "a.jsonl") == ROWS


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_tables_that_are_not_read_from_front_to_back(packing):
    assert values(packed(tables.parquet(tables.table(ROWS)), packing), "a.parquet.gz") == ROWS
    assert values(packed(tables.xlsx([[*ROWS[0]], *([*row.values()] for row in ROWS)]), packing), "a.xlsx") == ROWS


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_damaged_files_are_a_message(packing):
    content = packed(jsonl(ROWS * 3000), packing)
    changed = [content[:50] + bytes(40) + content[90:]] if packing == "gz" else []  # Zstandard need not notice
    for broken in (content[:-9], content[:40], *changed):
        _, said = read(broken, "a.jsonl")
        assert len(said.errors) == 1
        assert "is a damaged" in said.problems[0]


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused(packing, monkeypatch):
    monkeypatch.setattr(unpack, "FREE_UNPACKED_BYTES", 1 << 16)
    honest = jsonl([{"text": f"{n} an honest text, which packs well"} for n in range(40_000)])
    assert len(values(packed(honest, packing), "a.jsonl")) == 40_000
    for content, name in [(b"a,b\n" + (b"a" * 999 + b",b\n") * 9000, "a.csv"), (b"[" + b" " * (8 << 20), "a.json")]:
        _, said = read(packed(content, packing), name)
        assert said.problems == [
            f"{name}: unpacks to more than 250 times its size. If it is what it should be, unpack it first."
        ]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "a.csv", "the file is empty"),
        (gzip.compress(b"", mtime=0), "a.csv.gz", "the file is empty"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "a.xls",
            "is an old workbook (.xls), or one with a password, which is not read",
        ),
        (b"BZh91AY", "a.csv.bz2", "is a bzip2 archive, which is not read"),
        (b"%PDF-1.7", "a.csv", "is a PDF file"),
        (b"PK\x03\x04" + bytes(40), "a.csv", "is a zip archive, expected a table"),
        (b"PK\x05\x06", "a.xlsx", "is no workbook that can be read"),
        (b"a,b\n", "a.txt", "the format cannot be told from the file's ending"),
    ],
)
def test_what_is_not_read_is_said(content, name, words):
    rows, said = read(content, name)
    assert rows == []
    assert [words in problem for problem in said.problems] == [True]


def test_a_text_that_begins_like_something_else_is_text():
    assert values(b"ORC,PAR1\na,b\n") == [{"ORC": "a", "PAR1": "b"}]
    assert values(b"PAR1,b\na,b\n") == [{"PAR1": "a", "b": "b"}]


def test_content_tells_more_than_the_name():
    assert values(tables.parquet(tables.table(ROWS)), "a.csv") == ROWS
    assert values(tables.arrow(pa.table({"text": ["x"]})), "a.bin") == [{"text": "x"}]


def test_a_format_can_be_declared():
    rows, _ = read(jsonl(ROWS), "a.txt", declared="jsonl")
    assert [row.values for row in rows] == ROWS


def test_a_packed_tar_archive_is_called_one():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        part = tarfile.TarInfo("a.csv")
        part.size = 9
        archive.addfile(part, io.BytesIO(b"text\na\nb\n"))
    for name in ("a.tar.gz", "a.csv.gz"):
        rows, said = read(buffer.getvalue(), name)
        assert rows == []
        assert said.problems == [f"{name}: is a tar archive, which is not read. Unpack it."]
