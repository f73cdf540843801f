"""Reading by columns against reading row by row: the same items, labels, problems, splits and files."""

import hashlib
import io
import json
import os
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from activelora.campaign.campaign import Campaign
from activelora.errors import DataError, ProblemsError
from activelora.formats.problems import Problems
from activelora.kinds.registry import make_task
from activelora.pool import columns
from activelora.pool.column_census import ColumnCensus, _item_indices
from activelora.pool.column_survey import LEAST_BYTES
from activelora.pool.content import MAX_TEXT_CHARS, RowParser, as_text, item_id, wanted_columns
from activelora.pool.files import SourceFile
from activelora.pool.label_readings import LabelReadings
from activelora.pool.readers import rows_of_file
from activelora.seeding import item_draw
from components.ingest_pool.step import run
from tests.formats import tables
from tests.pool.conftest import CHOICE_TASK, csv_text, jsonl, parquet, rows
from tests.pool.surveying import chunk_reader, is_columnar, shards, survey_data
from tests.pool.test_survey import splits, write

TWO_COLUMNS = {"kind": "classification", "labels": ["sport", "politics"], "prompt": "{title}: {text}\nTopic:"}
EXAMPLES = int(os.environ.get("ACTIVELORA_EXAMPLES", "50"))
TEXTS = st.text(
    st.sampled_from('ab "\\/\t\r\n\x01\x1c\x1f\x7f\x85\xa0é\u0301\u212bß\U0001f600,{}[]й中각\u1100\u1161\u3000\u2019ǅ'),
    max_size=6,
)


def by_rows(config, files, use):
    """What the slow path makes of files: rows in words, problems, and how labels were read."""
    problems, task = Problems(), make_task(config.task)
    readings = LabelReadings(task, config.data.label_numbers)
    parser, wanted = (
        RowParser(task, config.data.columns, use, problems, readings),
        wanted_columns(task, config.data.columns, use),
    )
    found = []
    for file in files:
        for row in rows_of_file(file, wanted, problems):
            if parsed := parser.parse(row):
                item, label = parsed
                found.append((item.item_id, dict(item.fields), item.source_id, -1 if label is None else label))
    return found, said(problems), counted(readings)


def by_columns(config, files, use, chunk_bytes):
    problems, found = Problems(), []
    readings = LabelReadings(make_task(config.task), config.data.label_numbers)
    for chunk in chunk_reader(config, use, problems, chunk_bytes, readings=readings).read(files):
        ids = columns.id_texts(columns.digests(columns.contents(chunk.fields), 10)).to_pylist()
        for row, id_ in enumerate(ids):
            item = chunk.item(row, id_)
            found.append((id_, dict(item.fields), item.source_id, int(chunk.labels[row])))
    return found, said(problems), counted(readings)


def counted(readings):
    return dict(readings.by_name()), readings.num_no_label, readings.num_left_out


def said(problems):
    try:
        problems.refuse()
    except ProblemsError as error:
        return str(error)
    return ""


def file_of(data, kind="jsonl"):
    return SourceFile(f"data.{kind}", kind, lambda: io.BytesIO(data))


@st.composite
def lines(draw):
    """JSON lines, some of them broken by a few bytes."""
    label = st.sampled_from(["sport", "politics", "sport", 1, 0, " politics", "", None, True, 1.0, "chess", "0", -1])
    row = {"text": draw(TEXTS), "title": draw(TEXTS), "label": draw(label)}
    row |= draw(st.sampled_from([{}, {"id": "n1"}, {"x": {"y": [1, {"z": None}]}}, {"x": "2026-01-01"}]))
    line = json.dumps(row, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(line)))
        broken = st.sampled_from(
            [b"\xff", b"\x00", b"\n", b"}", b"{", b'"', b"\\ud800", b"\\u0000", b'"text":"twice",', b"NaN", b" "]
        )
        line = line[:place] + draw(broken) + line[place + draw(st.integers(0, 2)) :]
    return line


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines(), min_size=1, max_size=8), st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 300))
@example([b'{"text":"a","title":"b","label":"sport"}{"text":"c","title":"d","label":"sport"}'], b"\n", 300)
@example([b'{"text":"a","title":"b","x":{"y":1}', b'{"text":"a","title":"b","label":0}'], b"\n", 300)
@example([b'{"text":"a","title":"b","label":0,"te\\u0078t":"twice"}'], b"\n", 300)
@example([b'\xef\xbb\xbf{"text":"a","title":"b","label":0}', b""], b"\n", 300)
@example([b'{"text":"a","title":"b","label":0}', b'\xef\xbb\xbf{"text":"c","title":"b","label":0}'], b"\n", 30)
@example([b'{"text":"a","title":"b","label":01}', b'{"text":"a","title":"b","label":0,}'], b"\n", 300)
@pytest.mark.parametrize("use", ["required", "or_left_out", "optional", "ignored"])
def test_json_lines_are_read_as_row_by_row(make_config, use, content, end, chunk_bytes):
    config = make_config(TWO_COLUMNS, label_numbers="zero_based")
    files = [file_of(end.join(content) + end)]
    assert by_columns(config, files, use, chunk_bytes) == by_rows(config, files, use)


@pytest.mark.parametrize("nested", [b"[" * 1200 + b"]" * 1200, b'{"y":' * 500 + b"0" + b"}" * 500])
def test_what_is_nested_deeply_is_read_as_row_by_row(make_config, nested):
    """Not within hypothesis, which raises Python's limit of recursion."""
    config = make_config(TWO_COLUMNS)
    files = [
        file_of(b'{"text":"a","title":"b","label":0,"x":' + nested + b"}\n" + b'{"text":"c","title":"d","label":1}')
    ]
    assert by_columns(config, files, "required", 9000) == by_rows(config, files, "required")


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS.filter(str.strip), min_size=1, max_size=20))
def test_texts_are_normalised_and_hashed_as_one_by_one(texts):
    expected = [as_text(text, "", "") for text in texts]
    found = columns.normalised(pa.array(texts))
    assert found.to_pylist() == expected
    ids = columns.id_texts(columns.digests(columns.contents({"b": found, "a\n": found}), 10)).to_pylist()
    assert ids == [item_id({"b": text, "a\n": text}, ()) for text in expected]


def test_characters_of_the_plain_kind_are_never_changed_by_nfc():
    """Alone and after one another: none is the second half of a composition."""
    characters = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    plain = {one for one in characters if not columns._ODD[one.encode()[0]]}
    parts = [unicodedata.decomposition(one).split() for one in characters]
    seconds = {chr(int(part[1], 16)) for part in parts if len(part) == 2 and part[0][0] != "<"}
    jamo = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    assert len(plain) > 30_000
    assert all(unicodedata.is_normalized("NFC", one) and not unicodedata.combining(one) for one in plain)
    assert not plain & (seconds | jamo)
    assert {one for one in plain if one.isspace()} == {*columns._WHITE, "\x85", "\xa0"}


def test_digests_are_sha256():
    texts = pa.array(["", "é", "x" * 1000])
    expected = [hashlib.sha256(text.encode()).digest() for text in texts.to_pylist()]
    assert [row.tobytes() for row in columns.digests(texts, 32)] == expected
    assert columns.digests(texts[:0], 8).shape == (0, 8)
    assert bytes(columns._by_duckdb(texts, 7)) == columns._by_hashlib(texts, 7)


def test_a_draw_is_item_draw(tmp_path, make_config):
    write(tmp_path, pool=rows(50))
    census = survey_data(make_config(), 0).pool
    assert isinstance(census, ColumnCensus)
    keys = census.keys(7, np.arange(50))
    assert [key / 2**53 for key in keys.tolist()] == [item_draw(7, id_) for id_ in census]
    assert {id_: census.label(id_) for id_ in census} == census.labeled(census)


DATA = [
    {},
    {"calibration_size": 7},
    {"pool": {"path": "pool.jsonl", "limit": 40}},
    {"holdout": {"path": "holdout.jsonl"}, "calibration_size": 3},
    {"holdout": {"path": "holdout.jsonl"}, "pool": {"path": "pool.jsonl", "limit": 30}},
    {"columns": {"id": "text"}},
    {"contradictions": "drop"},
]


@pytest.mark.parametrize("data", DATA, ids=str)
@pytest.mark.parametrize("source", ["oracle", "files"])
def test_the_step_writes_the_same_bytes(tmp_path, make_config, data, source):
    contradicted = [rows(1)[0] | {"label": "politics"}] if "contradictions" in data else []
    write(tmp_path, pool=[*rows(90), *rows(20), *contradicted], holdout=rows(30, 80))
    config = make_config(source=source, shard_rows=32, **data)
    slow, fast = survey_data(config), survey_data(config, 0)
    assert isinstance(fast.pool, ColumnCensus)
    assert splits(slow) == splits(fast)
    assert slow.pool_ids | fast.holdout_ids == fast.pool_ids | slow.holdout_ids
    assert slow.warnings == fast.warnings
    first, second = (run(Campaign.create(str(tmp_path / str(least)), config), least) for least in (10**9, 0))
    assert {name: file.sha256 for name, file in first.files.items()} == {
        name: file.sha256 for name, file in second.files.items()
    }
    assert (first.metrics, first.details) == (second.metrics, second.details)


@pytest.mark.parametrize(("ending", "write_as"), [("csv", csv_text), ("parquet", parquet)])
def test_other_formats(tmp_path, make_config, ending, write_as):
    (tmp_path / f"pool.{ending}").write_bytes(write_as(rows(60) + rows(9)))
    config = make_config(pool={"path": f"pool.{ending}"})
    fast = survey_data(config, 0)
    assert isinstance(fast.pool, ColumnCensus)
    assert splits(survey_data(config)) == splits(fast)
    assert fast.pool.num_duplicates == 9


@pytest.mark.parametrize(
    "content",
    [
        [*rows(30), rows(1)[0] | {"label": "politics"}],  # a contradiction
        [*rows(30), {"text": "wrong", "label": "chess"}, {"text": " ", "label": "sport"}],
        [{"text": f"t{n}", "label": f"l{n}"} for n in range(30)],  # more than are shown
        rows(3),  # too few
    ],
)
def test_problems_are_told_in_the_same_words(tmp_path, make_config, content):
    write(tmp_path, pool=content)
    with pytest.raises(ProblemsError) as slow:
        survey_data(make_config())
    with pytest.raises(ProblemsError) as fast:
        survey_data(make_config(), 0)
    assert str(fast.value) == str(slow.value)


def test_items_whose_ids_begin_alike_are_told_apart():
    """Of so many bytes that it never happens; here many runs of alike ones follow one another."""
    ids_RB = np.zeros((60, 10), dtype=np.uint8)
    ids_RB[:, 7], ids_RB[:, 9] = np.random.default_rng(0).integers(0, [[5], [4]], (2, 60))
    first_rows = {}
    for row, id_ in enumerate(ids_RB):
        first_rows.setdefault(id_.tobytes(), row)
    indices_R, first_rows_P = _item_indices(ids_RB)
    assert first_rows_P.tolist() == list(first_rows.values())
    assert ids_RB[first_rows_P][indices_R].tolist() == ids_RB.tolist()


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
def test_texts_that_are_far_too_long_are_refused_or_cut(tmp_path, make_config, ending):
    long = {"text": "x" * (MAX_TEXT_CHARS - 1) + "yé and more", "label": "sport"}
    content = {"jsonl": jsonl, "parquet": parquet, "csv": csv_text}[ending]([*rows(60), long])
    (tmp_path / f"pool.{ending}").write_bytes(content)
    pool = {"path": f"pool.{ending}"}
    for least in (10**9, 0):
        with pytest.raises(ProblemsError, match=r"holds 1048586 characters, at most 1048576 are read. Shorten it"):
            survey_data(make_config(pool=pool), least)
        survey = survey_data(make_config(pool=pool, long_texts="cut"), least)
        cut = [warning for warning in survey.warnings if "were cut" in warning]
        where = f"{tmp_path}/pool.{ending}:{62 if ending == 'csv' else 61}"
        assert cut == [f"texts of more than 1,048,576 characters were cut; the first: {where}"]
        assert survey.pool.longest_chars == MAX_TEXT_CHARS
        assert item_id({"text": long["text"][:MAX_TEXT_CHARS]}, ()) in survey.pool


@pytest.mark.parametrize("kind", tables.TEXT_TYPES)
@pytest.mark.parametrize("write_as", [tables.parquet, tables.arrow])
def test_all_types_of_text_are_read_by_columns(tmp_path, make_config, kind, write_as):
    ending = "parquet" if write_as is tables.parquet else "arrow"
    (tmp_path / f"pool.{ending}").write_bytes(write_as(tables.table(rows(60), kind)))
    write(tmp_path, holdout=rows(30, 80))
    whole = {
        "source": "files",
        "holdout": {"path": "holdout.jsonl"},
        "known_labels": "ignore",
    }  # whose own labels are not looked at
    for data in ({}, whole):
        config = make_config(pool={"path": f"pool.{ending}"}, **data)
        fast = survey_data(config, 0)
        assert isinstance(fast.pool, ColumnCensus)
        assert splits(survey_data(config)) == splits(fast)


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([n % 3 for n in range(60)]),
        pa.array([float(n % 3) for n in range(60)]),
        pa.array([None if n % 7 == 0 else float(n % 3) for n in range(60)]),
        pa.array([["sport", "politics", "science", ""][n % 4] for n in range(60)]).dictionary_encode(),
    ],
    ids=["whole numbers", "floats", "floats with gaps", "categories with gaps"],
)
@pytest.mark.parametrize("names", [None, ["science", "sport", "politics"]])
def test_all_types_of_labels_are_read_by_columns(tmp_path, make_config, labels, names):
    table = pa.table({"text": [row["text"] for row in rows(60)], "label": labels})
    if names and pa.types.is_integer(labels.type):
        features = {"label": {"_type": "ClassLabel", "names": names}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "pool.parquet")
    config = make_config(pool={"path": "pool.parquet"}, source="files", label_numbers="zero_based")
    slow, fast = survey_data(config), survey_data(config, 0)
    assert isinstance(fast.pool, ColumnCensus)
    assert splits(slow) == splits(fast)
    assert {id_: slow.pool.label(id_) for id_ in slow.pool} == {id_: fast.pool.label(id_) for id_ in fast.pool}


def test_a_file_that_is_small_and_has_many_rows_is_read_by_columns(tmp_path, make_config):
    texts = pa.array(["a", "b"]).take(pa.array([n % 2 for n in range(250_000)]))
    pq.write_table(pa.table({"text": texts, "label": texts}), tmp_path / "pool.parquet")
    assert (tmp_path / "pool.parquet").stat().st_size < 10**5
    config = make_config(pool={"path": "pool.parquet"})
    assert is_columnar(config, "required", LEAST_BYTES)
    (tmp_path / "pool.parquet").write_bytes(b"PAR1 cut short")
    assert not is_columnar(config, "required", LEAST_BYTES)


@pytest.mark.parametrize("twice", ["text", "label"])
def test_a_parquet_file_with_two_columns_of_one_name_is_refused(tmp_path, make_config, twice):
    columns = {name: pa.array([row[name] for row in rows(60)]) for name in ("text", "label")}
    arrays = [*columns.values(), columns[twice]]
    pq.write_table(pa.Table.from_arrays(arrays, [*columns, twice]), tmp_path / "pool.parquet")
    for least in (10**9, 0):
        with pytest.raises(ProblemsError, match=f"the file names a column twice: {twice}"):
            survey_data(make_config(pool={"path": "pool.parquet"}), least)


def test_own_ids_of_two_items_are_told_in_the_same_words(tmp_path, make_config):
    write(tmp_path, pool=[*({**row, "id": str(n)} for n, row in enumerate(rows(30))), {**rows(1, 40)[0], "id": "7"}])
    config = make_config(columns={"id": "id"})
    for least in (10**9, 0):
        with pytest.raises(ProblemsError, match=r"the id '7' stands for another item at .*pool.jsonl:8"):
            survey_data(config, least)


def test_data_that_change_between_the_two_readings_are_refused(tmp_path, make_config):
    write(tmp_path, pool=rows(60))
    config = make_config(holdout={"path": "pool.jsonl"})
    write(tmp_path, pool=rows(60), other=rows(60, 100))
    survey = survey_data(make_config(), 0)
    for content in (jsonl(rows(59) + rows(1, 99)), b"", b"PAR1"):
        (tmp_path / "pool.jsonl").write_bytes(content)
        with pytest.raises((DataError, ProblemsError), match=r"the data changed while it was read|is a Parquet file"):
            list(shards(config, "required", survey.pool_ids, frozenset(), []))


def test_what_is_not_made_for_columns_is_read_row_by_row(tmp_path, make_config):
    (tmp_path / "pool.jsonl").write_bytes(jsonl(rows(5)))
    assert not is_columnar(make_config(CHOICE_TASK), "required", 0)
    assert not is_columnar(make_config(pool={"path": "builtin:aws-requests"}), "required", 0)
    assert is_columnar(make_config(), "required", 0)
    assert not is_columnar(make_config(), "required", 10**6)
