"""Everything that can be wrong with data files: one clear error each, and nothing half-written."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from activelora.campaign.campaign import Campaign
from activelora.errors import ActiveLoRAError, ProblemsError
from components.ingest_pool.step import run
from tests.pool.conftest import CHOICE_TASK, csv_text, jsonl, parquet, rows
from tests.pool.surveying import inspect_data, stream_items, survey_data

GOOD = jsonl(rows(12))
YES_NO = {"kind": "yes_no", "prompt": "{text}"}
CHOICE = {"question": "Which is hot?", "choices": ["ice", "fire"], "label": 1}


def line(number, content):
    """Twelve good lines, one of them replaced."""
    lines = GOOD.splitlines(keepends=True)
    lines[number - 1] = content + b"\n"
    return b"".join(lines)


def choice(**changes):
    return jsonl([CHOICE, {**CHOICE, **changes}])


CSV = csv_text(rows(12))
BIG_HOLDOUT = {"holdout_size": 12}
CALIBRATED = {"holdout": {"path": "holdout.jsonl"}, "calibration_size": 12}

# Name: files, changes of the data section, what the error must say, and the task if it is another one.
MALFORMED = {
    "broken JSON": ({"pool.jsonl": line(7, b'{"text": "x", "label"')}, {}, ["pool.jsonl:7", "JSON", '"label"']),
    "JSON list": ({"pool.jsonl": line(3, b'["x", "sport"]')}, {}, ["pool.jsonl:3", "a list", '["x", "sport"]']),
    "JSON number": ({"pool.jsonl": line(3, b"17")}, {}, ["pool.jsonl:3", "17", "object"]),
    "JSON too deep": ({"pool.jsonl": line(2, b"[" * 200_000)}, {}, ["pool.jsonl:2", "nested too deeply"]),
    "JSON key twice": (
        {"pool.jsonl": line(2, b'{"text": "a", "text": "b", "label": "sport"}')},
        {},
        ["pool.jsonl:2", "twice", "text"],
    ),
    "JSON number of 5000 digits": (
        {"pool.jsonl": line(2, b'{"text": "a", "label": ' + b"9" * 5000 + b"}")},
        {},
        ["pool.jsonl:2", "digits"],
    ),
    "wrong column": (
        {"pool.jsonl": jsonl([{"txt": "a", "label": "sport"}])},
        {},
        ["pool.jsonl:1", "`text`", "Did you mean `txt`?"],
    ),
    "column missing in one row": (
        {"pool.jsonl": line(5, b'{"label": "sport"}')},
        {},
        ["pool.jsonl:5", "`text`"],
    ),
    "text is null": ({"pool.jsonl": line(5, b'{"text": null, "label": 0}')}, {}, ["pool.jsonl:5", "`text`", "value"]),
    "text is a list": (
        {"pool.jsonl": line(5, b'{"text": ["a"], "label": 0}')},
        {},
        ["pool.jsonl:5", "`text`", "['a']"],
    ),
    "text is white space": ({"pool.jsonl": line(5, b'{"text": " \\t", "label": 0}')}, {}, ["pool.jsonl:5", "empty"]),
    "half a character": (
        {"pool.jsonl": line(5, b'{"text": "a\\ud83d", "label": 0}')},
        {},
        ["pool.jsonl:5", "U+D83D"],
    ),
    "escaped NUL": ({"pool.jsonl": line(5, b'{"text": "a\\u0000", "label": 0}')}, {}, ["pool.jsonl:5", "NUL"]),
    "NUL byte": ({"pool.jsonl": line(5, b'{"text": "a\x00"}')}, {}, ["pool.jsonl:5", "NUL", "byte 12"]),
    "not UTF-8": ({"pool.jsonl": line(5, '{"text": "é"}'.encode("latin-1"))}, {}, ["pool.jsonl:5", "UTF-8", "0xe9"]),
    "UTF-16 cut short": ({"pool.jsonl": GOOD.decode().encode("utf-16")[:-1]}, {}, ["pool.jsonl", "UTF-16"]),
    "gzip": ({"pool.jsonl": b"\x1f\x8b\x08rest"}, {}, ["pool.jsonl", "damaged gzip"]),
    "huge line": (
        {"pool.jsonl": line(5, b'{"text": "' + b"a" * (17 << 20) + b'"}')},
        {},
        ["pool.jsonl:5", "16 MiB"],
    ),
    "empty file": ({"pool.jsonl": b""}, {}, ["pool.jsonl", "empty"]),
    "only blank lines": ({"pool.jsonl": b"\n\r\n \n"}, {}, ["pool.jsonl", "no rows"]),
    "unknown label": (
        {"pool.jsonl": line(4, b'{"text": "x", "label": "sprot"}')},
        {},
        ["pool.jsonl:4", "'sprot'", "sport"],
    ),
    "label number": (
        {"pool.jsonl": line(4, b'{"text": "x", "label": 1}')},
        {},
        ["pool.jsonl:4", "`1` is a number", "from 0 it is `politics`, from 1 `sport`", "data.label_numbers"],
    ),
    "label number too large": (
        {"pool.jsonl": line(4, b'{"text": "x", "label": 3}')},
        {"label_numbers": "zero_based"},
        ["pool.jsonl:4", "`3` is the number of no label", "zero_based", "0 to 2"],
    ),
    "label number too small": (
        {"pool.jsonl": line(4, b'{"text": "x", "label": 0}')},
        {"label_numbers": "one_based"},
        ["pool.jsonl:4", "`0` is the number of no label", "one_based", "1 to 3"],
    ),
    "label number of no reading": (
        {"pool.jsonl": line(4, b'{"text": "x", "label": 7}')},
        {},
        ["pool.jsonl:4", "'7' is not a label"],
    ),
    "labels of hidden tests": (
        {"pool.jsonl": jsonl([{**row, "label": -1} for row in rows(12)])},
        {},
        ["pool.jsonl", "no row of the pool has a label"],
    ),
    "holdout of hidden tests": (
        {"pool.jsonl": GOOD, "holdout.jsonl": b'{"text": "x", "label": -1}\n'},
        {"holdout": {"path": "holdout.jsonl"}},
        ["holdout.jsonl:1", "no label"],
    ),
    "label missing": ({"pool.jsonl": line(4, b'{"text": "x"}')}, {}, ["pool.jsonl:4", "`label`"]),
    "label empty": (
        {"pool.jsonl": GOOD, "holdout.jsonl": b'{"text": "x", "label": ""}\n'},
        {"holdout": {"path": "holdout.jsonl"}},
        ["holdout.jsonl:1", "no label"],
    ),
    "same item, two labels": (
        {"pool.jsonl": line(9, b'{"text": " text number 0", "label": "science"}')},
        {},
        ["pool.jsonl:9", "pool.jsonl:1", "`science`", "`sport`"],
    ),
    "same id, two items": (
        {"pool.jsonl": jsonl([{**row, "key": f"k{n % 11}"} for n, row in enumerate(rows(12))])},
        {"columns": {"id": "key"}},
        ["pool.jsonl:12", "pool.jsonl:1", "'k0'"],
    ),
    "id column missing": ({"pool.jsonl": GOOD}, {"columns": {"id": "key"}}, ["pool.jsonl:1", "`key`"]),
    "same holdout item, two labels": (
        {"pool.jsonl": GOOD, "holdout.jsonl": jsonl([*rows(3, 50), {**rows(1, 51)[0], "label": "politics"}])},
        {"holdout": {"path": "holdout.jsonl"}},
        ["holdout.jsonl:4", "holdout.jsonl:2", "`politics`"],
    ),
    "holdout without label": (
        {"pool.jsonl": GOOD, "holdout.jsonl": b'{"text": "x"}\n'},
        {"holdout": {"path": "holdout.jsonl"}},
        ["holdout.jsonl:1", "`label`"],
    ),
    "holdout not there": (
        {"pool.jsonl": GOOD},
        {"holdout": {"path": "no.jsonl"}},
        ["no.jsonl", "no such file", "data.folder"],
    ),
    "pool not there": ({}, {}, ["pool.jsonl", "no such file", "data.folder"]),
    "no match": ({}, {"pool": {"path": "part-*.jsonl"}}, ["part-*.jsonl", "no file matches"]),
    "empty folder": ({"in/README.md": b"x"}, {"pool": {"path": "in"}}, ["/in", "no .jsonl, .csv or .parquet"]),
    "unknown ending": ({"pool.txt": GOOD}, {"pool": {"path": "pool.txt"}}, ["pool.txt", "`format`"]),
    "unknown scheme": ({}, {"pool": {"path": "gs://bucket/x"}}, ["gs://bucket/x", "not supported"]),
    "unknown built-in": ({}, {"pool": {"path": "builtin:nothing"}}, ["builtin:nothing", "builtin:aws-requests"]),
    "hub name": ({}, {"pool": {"path": "hf://a/b/c"}}, ["hf://a/b/c", "hf://owner/name"]),
    "hub option": ({}, {"pool": {"path": "hf://a/b?spilt=train"}}, ["`spilt`", "split"]),
    "pool in holdout": (
        {"pool.jsonl": GOOD, "holdout.jsonl": GOOD},
        {"holdout": {"path": "holdout.jsonl"}},
        ["pool.jsonl", "nothing is left", "12"],
    ),
    "holdout larger than pool": ({"pool.jsonl": GOOD}, BIG_HOLDOUT, ["pool.jsonl", "12", "data.holdout_size"]),
    "calibration larger than holdout": (
        {"pool.jsonl": GOOD, "holdout.jsonl": jsonl(rows(12, 50))},
        CALIBRATED,
        ["holdout.jsonl", "12", "data.calibration_size"],
    ),
    "CSV wrong column": (
        {"p.csv": CSV.replace(b"text,", b"Text,")},
        {"pool": {"path": "p.csv"}},
        ["p.csv:1", "`text`", "`Text`"],
    ),
    "CSV column twice": (
        {"p.csv": b"text,text,label\na,b,sport\n"},
        {"pool": {"path": "p.csv"}},
        ["p.csv:1", "twice: text"],
    ),
    "CSV too many values": (
        {"p.csv": CSV + b"a,b,c\n"},
        {"pool": {"path": "p.csv"}},
        ["p.csv:14", "3 values", "2 columns"],
    ),
    "CSV open quote": ({"p.csv": CSV + b'"a,sport\nb,sport\n'}, {"pool": {"path": "p.csv"}}, ["p.csv:14", "CSV"]),
    "CSV stray quote": ({"p.csv": CSV + b'"a"b,sport\n'}, {"pool": {"path": "p.csv"}}, ["p.csv:14", "CSV"]),
    "CSV header only": ({"p.csv": b"text,label\n"}, {"pool": {"path": "p.csv"}}, ["p.csv", "no rows"]),
    "CSV NUL": ({"p.csv": CSV + b"a\x00,sport\n"}, {"pool": {"path": "p.csv"}}, ["p.csv:14", "NUL"]),
    "Parquet that is none": ({"p.parquet": GOOD}, {"pool": {"path": "p.parquet"}}, ["p.parquet", "Parquet"]),
    "Parquet cut short": (
        {"p.parquet": parquet(rows(9))[:-40]},
        {"pool": {"path": "p.parquet"}},
        ["p.parquet", "Parquet"],
    ),
    "Parquet wrong column": (
        {"p.parquet": parquet([{"body": "x", "label": 0}])},
        {"pool": {"path": "p.parquet"}},
        ["p.parquet", "`text`", "body"],
    ),
    "Parquet bytes": (
        {"p.parquet": parquet([{"text": b"x", "label": 0}, {"text": b"\xff", "label": 0}])},
        {"pool": {"path": "p.parquet"}},
        ["p.parquet:2", "UTF-8"],
    ),
    "choices missing": ({"pool.jsonl": choice(choices=None)}, {}, ["pool.jsonl:2", "`choices`"], CHOICE_TASK),
    "choices as text": (
        {"pool.jsonl": choice(choices="ice or fire")},
        {},
        ["pool.jsonl:2", "'ice or fire'"],
        CHOICE_TASK,
    ),
    "one choice": ({"pool.jsonl": choice(choices=["fire"])}, {}, ["pool.jsonl:2", "1 choices"], CHOICE_TASK),
    "too many choices": (
        {"pool.jsonl": choice(choices=[str(n) for n in range(27)])},
        {},
        ["pool.jsonl:2", "27 choices"],
        CHOICE_TASK,
    ),
    "empty choice": (
        {"pool.jsonl": choice(choices=["ice", " "])},
        {},
        ["pool.jsonl:2", "choice 2", "empty"],
        CHOICE_TASK,
    ),
    "nested choice": (
        {"pool.jsonl": choice(choices=["ice", ["x"]])},
        {},
        ["pool.jsonl:2", "choice 2", "['x']"],
        CHOICE_TASK,
    ),
    "answer outside choices": ({"pool.jsonl": choice(label="C")}, {}, ["pool.jsonl:2", "'C'", "A-B"], CHOICE_TASK),
    "neither yes nor no": (
        {"pool.jsonl": line(4, b'{"text": "x", "label": "maybe"}')},
        {},
        ["'maybe'", "pool.jsonl:4"],
        YES_NO,
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_one_clear_error_and_nothing_half_written(case, tmp_path, make_config):
    files, data, expected, *task = MALFORMED[case]
    for name, content in files.items():  # type: ignore[attr-defined]
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    config = make_config(*task, **data)
    campaign = Campaign.create(str(tmp_path / "campaign"), config)
    with pytest.raises(ActiveLoRAError) as caught:
        run(campaign)
    message = str(caught.value)
    assert [part for part in expected if part not in message] == []  # type: ignore[attr-defined]
    assert list(campaign.store.list("pool/")) == []
    with pytest.raises(ActiveLoRAError) as again:
        inspect_data(config)
    assert str(again.value) == message


def test_many_bad_rows_are_reported_at_once(tmp_path, make_config):
    bad = [b'{"text": 1', b'{"text": [], "label": 0}', b'{"text": "x", "label": "nothing"}']
    (tmp_path / "pool.jsonl").write_bytes(GOOD + b"\n".join(bad))
    (tmp_path / "holdout.jsonl").write_bytes(b"{}\n")
    with pytest.raises(ProblemsError) as caught:
        inspect_data(make_config(holdout={"path": "holdout.jsonl"}))
    places = [str(problem).split(": ")[0].rsplit("/")[-1] for problem in caught.value.problems]
    assert places == ["pool.jsonl:13", "pool.jsonl:14", "pool.jsonl:15", "holdout.jsonl:1"]


def test_the_same_problem_is_shown_three_times_and_counted(tmp_path, make_config):
    (tmp_path / "pool.jsonl").write_bytes(jsonl([{"body": str(n)} for n in range(100)]))
    with pytest.raises(ProblemsError) as caught:
        inspect_data(make_config())
    assert len(caught.value.problems) == 4
    assert "97 more places have this problem: there is no column `text`" in str(caught.value)


def test_reading_stops_after_twenty_problems(tmp_path, make_config):
    (tmp_path / "pool.jsonl").write_bytes(jsonl([{"text": "a", "label": f"l{n}"} for n in range(100)]))
    with pytest.raises(ProblemsError) as caught:
        inspect_data(make_config())
    assert len(caught.value.problems) == 21
    assert "pool.jsonl:20: " in str(caught.value)


def test_data_that_change_between_the_two_readings_are_refused(tmp_path, make_config):
    (tmp_path / "pool.jsonl").write_bytes(GOOD)
    config = make_config()
    survey = survey_data(config)
    (tmp_path / "pool.jsonl").write_bytes(jsonl(rows(11)))
    with pytest.raises(ActiveLoRAError, match="1 item is gone: the data changed"):
        list(stream_items(config, "pool", frozenset(survey.pool), 12))


def test_a_text_that_parquet_says_is_utf8_and_is_not(tmp_path, make_config):
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")])
    table = pa.table({"text": broken, "label": [0]})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(ProblemsError, match=r"p.parquet:1: .*UTF-8"):
        inspect_data(make_config(pool={"path": "p.parquet"}))


def test_an_unreadable_file(tmp_path, make_config):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "pool.jsonl").write_bytes(GOOD)
    (tmp_path / "pool.jsonl").chmod(0)
    with pytest.raises(ProblemsError, match=r"pool.jsonl: cannot be read: Permission denied"):
        inspect_data(make_config())
