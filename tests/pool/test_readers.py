import json
import tracemalloc

import pytest

from activelora.campaign.store import open_store
from activelora.config import SourceConfig
from activelora.errors import DataError, StoreError
from activelora.formats.problems import Problems
from activelora.formats.row import Wanted
from activelora.pool.readers import read_rows
from tests.pool.conftest import csv_text, jsonl, parquet, rows

ROWS = rows(7)
WANTED = Wanted(("text",), ("label",))
BOM = b"\xef\xbb\xbf"


def read(folder, path, format_="auto"):
    problems = Problems()
    found = list(read_rows(SourceConfig(path=path, format=format_), str(folder), WANTED, problems))
    problems.refuse()
    return found


def texts(found):
    return [row.values["text"] for row in found]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", jsonl(ROWS)),
        ("a.ndjson", jsonl(ROWS)),
        ("a.jsonl", BOM + jsonl(ROWS).replace(b"\n", b"\r\n")),
        ("a.jsonl", jsonl(ROWS).rstrip(b"\n")),
        ("a.csv", csv_text(ROWS)),
        ("a.csv", BOM + csv_text(ROWS)),
        ("A.CSV", csv_text(ROWS).replace(b"\r\n", b"\n").rstrip(b"\n")),
        ("a.parquet", parquet(ROWS)),
    ],
)
def test_the_formats_read_the_same(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found = read(tmp_path, name)
    assert [row.values for row in found] == ROWS


def test_places_name_file_and_line(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n" + jsonl(ROWS[:2]))
    (tmp_path / "a.csv").write_bytes(b'text,label\r\n"two\r\nlines",0\r\n\r\nlast,1\r\n')
    (tmp_path / "a.parquet").write_bytes(parquet(ROWS[:2]))
    assert [row.where for row in read(tmp_path, "a.jsonl")] == [f"{tmp_path}/a.jsonl:{n}" for n in (2, 3)]
    assert [row.where for row in read(tmp_path, "a.csv")] == [f"{tmp_path}/a.csv:{n}" for n in (2, 5)]
    assert [row.where for row in read(tmp_path, "a.parquet")] == [f"{tmp_path}/a.parquet:{n}" for n in (1, 2)]


def test_only_wanted_columns_of_a_parquet_file_are_read(tmp_path):
    (tmp_path / "a.parquet").write_bytes(parquet([{**row, "other": "x"} for row in ROWS]))
    assert read(tmp_path, "a.parquet")[0].values == ROWS[0]


def test_a_folder_a_glob_and_a_file(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "b.jsonl").write_bytes(jsonl(ROWS[2:4]))
    (tmp_path / "in" / "a.csv").write_bytes(csv_text(ROWS[:2]))
    (tmp_path / "in" / "deep" / "c.jsonl").write_bytes(jsonl(ROWS[4:]))
    for ignored in ("in/README.md", "in/_SUCCESS", "in/.hidden.jsonl"):
        (tmp_path / ignored).write_text("not data")
    assert texts(read(tmp_path, "in")) == texts_of(ROWS)
    assert texts(read(tmp_path, "in", "jsonl")) == texts_of(ROWS[2:])
    assert texts(read(tmp_path, "in/*.jsonl")) == texts_of(ROWS[2:4])
    assert texts(read(tmp_path, "in/**/*.jsonl")) == texts_of(ROWS[2:])
    assert texts(read(tmp_path, "./in/../in/a.csv")) == texts_of(ROWS[:2])
    assert texts(read("elsewhere", str(tmp_path / "in" / "a.csv"))) == texts_of(ROWS[:2])
    assert texts(read("elsewhere", f"file://{tmp_path}/in/a.csv")) == texts_of(ROWS[:2])


def texts_of(rows):
    return [row["text"] for row in rows]


def test_a_name_with_wildcard_signs_is_a_file_if_it_exists(tmp_path):
    (tmp_path / "a[1].jsonl").write_bytes(jsonl(ROWS))
    assert len(read(tmp_path, "a[1].jsonl")) == 7


def test_a_format_can_be_named(tmp_path):
    (tmp_path / "data.txt").write_bytes(jsonl(ROWS))
    assert len(read(tmp_path, "data.txt", "jsonl")) == 7


@pytest.mark.parametrize("name", ["big.jsonl", "big.csv", "big.parquet"])
def test_reading_streams(tmp_path, name):
    big = [{"text": f"{n} " + "x" * 9000, "label": 0} for n in range(3000)]
    write = {"jsonl": jsonl, "csv": csv_text, "parquet": parquet}[name.split(".")[1]]
    (tmp_path / name).write_bytes(write(big))
    problems = Problems()
    tracemalloc.start()
    try:
        number = sum(1 for _ in read_rows(SourceConfig(path=name), str(tmp_path), WANTED, problems))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert number == 3000
    assert peak < 12 << 20  # the file holds 27 MB


def test_s3_files_globs_and_prefixes(s3_uri):
    store = open_store(s3_uri)
    store.write("in/b.jsonl", jsonl(ROWS[2:4]))
    store.write("in/a.csv", csv_text(ROWS[:2]))
    store.write("in/deep/c.parquet", parquet(ROWS[4:]))
    store.write("in/_SUCCESS", b"")
    store.write("in2/d.jsonl", jsonl(ROWS))
    assert texts(read(s3_uri, "in")) == texts_of(ROWS)
    assert texts(read("elsewhere", f"{s3_uri}/in/")) == texts_of(ROWS)
    assert texts(read(s3_uri, "in/*.jsonl")) == texts_of(ROWS[2:4])
    assert texts(read(s3_uri, "in/**/*.parquet")) == texts_of(ROWS[4:])
    with pytest.raises(DataError, match=f"Write {s3_uri}/in/a.csv"):
        read(s3_uri, "in2/../in/a.csv")
    row = read(s3_uri, "in/b.jsonl")[1]
    assert row.where == f"{s3_uri}/in/b.jsonl:2"
    with pytest.raises(DataError, match=r"in/none.jsonl: there is no such file"):
        read(s3_uri, "in/none.jsonl")
    with pytest.raises(StoreError, match="the bucket does not exist"):
        read("s3://no-such-bucket-here", "in/none.jsonl")


def test_a_jsonl_row_may_have_more_columns(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a", "meta": {"x": [1]}}) + "\n")
    assert read(tmp_path, "a.jsonl")[0].values["meta"] == {"x": [1]}
