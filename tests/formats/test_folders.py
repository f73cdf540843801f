"""Folders of files through the pool's door: mixed formats, folders that name columns, and what is not read."""

import pyarrow as pa
import pytest

from activelora.config import SourceConfig
from activelora.errors import DataError, ProblemsError
from activelora.formats.problems import Problems
from activelora.formats.row import Wanted
from activelora.pool.column_census import ColumnCensus
from activelora.pool.readers import read_rows
from tests.formats import tables
from tests.formats.tables import csv_bytes, jsonl, packed, parquet
from tests.pool.conftest import make_config, rows  # noqa: F401
from tests.pool.surveying import survey_data

ROWS = rows(30)
WANTED = Wanted(("text",), ("label",))


def read_folder(folder, path=".", wanted=WANTED, format_="auto"):
    problems = Problems()
    found = list(read_rows(SourceConfig(path=path, format=format_), str(folder), wanted, problems))
    problems.refuse()
    return found, problems.notes


def put(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def put_mixed(folder):
    contents = {
        "a.jsonl": jsonl(ROWS[:5]),
        "b.jsonl.gz": packed(jsonl(ROWS[5:10]), "gz"),
        "c.json": tables.json.dumps(ROWS[10:15], indent=1).encode(),
        "d.tsv": csv_bytes(ROWS[15:20], delimiter="\t"),
        "e.csv.zst": packed(csv_bytes(ROWS[20:22]), "zst"),
        "f.parquet": parquet(tables.table(ROWS[22:25])),
        "g.arrow": tables.arrow(tables.table(ROWS[25:28])),
        "h.xlsx": tables.xlsx([["text", "label"], *([*row.values()] for row in ROWS[28:])]),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def test_a_folder_of_all_formats(tmp_path):
    put_mixed(tmp_path)
    found, notes = read_folder(tmp_path)
    assert [row.values for row in found] == ROWS
    assert notes == ()


def test_unread_files_that_may_hold_data_are_named(tmp_path):
    put_mixed(tmp_path)
    for name in ("more.txt", "old.xls", "README.md", "LICENSE", "part.csv.bz2", "_SUCCESS", ".hidden.txt"):
        (tmp_path / name).write_bytes(b"x")
    found, notes = read_folder(tmp_path)
    assert len(found) == 30
    assert notes == (f"{tmp_path}: more.txt, old.xls, part.csv.bz2 were not read",)
    assert read_folder(tmp_path, format_="parquet")[1] == ()


def test_check_says_which_files_were_not_read(tmp_path, make_config):  # noqa: F811
    (tmp_path / "in").mkdir()
    put_mixed(tmp_path / "in")
    (tmp_path / "in" / "more.txt").write_bytes(b"x")
    config = make_config(pool={"path": "in"})
    for least in (10**9, 0):
        assert f"{tmp_path}/in: more.txt was not read" in survey_data(config, least).warnings
    assert isinstance(survey_data(config, 0).pool, ColumnCensus)


def test_a_folder_without_data_names_what_there_is(tmp_path):
    (tmp_path / "more.txt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"the folder holds no .jsonl, .csv or .parquet file; there is more.txt"):
        read_folder(tmp_path)


def test_folders_that_name_columns(tmp_path):
    put(
        tmp_path,
        {
            "in/label=sport/lang=en%2FUS/a.parquet": parquet(tables.table([{"text": f"a{n}"} for n in range(9)])),
            "in/label=politics/b.jsonl": jsonl([{"text": f"b{n}"} for n in range(9)]),
            "in/label=__HIVE_DEFAULT_PARTITION__/c.csv": b"text\nc\n",
            "in/label=science/d.csv": b"text,label\nd,sport\n",
        },
    )
    found, _ = read_folder(tmp_path, "in", Wanted(("text", "label"), ("lang",)))
    labels = {row.values["text"]: row.values["label"] for row in found}
    assert labels["a0"] == "sport"
    assert labels["b0"] == "politics"
    assert labels["c"] is None
    assert labels["d"] == "sport"  # what a file says goes first
    assert {row.values.get("lang") for row in found} == {"en/US", None}


def test_folders_that_name_columns_are_read_by_columns_alike(tmp_path, make_config):  # noqa: F811
    for label in ("sport", "politics", "science"):
        texts = [{"text": f"{label} {n}"} for n in range(18)]
        files = {"a.parquet": parquet(tables.table(texts[:9])), "b.jsonl": jsonl(texts[9:])}
        put(tmp_path, {f"in/label={label}/{name}": content for name, content in files.items()})
    config = make_config(pool={"path": "in"})
    slow, fast = survey_data(config), survey_data(config, 0)
    assert isinstance(fast.pool, ColumnCensus)
    assert len(slow.pool) == 54
    assert slow.holdout_ids == fast.holdout_ids


def test_what_datasets_saves(tmp_path, make_config):  # noqa: F811
    datasets = pytest.importorskip("datasets")
    names = ["science", "sport", "politics"]
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    numbered = [{**row, "label": names.index(row["label"])} for row in ROWS]
    dataset = datasets.Dataset.from_list(numbered, features=features)
    dataset.save_to_disk(tmp_path / "one", num_shards=3)
    assert [row.values for row in read_folder(tmp_path, "one")[0]] == ROWS
    config = make_config(pool={"path": "one"})
    slow, fast = survey_data(config), survey_data(config, 0)
    assert isinstance(fast.pool, ColumnCensus)
    assert slow.holdout_ids == fast.holdout_ids
    assert slow.labeled.label_counts(slow.holdout_ids) == fast.labeled.label_counts(fast.holdout_ids)
    datasets.DatasetDict(train=dataset, test=dataset).save_to_disk(tmp_path / "two")
    with pytest.raises(DataError, match=r"the folder holds several splits: test, train. Name one of them"):
        read_folder(tmp_path, "two")
    assert len(read_folder(tmp_path, "two/train")[0]) == 30


NESTED = [{"fields": {"text": f"message {n}", "a.b": "x"}, "answers": [{"value": "sport"}], "c.d": n} for n in range(9)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_columns_inside_others_can_be_named(tmp_path, name):
    write = {"a.jsonl": jsonl, "a.json": lambda rows: tables.json.dumps(rows).encode()}
    (tmp_path / name).write_bytes(write.get(name, lambda rows: parquet(pa.Table.from_pylist(rows)))(NESTED))
    wanted = Wanted(("fields.text", "c.d"), ("answers.0.value", "fields.a.b", "fields.none", "none.none"))
    found, _ = read_folder(tmp_path, name, wanted)
    assert [row.values["fields.text"] for row in found] == [f"message {n}" for n in range(9)]
    assert found[3].values["answers.0.value"] == "sport"
    assert found[3].values["fields.a.b"] == "x"
    assert found[3].values["c.d"] == 3
    assert not {"fields.none", "none.none"} & {*found[3].values}


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_prompt_and_columns_name_what_lies_inside(tmp_path, make_config, ending):  # noqa: F811
    content = [{"fields": {"text": row["text"]}, "team": [{"value": row["label"]}]} for row in ROWS]
    write = jsonl if ending == "jsonl" else lambda rows: parquet(pa.Table.from_pylist(rows))
    (tmp_path / f"pool.{ending}").write_bytes(write(content))
    task = {"kind": "classification", "labels": ["sport", "politics", "science"], "prompt": "{fields.text}\nTopic:"}
    config = make_config(task, pool={"path": f"pool.{ending}"}, columns={"label": "team.0.value"})
    slow, fast = survey_data(config), survey_data(config, 0)
    assert slow.pool.sample.fields == {"fields.text": "text number 0"}
    assert slow.holdout_ids == fast.holdout_ids
    wrong = make_config({**task, "prompt": "{field.text}"}, pool={"path": f"pool.{ending}"})
    with pytest.raises(ProblemsError, match=r"there is no column `field.text`; the columns are: fields, team"):
        survey_data(wrong)


@pytest.mark.parametrize("path", [".", "*"])
def test_lock_files_of_office_programs_are_no_data(path, tmp_path):
    put(tmp_path, {"a.csv": csv_bytes(ROWS), "~$a.xlsx": b"\x05owner"})
    found, notes = read_folder(tmp_path, path)
    assert ([row.values for row in found], notes) == (ROWS, ())


def test_an_empty_folder_is_called_so(tmp_path):
    with pytest.raises(DataError, match="the folder is empty"):
        read_folder(tmp_path)
