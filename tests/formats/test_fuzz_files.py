"""Files as nobody has written them yet: never a traceback, and rows in = rows read + rows reported.

A small part runs always, the same each time; 2,000 files with the slow tests.
"""

import io
import json
import random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from activelora.errors import ProblemsError
from activelora.formats.problems import RowError
from activelora.formats.reader import format_of_name
from activelora.formats.row import Row
from activelora.pool.columns import OddRowsError
from activelora.pool.files import SourceFile
from activelora.rules.file import checked_config
from tests.formats import tables
from tests.formats.tables import read
from tests.pool.test_columns import by_columns, by_rows

FEW, MANY = 40, 500
NAMES = st.sampled_from(["text", "label", "note (short, free)", "a;b", "é", "x.y", "Ünï", "n|m"])
PLAIN = st.text(st.sampled_from("abc XYZ0189.-_'!?"), min_size=1, max_size=8).map(str.strip).filter(bool)
RICH = st.text(st.sampled_from("ab ,;|\t\"'\n\r\\{}[]é€ß中\U0001f600=#"), min_size=1, max_size=8).filter(str.strip)
WINDOWS = (
    st.lists(st.sampled_from(["a", "b", " ", ",", ";", "éa", "ßb", "aü", "ñb"]), min_size=1, max_size=6)
    .map("".join)
    .filter(str.strip)
)
PACKINGS = st.sampled_from(["", "", "gz", "zst"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
VALUES = st.one_of(RICH, st.integers(-5, 5), st.floats(-2, 2), st.booleans(), st.none(), st.lists(PLAIN, max_size=2))


def generated(check, *strategies):
    """Return two tests of a check: of a few files, the same each time, and of many."""

    def of(number):
        given_ = given(*strategies)(check)
        return settings(
            max_examples=number,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )(given_)

    return of(FEW), pytest.mark.slow(of(MANY))


@st.composite
def a_table(draw, texts=RICH, least_columns=2):
    names = draw(st.lists(NAMES, min_size=least_columns, max_size=4, unique=True))
    return draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, texts)), min_size=1, max_size=6))


@st.composite
def a_csv(draw):
    delimiter = draw(st.sampled_from(",;\t|"))
    encoding = draw(st.one_of(ENCODINGS, st.just("cp1252")))
    quoting = draw(st.sampled_from([0, 1]))
    rich = RICH if quoting else RICH.filter(lambda text: "\r" not in text)  # which Python writes without quotes
    rows = draw(a_table(WINDOWS if encoding == "cp1252" else rich))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = tables.csv_bytes(rows, delimiter=delimiter, quoting=quoting, lineterminator=end).decode()
    if draw(st.booleans()) or not _is_plain(rows, delimiter):
        text = f"sep={delimiter}{end}{text}"
    return rows, text.encode(encoding), draw(st.sampled_from(["a.csv", "a.tsv", "B.CSV"]))


def _is_plain(rows, delimiter):
    """Tell whether the delimiter can be seen: texts that hold others may fit these as well."""
    others = ",;\t|".replace(delimiter, "") + '"\r\n'
    return not any(sign in cell for row in rows for pair in row.items() for cell in pair for sign in others)


@st.composite
def a_json(draw):
    rows = draw(a_table(VALUES, 1))
    ascii_ = draw(st.booleans())
    layout = draw(st.sampled_from(["lines", "list", "pretty list", "pretty objects", "list with an object a line"]))
    lines = [json.dumps(row, ensure_ascii=ascii_) for row in rows]
    content = {
        "lines": "\n".join(lines),
        "list": json.dumps(rows, ensure_ascii=ascii_),
        "pretty list": json.dumps(rows, ensure_ascii=ascii_, indent=2),
        "pretty objects": "\n".join(json.dumps(row, ensure_ascii=ascii_, indent=1) for row in rows),
        "list with an object a line": "[\n" + ",\n".join(lines) + "\n]\n",
    }[layout]
    return rows, content.encode(draw(ENCODINGS)), draw(st.sampled_from(["a.json", "a.jsonl", "a.ndjson"]))


@st.composite
def a_binary(draw):
    layout = draw(st.sampled_from(["parquet", "arrow file", "arrow stream", "xlsx"]))
    if layout == "xlsx":
        rows = draw(a_table(PLAIN))
        return rows, tables.xlsx([[*rows[0]], *([row[name] for name in rows[0]] for row in rows)]), "a.xlsx"
    rows = draw(a_table(RICH))
    table = tables.table(rows, draw(st.sampled_from([*tables.TEXT_TYPES])))
    if layout == "parquet":
        return rows, tables.parquet(table), "a.parquet"
    return rows, tables.arrow(table, layout == "arrow file"), "a.arrow"


FILES = st.one_of(a_csv(), a_json(), a_binary())


def is_read_as_written(file, packing):
    rows, content, name = file
    found, said = read(tables.packed(content, packing), f"{name}.{packing}" if packing else name)
    assert said.problems == []
    assert [row.values for row in found] == rows
    assert all("Windows-1252" in note for note in said.notes)


test_files_are_read_as_they_were_written, test_many_files_are_read_as_they_were_written = generated(
    is_read_as_written, FILES, PACKINGS
)

BAD_JSON = [b'{"text": "a"', b"[1]", b"17", b'{"text": "\xe9"}', b'{"text": "a\x00"}', b'{"a": 1, "a": 2}', b"[" * 9999]
BAD_CSV = [b"a,b,c", b'"a"b,c', b"a\x00,b", b"\xff,b", b'a,"b" c', b",,c"]
BAD_TEXTS = [b"\xff", b"\xe9a"]


@st.composite
def rows_good_and_bad(draw):
    """Return a file, the numbers of its good lines and those of its bad ones."""
    kind = draw(st.sampled_from(["json", "csv", "parquet"]))
    bad = {"json": BAD_JSON, "csv": BAD_CSV, "parquet": BAD_TEXTS}[kind]
    rows = draw(st.lists(st.one_of(st.just(b""), st.sampled_from(bad)), min_size=1, max_size=8))
    are_good = [not row for row in rows]
    if kind == "parquet":
        texts = pa.array([row or b"good" for row in rows], pa.binary())
        texts = texts if draw(st.booleans()) else pa.Array.from_buffers(pa.string(), len(texts), texts.buffers())
        return tables.parquet(pa.table({"text": texts})), "a.parquet", are_good, 1
    good = b'{"text": "g\xc3\xb6od"}' if kind == "json" else b"g\xc3\xb6od,x"
    lines = [row or good for row in rows]
    if kind == "json":
        return b"\n".join([good, *lines]), "a.jsonl", [True, *are_good], 1
    return b"\r\n".join([b"text,label", good, *lines]), "a.csv", [True, *are_good], 2


def is_read_or_reported(file, packing):
    content, name, are_good, first = file
    found, said = read(tables.packed(content, packing), name)
    numbered = list(enumerate(are_good, first))
    assert [row.line for row in found] == [number for number, is_good in numbered if is_good]
    assert sorted(error.line for error in said.errors) == [number for number, is_good in numbered if not is_good]


test_each_row_is_read_or_reported, test_each_row_of_many_files_is_read_or_reported = generated(
    is_read_or_reported, rows_good_and_bad(), PACKINGS
)


def damaged(content, number):
    """Return some bytes with a few replaced, added or taken away."""
    draw = random.Random(number)
    content = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(content) + 1)
        kind = draw.choice(["cut", "drop", "add", "swap", "flip"])
        if kind == "cut":
            del content[at:]
        elif kind == "drop":
            del content[at : at + draw.randint(1, 9)]
        elif kind == "add":
            content[at:at] = draw.choice(
                [b'"', b"\x00", b"\xff\xfe", b"\n", b"\r", b"{", b"]", b",,,", b"\xef\xbb\xbf"]
            )
        elif content[at:]:
            content[at] = draw.randrange(256) if kind == "swap" else content[at] ^ (1 << draw.randrange(8))
    return bytes(content)


def is_rows_and_problems(file, packing, number, is_packed_before):
    _, content, name = file
    content = (
        damaged(tables.packed(content, packing), number)
        if is_packed_before
        else tables.packed(damaged(content, number), packing)
    )
    found, said = read(content, name)
    assert all(isinstance(row, Row) and isinstance(row.values, dict) and row.line > 0 for row in found)
    assert all(isinstance(error, RowError) and str(error).startswith(name) for error in said.errors)


test_damaged_files_are_rows_and_problems, test_many_damaged_files_are_rows_and_problems = generated(
    is_rows_and_problems, FILES, PACKINGS, st.integers(0, 10**6), st.booleans()
)


def config_for(column):
    """Return the settings of a pool whose items are one column."""
    return checked_config(
        {
            "name": "test",
            "task": {
                "kind": "classification",
                "labels": ["a", "b"],
                "prompt": f"{{{column}}}",
                "allow_label_in_prompt": True,
            },
            "data": {"folder": "/none", "pool": {"path": "none.csv"}, "holdout": {"path": "none.csv"}},
            "labeling": {"source": "files"},
            "acquisition": {"batch_size": 1},
        },
        where="test.yaml",
    )


CONFIGS = {column: config_for(column) for column in ("text", "label", "x.y")}


def is_read_by_columns_alike(file, packing, number, is_damaged):
    """What the columnar path does not leave to the other one, it reads with the same items and the same words."""
    rows, content, name = file
    column = next((column for column in CONFIGS if column in rows[0]), None)
    assume(column is not None)
    content = tables.packed(damaged(content, number) if is_damaged else content, packing)
    source = SourceFile(name, format_of_name(name), lambda: io.BytesIO(content))
    try:
        by_column = by_columns(CONFIGS[column], [source], "ignored", 200)
    except (OddRowsError, ProblemsError):
        by_column = None
    try:
        by_row = by_rows(CONFIGS[column], [source], "ignored")
    except ProblemsError:  # more than are shown
        by_row = None
    assert by_column in (None, by_row)


test_files_are_read_by_columns_alike, test_many_files_are_read_by_columns_alike = generated(
    is_read_by_columns_alike, FILES, PACKINGS, st.integers(0, 10**6), st.booleans()
)
