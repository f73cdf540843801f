"""Whatever is put into the inbox: what can be used is used, the rest is named with file, line and reason."""

import csv
import datetime
import json

import pytest

from activelora.formats.limits import MAX_BROKEN_ROWS, MAX_TEXT_BYTES
from activelora.labeling.inbox import MAX_FILE_BYTES, parse_file
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from tests.formats.tables import xlsx
from tests.labeling.conftest import LABELS, csv_of, make_campaign, put, select


def collect(campaign, round_=0):
    return get_source("files").collect(make_request(campaign, round_))


def labels(collected):
    return {record["item_id"]: LABELS[record["label"]] for record in collected.records}


def good_csv(ids):
    return csv_of((ids[0], "human", "ann"), (ids[1], "entity", "ann"))


def jsonl(*documents):
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in documents)


def one_answer(item_id, label, **more):
    return {"item_id": item_id, "label": label, **more}


WHOLE_FILE = {
    "other kind": ("labels.docx", lambda ids: b"PK\x03\x04", "is none of .jsonl, .ndjson, .json, .csv, .tsv"),
    "no ending": ("README", lambda ids: "hello", "is none of .jsonl"),
    "no workbook": ("labels.xlsx", lambda ids: b"PK\x03\x04", "is a zip archive, expected a table"),
    "empty": ("bad.csv", lambda ids: "", "is empty"),
    "only a mark": ("bad.csv", lambda ids: b"\xef\xbb\xbf\r\n", "is empty"),
    "no item_id": ("bad.csv", lambda ids: "id,label\nx,human\n", "has no column `item_id`; it has: id, label"),
    "no label": ("bad.csv", lambda ids: f"item_id,answer\n{ids[2]},human\n", "has no column `label`; it has: item_id"),
    "no header": ("bad.csv", lambda ids: f"{ids[2]},human\n", "has no column `item_id`"),
    "no rows of JSON": ("bad.json", lambda ids: "[]", "holds no rows"),
    "label twice": ("bad.csv", lambda ids: f"item_id,label,Label\n{ids[2]},human,entity\n", "two columns `label`"),
    "odd name": ("a\\b.csv", good_csv, "has a name that not every store can hold"),
}


@pytest.mark.parametrize("case", WHOLE_FILE)
def test_a_file_that_cannot_be_used_is_named_and_the_others_are_used(case, campaign):
    name, content_of, reason = WHOLE_FILE[case]
    ids = select(campaign)
    put(campaign, "good.csv", good_csv(ids))
    content = content_of(ids)
    (campaign.store.folder / "inbox" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    collected = collect(campaign)
    assert labels(collected) == {ids[0]: "human", ids[1]: "entity"}
    [rejected] = collected.rejected
    assert (rejected.file, rejected.line) == (name, None)
    assert reason in rejected.reason


UNANSWERED = {"item_id": "x", "label": None}
BAD_LINES = {
    "unknown label": ("bad.csv", lambda i: csv_of((i, "humn", "ann")), 2, "'humn' is not a label of this task"),
    "unknown item": ("bad.csv", lambda i: csv_of(("nope", "human", "ann")), 2, "has asked for no item `nope`"),
    "id as a number": ("bad.csv", lambda i: csv_of(("1.23E+19", "human", "ann")), 2, "turned the id into a number"),
    "label without item": ("bad.csv", lambda i: csv_of(("", "human", "ann")), 2, "has a label and no item_id"),
    "too many cells": (
        "bad.csv",
        lambda i: csv_of((i, "human", "ann", "x", "y")),
        2,
        "has 5 values where the header names 3 columns: a ',' needs quotes",
    ),
    "open quote at the end": ("bad.csv", lambda i: csv_of((i, '"human', "ann")), 2, "opens a quote that is never"),
    "header with an open quote": (
        "bad.csv",
        lambda i: f'"item_id,label\n{i},human\n',
        1,
        "opens a quote that is never closed",
    ),
    "text behind a quote": ("bad.csv", lambda i: csv_of((i, '"human"x', "ann")), 2, "has text behind a closing quote"),
    "nul bytes": ("bad.csv", lambda i: csv_of((i, "hu\x00man", "ann")), 2, "holds a NUL byte at byte 25"),
    "nul in the id": ("bad.csv", lambda i: csv_of((i + "\x00", "human", "ann")), 2, "holds a NUL byte at byte 22"),
    "huge cell": (
        "bad.csv",
        lambda i: csv_of((i, "human", "x" * (MAX_TEXT_BYTES + 1))),
        2,
        "the line is longer than 16 MiB",
    ),
    "long annotator": ("bad.csv", lambda i: csv_of((i, "human", "x" * 300)), 2, "name is longer than 200"),
    "no time": (
        "bad.csv",
        lambda i: csv_of((i, "human", "yesterday"), header="item_id,label,labeled_at"),
        2,
        "its labeled_at 'yesterday' is not a time such as",
    ),
    "crlf counts as one line": (
        "bad.csv",
        lambda i: "item_id,label\r\n,\r\n\r\n" + f"{i},humn\r\n",
        4,
        "is not a label",
    ),
    "lines inside a cell count": (
        "bad.csv",
        lambda i: f'item_id,text,label\nx,"three\nlines\nhere",\n{i},t,humn\n',
        5,
        "is not a label",
    ),
    "broken json on line 7": (
        "bad.jsonl",
        lambda i: "\n" * 6 + '{"item_id": \n',
        7,
        "is not valid JSON: Expecting value",
    ),
    "json list": ("bad.jsonl", lambda i: jsonl(UNANSWERED, [i, "human"]), 2, "holds a list, not an object"),
    "json without label": ("bad.jsonl", lambda i: jsonl({"item_id": i}), 1, "has no `label`"),
    "json without item_id": ("bad.jsonl", lambda i: jsonl({"label": "human"}), 1, "has no `item_id`"),
    "label is a list": ("bad.jsonl", lambda i: jsonl(one_answer(i, ["human", "entity"])), 1, "has several labels"),
    "label is half a number": ("bad.jsonl", lambda i: jsonl(one_answer(i, 1.5)), 1, "'1.5' is not a label"),
    "label is an object": (
        "bad.jsonl",
        lambda i: jsonl(one_answer(i, {})),
        1,
        "no text, number or list of texts but dict",
    ),
    "label's number": (
        "bad.csv",
        lambda i: f"item_id,label\n{i},2\n",
        2,
        "`2` is a number: from 0 it is `number`, from 1 `human`; write the label's name",
    ),
    "number beside a gap": ("bad.csv", lambda i: f"item_id,label\n{i},1.0\n", 2, "`1` is a number: from 0 it is"),
    "number in json": ("bad.jsonl", lambda i: jsonl(one_answer(i, 0)), 1, "from 0 it is `entity`, from 1 no label"),
    "label out of range": ("bad.jsonl", lambda i: jsonl(one_answer(i, 4)), 1, "'4' is not a label"),
    "mark for no label": ("bad.jsonl", lambda i: jsonl(one_answer(i, -1)), 1, "-1 stands for no label: leave the cell"),
    "an end that no label has": ("bad.csv", lambda i: f"item_id,label\n{i},human.\n", 2, "'human.' is not a label"),
    "item_id is a number": ("bad.jsonl", lambda i: jsonl(one_answer(17, "human")), 1, "has a label and no item_id"),
    "json nested deeply": ("bad.jsonl", lambda i: jsonl(UNANSWERED, "[" * 200_000), 2, "nested too deeply"),
    "json number too long": (
        "bad.jsonl",
        lambda i: '{"item_id": "x", "label": ' + "9" * 5000 + "}\n",
        1,
        "cannot be read as JSON",
    ),
    "huge line": (
        "bad.jsonl",
        lambda i: jsonl(one_answer(i, "human", text="x" * MAX_TEXT_BYTES)),
        1,
        "the line is longer than 16 MiB",
    ),
    "nul in json": ("bad.jsonl", lambda i: "\x00\x00\n", 1, "holds a NUL byte"),
    "half a character": ("bad.jsonl", lambda i: jsonl(one_answer(i, "human", annotator="\ud800")), 1, "holds halves"),
    "time out of the calendar": (
        "bad.jsonl",
        lambda i: jsonl(one_answer(i, "human", labeled_at="9999-12-31T23:59:59-14:00")),
        1,
        "is not a time such as",
    ),
    "time of a wrong kind": (
        "bad.jsonl",
        lambda i: jsonl(one_answer(i, "human", labeled_at=17)),
        1,
        "its labeled_at '17' is not a time",
    ),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_is_named_and_the_rest_is_used(case, campaign):
    name, content_of, line, reason = BAD_LINES[case]
    ids = select(campaign)
    good = jsonl(one_answer(ids[0], "human")) if name.endswith("jsonl") else ""
    content = content_of(ids[2])
    if name.endswith("csv"):
        put(campaign, "good.csv", good_csv(ids))
    put(campaign, name, content + good)
    collected = collect(campaign)
    assert labels(collected)[ids[0]] == "human"
    assert ids[2] not in labels(collected)
    [rejected] = collected.rejected
    assert (rejected.file, rejected.line) == (name, line)
    assert reason in rejected.reason


def test_an_open_quote_costs_its_own_line_only(campaign):
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], '"human', "ann"), (ids[1], "entity", "ann"), (ids[2], '"human"', "ann")))
    collected = collect(campaign)
    assert labels(collected) == {ids[1]: "entity", ids[2]: "human"}
    assert [(one.line, one.reason) for one in collected.rejected] == [
        (2, "is not valid CSV: it has text behind a closing quote")
    ]
    assert csv.field_size_limit() == 131072


def test_a_file_of_nothing_but_broken_rows_is_given_up(campaign):
    ids = select(campaign)
    put(campaign, "a.csv", csv_of(*[(f'"{number}"x', "human", "ann") for number in range(500)], (ids[0], "human", "")))
    rejected = collect(campaign).rejected
    assert len(rejected) == MAX_BROKEN_ROWS
    assert "the rest of the file is not read" in rejected[-1].reason


def test_a_file_that_is_too_large_is_refused_unread(campaign):
    select(campaign)
    path = campaign.store.folder / "inbox" / "big.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    [rejected] = collect(campaign).rejected
    assert "is larger than 64 MiB" in rejected.reason


ALL_FINE = {
    "bom and crlf": lambda i: ("\ufeff" + csv_of((i, "human", "ann")).replace("\n", "\r\n")).encode(),
    "old mac": lambda i: csv_of((i, "human", "ann")).replace("\n", "\r"),
    "semicolons": lambda i: csv_of((i, "human", "ann")).replace(",", ";"),
    "tabs": lambda i: csv_of((i, "human", "ann")).replace(",", "\t"),
    "other columns and order": lambda i: f"Label,note, ITEM_ID ,annotator\n human ,=1+1,{i},ann\n",
    "no last line end": lambda i: csv_of((i, "human", "ann")).rstrip("\n"),
    "missing last cells": lambda i: f"item_id,label,annotator,note\n{i},human,ann\n",
    "empty cells beyond the header": lambda i: f"item_id,label,annotator\n{i},human,ann,,\n",
    "label in capitals": lambda i: csv_of((i, "HUMAN", "ann")),
    "label in quotes": lambda i: csv_of((i, '"""human"""', "ann")),
    "label in curly quotes and blanks": lambda i: csv_of((i, " “ Human ”\u00a0", "ann")),
    "with a time": lambda i: csv_of((i, "human", "ann", "2026-01-31T09:30:00+02:00"), header=HEADER),
    "jsonl": lambda i: jsonl(one_answer(i, "human", annotator="ann")),
    "jsonl without a label": lambda i: jsonl(one_answer(i, "human", annotator="ann"), "", one_answer(i, None)),
    "jsonl nan is no label": lambda i: jsonl('{"item_id": "x", "label": NaN}', one_answer(i, "human", annotator="ann")),
}
HEADER = "item_id,label,annotator,labeled_at"


@pytest.mark.parametrize("case", ALL_FINE)
def test_forms_that_are_read(case, campaign):
    ids = select(campaign)
    put(campaign, "sub/FILE.JSONL" if case.startswith("jsonl") else "sub/FILE.CSV", ALL_FINE[case](ids[0]))
    collected = collect(campaign)
    assert collected.rejected == []
    [record] = collected.records
    assert (record["item_id"], record["label"], record["annotator"]) == (ids[0], 1, "ann")
    assert (record["source"], record["round"]) == ("files", 0)
    if case == "with a time":
        assert record["labeled_at"] == "2026-01-31T07:30:00+00:00"


def test_the_published_files_come_back_as_they_are(campaign):
    ids = select(campaign)
    request = make_request(campaign, 0)
    get_source("files").publish(request)
    for kind in ("csv", "jsonl"):
        put(campaign, f"back.{kind}", campaign.store.read(f"labeling/round-0000/to_label.{kind}"))
    collected = collect(campaign)
    assert (collected.records, collected.rejected) == ([], [])
    assert dict(collected.states) == dict.fromkeys(ids, "waiting")


def test_labels_that_look_like_formulas_come_back(tmp_path):
    task = {"prompt": "{text}", "labels": ["-1", "+1", "=x"]}
    rows = [{"text": f"question {index}?"} for index in range(6)]
    given = "".join(json.dumps({"text": f"held out {index}", "label": "+1"}) + "\n" for index in range(5))
    tmp_path.joinpath("given.jsonl").write_text(given)
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "given.jsonl"}}
    campaign = make_campaign(tmp_path, rows=rows, task=task, data=data)
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], "'-1", ""), (ids[1], "+1", ""), (ids[2], "'=x", "")))
    assert [record["label"] for record in collect(campaign).records] == [0, 1, 2]


def test_any_number_of_files_in_any_order_come_to_the_same(tmp_path):
    results = []
    for number, names in enumerate((("a.csv", "b.jsonl", "c.csv"), ("z.csv", "y.jsonl", "x.csv"))):
        campaign = make_campaign(tmp_path / str(number))
        ids = select(campaign)
        put(campaign, names[0], csv_of((ids[0], "human", "ann"), (ids[1], "", ""), (ids[3], "number", "ann")))
        put(campaign, names[1], jsonl(one_answer(ids[1], "entity"), one_answer(ids[0], "human", annotator="bob")))
        put(campaign, names[2], csv_of((ids[3], "human", "bob"), (ids[2], "skip", "bob"), (ids[0], "human", "ann")))
        collected = collect(campaign)
        records = [(record["item_id"], record["label"], record["annotator"]) for record in collected.records]
        results.append((records, dict(collected.states)))
        assert len(collected.rejected) == 2
    assert results[0] == results[1]
    assert results[0][1] == dict(zip(ids, ["labeled", "labeled", "skipped", "conflicting", "waiting"], strict=True))


def test_hidden_and_lock_files_are_left_alone(campaign):
    ids = select(campaign)
    put(campaign, "good.csv", good_csv(ids))
    for name in (".DS_Store", "~$good.csv", "sub/.gitkeep"):
        put(campaign, name, b"\xff\xfe")
    assert collect(campaign).rejected == []


def test_an_empty_or_missing_inbox_is_no_error(campaign):
    select(campaign)
    assert collect(campaign).records == []


def test_skip_is_a_label_where_the_task_says_so(tmp_path):
    task = {"prompt": "{text}", "labels": ["keep", "skip"]}
    given = "".join(json.dumps({"text": f"held out {index}", "label": "keep"}) + "\n" for index in range(5))
    tmp_path.joinpath("given.jsonl").write_text(given)
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "given.jsonl"}}
    campaign = make_campaign(tmp_path, rows=[{"text": f"q {n}"} for n in range(6)], task=task, data=data)
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], "skip", "")))
    collected = collect(campaign)
    assert [record["label"] for record in collected.records] == [1]
    assert collected.count("skipped") == 0


def test_an_item_whose_answers_are_all_bad_is_invalid(campaign):
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], "humn", "ann"), (ids[1], "humn", "ann"), (ids[1], "human", "bob")))
    states = collect(campaign).states
    assert (states[ids[0]], states[ids[1]], states[ids[2]]) == ("invalid", "labeled", "waiting")


NUMBERED = {
    "from 0": ("zero_based", LABELS, {"0": "entity", "2": "number", "1.0": "human", "human": "human"}),
    "from 1": ("one_based", LABELS, {"1": "entity", "3": "number", "2.0": "human", "Human": "human"}),
    "names that are numbers": (None, ("0", "1", "2"), {"0": "0", "1.0": "1", "2": "2"}),
    "numbers are names first": ("zero_based", ("1", "2", "3"), {"1": "1", "3.0": "3"}),
}


@pytest.mark.parametrize("case", NUMBERED)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_numbers_are_read_as_the_campaign_says(case, kind, tmp_path):
    numbers, names, written = NUMBERED[case]
    rows = [{"text": f"question {number}?", "label": names[number % 3]} for number in range(30)]
    (tmp_path / "held.jsonl").write_text(jsonl(*({**row, "text": row["text"] + "!"} for row in rows)))
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "held.jsonl"}}
    task = {"prompt": "{text}", "labels": names}
    campaign = make_campaign(tmp_path, task=task, rows=rows, data={**data, "label_numbers": numbers})
    answers = dict(zip(select(campaign), written, strict=False))
    if kind == "csv":
        put(campaign, "a.csv", csv_of(*[(item_id, label, "ann") for item_id, label in answers.items()]))
    else:
        values = {item_id: float(label) if label[-2:] == ".0" else label for item_id, label in answers.items()}
        put(campaign, "a.jsonl", jsonl(*[one_answer(item_id, value) for item_id, value in values.items()]))
    collected = collect(campaign)
    assert collected.rejected == []
    found = {record["item_id"]: names[record["label"]] for record in collected.records}
    assert found == {item_id: written[label] for item_id, label in answers.items()}


def test_cells_of_dates_and_times_are_read_as_the_pool_reads_them():
    day, moment = datetime.datetime(2024, 1, 31), datetime.datetime(2024, 1, 31, 9, 30)
    rows = [["item_id", "label", "labeled_at"], ["a", day, moment], ["b", moment, day], ["c", moment.time(), None]]
    found = list(parse_file("a.xlsx", xlsx(rows)))
    assert [one.label for one in found] == ["2024-01-31", "2024-01-31 09:30:00", "09:30:00"]
    assert [one.labeled_at for one in found] == [
        moment.replace(tzinfo=datetime.UTC),
        day.replace(tzinfo=datetime.UTC),
        None,
    ]
