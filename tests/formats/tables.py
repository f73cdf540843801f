"""Tables written in many ways, and read back."""

import csv
import gzip
import io
import json
import re
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from activelora.formats.reader import read_table

TEXT_TYPES = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "category": pa.dictionary(pa.int32(), pa.large_string()),
    "binary": pa.binary(),
}


class Said:
    """What a reader says."""

    def __init__(self):
        self.errors = []
        self.notes = []

    def add(self, error):
        self.errors.append(error)

    def note(self, text):
        self.notes.append(text)

    @property
    def problems(self):
        return [str(error) for error in self.errors]


def read(content, name="a.csv", wanted=None, declared=None, **constants):
    """Return the rows of some bytes, and what was said."""
    said = Said()
    return list(read_table(io.BytesIO(content), name, said, wanted, declared, constants)), said


def values(content, name="a.csv", wanted=None):
    """Return the values of all rows of a file that is without fault."""
    rows, said = read(content, name, wanted)
    assert (said.problems, said.notes) == ([], [])
    return [row.values for row in rows]


def csv_bytes(rows, encoding="utf-8", **writing):
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), **writing)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode(encoding)


def jsonl(rows, **writing):
    return "".join(json.dumps(row, **writing) + "\n" for row in rows).encode()


def table(rows, kind="string"):
    of_text = pa.Table.from_pylist(rows, pa.schema([pa.field(name, pa.string()) for name in rows[0]]))
    columns = [column.combine_chunks() for column in of_text.columns]
    if kind == "category":
        columns = [column.cast(pa.large_string()).dictionary_encode() for column in columns]
    else:
        columns = [column.cast(TEXT_TYPES[kind]) for column in columns]
    return pa.Table.from_arrays(columns, list(rows[0]))


def parquet(content, **writing):
    buffer = io.BytesIO()
    pq.write_table(content, buffer, **writing)
    return buffer.getvalue()


def arrow(content, is_file=False):
    buffer = io.BytesIO()
    with (pa.ipc.new_file if is_file else pa.ipc.new_stream)(buffer, content.schema) as writer:
        writer.write_table(content, max_chunksize=3)
    return buffer.getvalue()


def xlsx(*sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return _undated(buffer)


def _undated(buffer):
    """Return an archive without the time at which it was made."""
    made = io.BytesIO()
    with zipfile.ZipFile(buffer) as archive, zipfile.ZipFile(made, "w") as undated:
        for part in archive.namelist():
            content = archive.read(part)
            if part == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2026-01-01T00:00:00Z", content)
            undated.writestr(zipfile.ZipInfo(part), content)
    return made.getvalue()


def packed(content, packing):
    if packing == "gz":
        return gzip.compress(content, mtime=0)
    if packing == "zst":
        return pa.compress(content, codec="zstd", asbytes=True)
    return content
