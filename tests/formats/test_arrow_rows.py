"""Parquet and Arrow: all types of text, names of label numbers, JSON, and what cannot be read."""

import datetime
import json

import pyarrow as pa
import pytest

from activelora.formats.row import Wanted
from tests.formats import tables
from tests.formats.tables import arrow, parquet, read, values

ROWS = [{"text": f"message {n} é", "label": "ab"[n % 2]} for n in range(7)]


def with_features(table, **features):
    document = {"info": {"features": features}}
    return table.replace_schema_metadata({"huggingface": json.dumps(document)})


WRITERS = {
    "a.parquet": parquet,
    "a.arrow": lambda table: arrow(table, is_file=True),
    "b.arrow": arrow,
}


@pytest.mark.parametrize("kind", tables.TEXT_TYPES)
@pytest.mark.parametrize("name", WRITERS)
def test_all_types_of_text(kind, name):
    assert values(WRITERS[name](tables.table(ROWS, kind)), name) == ROWS


@pytest.mark.parametrize("name", WRITERS)
def test_label_numbers_become_names(name):
    table = pa.table({"text": ["a", "b", "c", "d"], "label": [1, 0, -1, None], "tags": [[0, 1], [], None, [1]]})
    feature = {"_type": "ClassLabel", "names": ["no", "yes"]}
    for tags in ({"_type": "List", "feature": feature}, {"_type": "Sequence", "feature": feature}, [feature]):
        found = values(WRITERS[name](with_features(table, label=feature, tags=tags)), name)
        assert [row["label"] for row in found] == ["yes", "no", None, None]
        assert [row["tags"] for row in found] == [["no", "yes"], [], None, ["yes"]]
    rows, said = read(WRITERS[name](with_features(pa.table({"label": [0, 2]}), label=feature)), name)
    assert [row.values for row in rows] == [{"label": "no"}]
    assert said.problems == [f"{name}:2: the label number 2 has no name in the file's metadata, which names 2"]


@pytest.mark.parametrize(
    "metadata", [b"no json", b"[]", b"{}", b'{"info": 3}', b'{"info": {"features": []}}', b"[" * 9999]
)
def test_metadata_that_says_nothing(metadata):
    table = pa.table({"label": [1]}).replace_schema_metadata({b"huggingface": metadata})
    assert values(parquet(table), "a.parquet") == [{"label": 1}]


def test_what_datasets_itself_writes(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["technical", "billing"]),
            "meta": datasets.Json(),
            "nested": {"a": datasets.Value("string")},
        }
    )
    data = {
        "text": ["x", "y"],
        "label": [1, 0],
        "meta": [{"k": [1, "z"]}, {"k": []}],
        "nested": [{"a": "u"}, {"a": "v"}],
    }
    dataset = datasets.Dataset.from_dict(data, features=features)
    dataset.to_parquet(tmp_path / "a.parquet")
    expected = [
        {"text": "x", "label": "billing", "meta": {"k": [1, "z"]}, "nested": {"a": "u"}},
        {"text": "y", "label": "technical", "meta": {"k": []}, "nested": {"a": "v"}},
    ]
    assert values((tmp_path / "a.parquet").read_bytes(), "a.parquet") == expected
    dataset.save_to_disk(tmp_path / "saved")
    assert values((tmp_path / "saved" / "data-00000-of-00001.arrow").read_bytes(), "a.arrow") == expected


def test_columns_that_hold_others():
    pairs = pa.array([[("k", b"v")]], pa.map_(pa.string(), pa.binary()))
    jsons = pa.array(['{"a": [1]}'], pa.string()).cast(pa.json_())
    table = pa.table({"s": [{"a": b"x", "b": [b"y"]}], "m": pairs, "j": jsons, "d": [datetime.date(2026, 1, 2)]})
    expected = {"s": {"a": "x", "b": ["y"]}, "m": {"k": "v"}, "j": {"a": [1]}, "d": datetime.date(2026, 1, 2)}
    assert values(parquet(table), "a.parquet") == [expected]


def test_a_column_twice_is_refused_where_it_is_wanted():
    table = pa.Table.from_arrays([pa.array(["a"])] * 3, ["text", "other", "other"])
    assert values(parquet(table), "a.parquet", Wanted(("text",))) == [{"text": "a"}]
    for wanted in (None, Wanted(("other",))):
        rows, said = read(parquet(table), "a.parquet", wanted)
        assert rows == []
        assert "a.parquet: the file names a column twice: other" in said.problems[0]


def test_a_text_that_is_not_utf8_costs_that_row():
    texts = pa.array([b"a", b"\xff", b"c"])
    table = pa.table({"text": pa.Array.from_buffers(pa.string(), 3, texts.buffers())})
    rows, said = read(parquet(table), "a.parquet")
    assert [(row.values["text"], row.line) for row in rows] == [("a", 1), ("c", 3)]
    assert said.problems == ["a.parquet:2: a text is not UTF-8: invalid start byte"]


@pytest.mark.parametrize("name", ["a.arrow", "b.arrow"])
@pytest.mark.parametrize("inner", [b"column", b"inside"])
def test_a_name_of_a_column_that_is_no_text(name, inner):
    content = WRITERS[name](pa.table({"column": [{"inside": "a"}]}))
    rows, said = read(content.replace(inner, b"\xff" + inner[1:]), name)
    assert rows == []
    assert len(said.errors) == 1


@pytest.mark.parametrize("name", WRITERS)
def test_files_cut_short(name):
    content = WRITERS[name](tables.table(ROWS * 50))
    for end in (5, 60, len(content) // 2, len(content) - 20):
        rows, said = read(content[:end], name)
        assert len(rows) < 350
        assert len(said.errors) == 1
        assert "is not a readable" in said.problems[0] or "is damaged" in said.problems[0]
