"""Exports of labelling tools as answers: in the inbox, and by `labels import`."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.errors import LabelError, ProblemsError
from activelora.labeling.exchange import import_labels
from activelora.labeling.registry import get_source
from activelora.labeling.request import Remark, make_request
from activelora.rules.file import checked_config
from components.ingest_pool import step as ingest_pool
from tests.labeling.conftest import LABELS, csv_of, make_campaign, put, select

TEAM = {"labeling": {"source": "files", "annotators_per_item": 2}}


def collect(campaign):
    return get_source("files").collect(make_request(campaign, 0))


def votes(collected):
    return sorted((one["item_id"], LABELS[one["label"]], one["annotator"]) for one in collected.records)


def remarks(collected):
    return [one.reason for one in collected.rejected if isinstance(one, Remark)]


def text_of(campaign, item_id):
    return make_request(campaign, 0).items[item_id].fields["text"]


def annotation(label, user, **more):
    result = [{"from_name": "kind", "type": "choices", "value": {"choices": [label]}}]
    return {"completed_by": user, "result": result, "updated_at": "2026-01-31T09:30:00+02:00", **more}


def test_each_annotation_of_a_label_studio_task_is_a_vote(tmp_path):
    campaign = make_campaign(tmp_path, **TEAM)
    one, two, *_ = select(campaign)
    tasks = [
        {
            "id": 1,
            "data": {"item_id": one, "text": "?"},
            "annotations": [annotation("human", 7), annotation("human", {"email": "eve@example.org"})],
        },
        {
            "id": 2,
            "data": {"item_id": two, "text": "?"},
            "annotations": [annotation("human", 7, was_cancelled=True), annotation("number", 7)],
        },
    ]
    put(campaign, "export.json", json.dumps(tasks))
    collected = collect(campaign)
    assert votes(collected) == [(one, "human", "7"), (one, "human", "eve@example.org")]
    assert {record["labeled_at"] for record in collected.records} == {"2026-01-31T07:30:00+00:00"}
    assert collected.states[two] == "in_progress"
    assert remarks(collected) == ["1 annotation of Label Studio is no label: 1 cancelled"]


def test_an_item_is_known_by_its_content_and_by_the_task_that_was_made_for_it(tmp_path):
    campaign = make_campaign(tmp_path)
    one, two, three, *_ = select(campaign)
    tasks = [
        {"id": 1, "data": {"text": text_of(campaign, one)}, "annotations": [annotation("human", 7)]},
        {
            "id": 2,
            "data": {"text": "?"},
            "meta": {"activelora_id": f"c/0/{two}"},
            "annotations": [annotation("number", 7)],
        },
        {"id": 3, "data": {"text": "an item that nobody knows"}, "annotations": [annotation("entity", 7)]},
    ]
    put(campaign, "export.json", json.dumps(tasks))
    collected = collect(campaign)
    assert votes(collected) == sorted([(one, "human", "7"), (two, "number", "7")])
    [rejected] = collected.rejected
    assert "has asked for no item" in rejected.reason
    assert collected.states[three] == "waiting"


def exports_of(answers):
    """The same answers, item → text and label, as each tool writes them."""
    rows = [({"item_id": item_id, "text": text}, label) for item_id, (text, label) in answers.items()]
    flat = {"id": 1, "annotator": 7, "annotation_id": 3, "lead_time": 1.5}
    accepted = {"answer": "accept", "_annotator_id": "7", "_timestamp": 1714557600}
    return {
        "label studio": [{"id": 1, "data": row, "annotations": [annotation(label, 7)]} for row, label in rows],
        "json-min": [{**row, **flat, "kind": label} for row, label in rows],
        "doccano": [{"id": 1, **row, "label": [label], "Comments": []} for row, label in rows],
        "prodigy": [{**row, "accept": [label], **accepted} for row, label in rows],
        "spacy": [{**row, "cats": {one: float(one == label) for one in LABELS}} for row, label in rows],
        "argilla": [
            {
                "id": "r",
                "fields": {"text": row["text"]},
                "metadata": {"item_id": row["item_id"]},
                "suggestions": {"kind": {"value": LABELS[0]}},
                "responses": {"kind": [{"value": label, "user_id": "7", "status": "submitted"}]},
            }
            for row, label in rows
        ],
        "argilla, flat": [
            {**row, "kind.responses": [label], "kind.responses.users": ["7"], "kind.responses.status": ["submitted"]}
            for row, label in rows
        ],
    }


@pytest.mark.parametrize("tool", exports_of({}))
@pytest.mark.parametrize("form", ["json", "jsonl", "jsonl.gz", "parquet"])
def test_every_tools_export_comes_to_the_same_by_every_door(tool, form, tmp_path):
    campaign = make_campaign(tmp_path)
    one, two, *_ = select(campaign)
    rows = exports_of({one: (text_of(campaign, one), "human"), two: (text_of(campaign, two), "number")})[tool]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    content = {"json": json.dumps(rows, indent=1).encode(), "jsonl": lines, "jsonl.gz": gzip.compress(lines)}
    if form == "parquet":
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), buffer)
        content["parquet"] = buffer.getvalue()
    path = tmp_path / f"export.{form}"
    path.write_bytes(content[form])
    imported = import_labels(campaign, str(path))
    assert (imported.num_labels, imported.rejected) == (2, ())
    collected = collect(campaign)
    expected = "unknown" if tool in ("doccano", "spacy") else "7"
    assert votes(collected) == sorted([(one, "human", expected), (two, "number", expected)])


def test_a_worksheet_that_went_through_label_studio_as_csv(tmp_path):
    campaign = make_campaign(tmp_path)
    request = make_request(campaign, 0) if select(campaign) else None
    get_source("files").publish(request)
    sheet = campaign.store.read("labeling/round-0000/to_label.csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(sheet, newline="")))
    own = {"id": 1, "annotation_id": 3, "lead_time": 2.5, "created_at": "2026-01-31T09:30:00.1Z"}
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, [*rows[0], *own, "kind"])
    writer.writeheader()
    writer.writerows({**row, **own, "annotator": "7", "kind": "human"} for row in rows)
    put(campaign, "export.csv", out.getvalue())
    collected = collect(campaign)
    assert collected.rejected == []
    assert {label for _, label, _ in votes(collected)} == {"human"}
    assert len(collected.records) == len(rows)


def test_what_is_no_label_is_one_line_and_does_not_keep_a_file_out(tmp_path):
    campaign = make_campaign(tmp_path)
    ids = select(campaign)
    answers = ["accept", "reject", "ignore", "reject", "reject"]
    rows = [
        {"item_id": item_id, "text": "?", "label": "human", "answer": answer}
        for item_id, answer in zip(ids, answers, strict=True)
    ]
    path = tmp_path / "db.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    imported = import_labels(campaign, str(path))
    assert (imported.num_answers, imported.num_labels) == (1, 1)
    assert imported.remarks == ("4 annotations of Prodigy are no labels: 1 ignored, 3 rejected",)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[1:]))
    with pytest.raises(LabelError, match="holds no answer: 4 annotations of Prodigy are no labels"):
        import_labels(campaign, str(path))


def test_labels_of_parts_of_a_text_are_refused_by_line(tmp_path):
    campaign = make_campaign(tmp_path)
    one, *_ = select(campaign)
    path = tmp_path / "spans.jsonl"
    path.write_text(json.dumps({"id": 1, "item_id": one, "text": "Ann came", "label": [[0, 3, "PER"]]}) + "\n")
    with pytest.raises(ProblemsError, match=r"spans.jsonl:1: .*label parts of a text"):
        import_labels(campaign, str(path))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_encodings_that_pools_may_have(encoding, tmp_path):
    campaign = make_campaign(tmp_path)
    one, *_ = select(campaign)
    put(campaign, "a.csv", csv_of((one, "human", "José")).encode(encoding))
    collected = collect(campaign)
    assert votes(collected) == [(one, "human", "José")]
    assert [" was read as Windows-1252" in text for text in remarks(collected)] == [True] * (encoding == "latin-1")


def test_a_workbook_is_read(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    campaign = make_campaign(tmp_path)
    one, two, *_ = select(campaign)
    book = openpyxl.Workbook()
    for cells in (["item_id", "label", "annotator"], [one, "human", "ann"], [two, None, None]):
        book.active.append(cells)
    buffer = io.BytesIO()
    book.save(buffer)
    put(campaign, "sheet.xlsx", buffer.getvalue())
    collected = collect(campaign)
    assert (votes(collected), collected.rejected) == ([(one, "human", "ann")], [])


def test_an_item_id_in_capitals_is_the_same(tmp_path):
    campaign = make_campaign(tmp_path)
    one, *_ = select(campaign)
    put(campaign, "a.csv", csv_of((f" {one.upper()} ", "human", "ann")))
    assert votes(collect(campaign)) == [(one, "human", "ann")]


CASES = {  # file: labels, lines that are rejected, annotators
    "array.json": (6, 0, {"unknown"}),
    "excel_semi.csv": (6, 0, {"user-3"}),
    "excel_sep.csv": (6, 0, {"user-3"}),
    "gz.csv.gz": (6, 0, {"unknown"}),
    "ls.csv": (6, 0, {"1"}),
    "ls.json": (6, 0, {"1"}),
    "prodigy2.jsonl": (3, 0, {"user-3"}),
    "messy.csv": (4, 2, {"user-3"}),
    "doccano_ids.csv": (0, 5, set()),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_that_were_given(name, shared_cases, tmp_path):
    num_labels, num_rejected, annotators = CASES[name]
    document = yaml.safe_load((shared_cases / "answers" / "campaign.yaml").read_text())
    document["data"]["known_labels"] = "ignore"  # the pool has all labels, and the answers are what is tried
    document["data"]["folder"] = str(shared_cases / "answers")
    campaign = Campaign.create(str(tmp_path / "campaign"), checked_config(document, where="campaign.yaml"))
    ingest_pool.run(campaign)
    select(campaign)
    assert campaign.require(Unit("select_batch", 0))
    path = str(shared_cases / "answers" / name)
    if num_rejected:
        with pytest.raises(ProblemsError):
            import_labels(campaign, path)
    else:
        assert import_labels(campaign, path).num_labels == num_labels
    (tmp_path / "campaign" / "inbox").mkdir(exist_ok=True)
    put(campaign, name, (shared_cases / "answers" / name).read_bytes())
    collected = collect(campaign)
    assert collected.num_labeled == num_labels
    assert {record["annotator"] for record in collected.records} == annotators
    rejected = [one for one in collected.rejected if not isinstance(one, Remark)]
    assert len(rejected) == num_rejected
    if name == "doccano_ids.csv":
        assert all("label_numbers" in one.reason for one in rejected)
    if name == "prodigy2.jsonl":
        assert {record["labeled_at"][:10] for record in collected.records} == {"2024-05-01"}
