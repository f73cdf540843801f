"""What people get to label: complete, in order, and harmless to a spreadsheet."""

import csv
import io
import json

import pytest

from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from activelora.labeling.worksheet import safe_cell, unsafe_cell
from tests.labeling.conftest import make_campaign, select

FORMULA = '=HYPERLINK("http://evil","click")'


def publish(campaign, round_=0):
    request = make_request(campaign, round_)
    get_source("files").publish(request)
    folder = f"labeling/round-{round_:04d}"
    return campaign.store.read(f"{folder}/to_label.csv"), campaign.store.read(f"{folder}/to_label.jsonl")


def csv_rows(content):
    assert content.startswith(b"\xef\xbb\xbf")  # Excel reads UTF-8 only with a mark
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_columns_and_order(campaign):
    selected = select(campaign)
    table, lines = publish(campaign)
    rows, documents = csv_rows(table), [json.loads(line) for line in lines.splitlines()]
    assert list(rows[0]) == ["item_id", "text", "allowed_labels", "label", "annotator", "reason"]
    assert [row["item_id"] for row in rows] == [one["item_id"] for one in documents] == selected
    for row, document in zip(rows, documents, strict=True):
        assert row["allowed_labels"] == "entity | human | number | skip"
        assert document["allowed_labels"] == ["entity", "human", "number", "skip"]
        assert (row["label"], row["annotator"], document["label"], document["annotator"]) == ("", "", None, None)
        assert row["reason"] == document["reason"] == "asked in round 0"
        assert document["fields"] == {"text": row["text"]}


def test_why_an_item_was_selected_is_shown_on_demand(tmp_path):
    """It may name the answers that the model takes for likely, which people tend to follow."""
    campaign = make_campaign(tmp_path, labeling={"source": "files", "show_reasons": True})
    select(campaign)
    table, lines = publish(campaign)
    reasons = {row["reason"] for row in csv_rows(table)} | {json.loads(line)["reason"] for line in lines.splitlines()}
    assert reasons == {"drawn at random from 20"}


def test_publishing_again_leaves_the_files_alone(campaign):
    select(campaign)
    first = publish(campaign)
    campaign.store.write("labeling/round-0000/to_label.csv", b"half filled in, in place")
    assert publish(campaign) == (b"half filled in, in place", first[1])


def test_two_publications_of_equal_campaigns_are_equal(tmp_path):
    one, two = make_campaign(tmp_path / "one"), make_campaign(tmp_path / "two")
    assert select(one) == select(two)
    assert publish(one) == publish(two)


def test_texts_that_a_spreadsheet_would_run_are_quoted_in_csv_only(tmp_path):
    texts = [FORMULA, "+1", "-2", "@sum", "'quoted", 'with "quotes", commas\nand lines', "plain = text"]
    rows = [{"text": text} for text in texts]
    campaign = make_campaign(tmp_path, rows=rows, batch=7)
    select(campaign)
    table, lines = publish(campaign)
    cells = {row["text"] for row in csv_rows(table)}
    assert cells == {f"'{FORMULA}", "'+1", "'-2", "'@sum", *texts[4:]}
    assert {json.loads(line)["fields"]["text"] for line in lines.decode().splitlines()} == set(texts)


@pytest.mark.parametrize("text", ["", "a", "=1", "+", "-", "@", "\tx", "\rx", "'", "'a"])
def test_safe_cells_can_be_read_back(text):
    assert unsafe_cell(safe_cell(text)) == text
    assert not safe_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_choices_are_lettered(tmp_path):
    rows = [{"text": f"which {index}?", "choices": ["red", "=green", "blue"], "label": 0} for index in range(12)]
    task = {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"}
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout_size": 5}
    campaign = make_campaign(tmp_path, rows=rows, task=task, data=data)
    select(campaign)
    table, lines = publish(campaign)
    row, document = csv_rows(table)[0], json.loads(lines.splitlines()[0])
    assert row["choices"] == "A. red\nB. =green\nC. blue"
    assert row["allowed_labels"] == "A | B | C | skip"
    assert document["choices"] == ["red", "=green", "blue"]


def test_a_prompt_column_with_one_of_the_files_own_names_is_renamed(tmp_path):
    rows = [{"reason": f"because {index}"} for index in range(8)]
    campaign_rows = [{"reason": f"held out {index}", "label": "human"} for index in range(9)]
    tmp_path.joinpath("given.jsonl").write_text("".join(json.dumps(row) + "\n" for row in campaign_rows))
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "given.jsonl"}}
    task = {"prompt": "{reason}", "labels": ["entity", "human"]}
    campaign = make_campaign(tmp_path, rows=rows, task=task, data=data)
    select(campaign)
    row = csv_rows(publish(campaign)[0])[0]
    assert row["item.reason"].startswith("because ")
    assert row["reason"] == "asked in round 0"


def test_the_users_own_ids_are_shown_where_there_are_any(tmp_path):
    rows = [{"text": f"question {index}?", "ticket": f"T-{index}", "label": "human"} for index in range(20)]
    data = {
        "folder": str(tmp_path),
        "pool": {"path": "pool.jsonl"},
        "holdout_size": 6,
        "columns": {"id": "ticket"},
    }
    campaign = make_campaign(tmp_path, rows=rows, data=data)
    select(campaign)
    row = csv_rows(publish(campaign)[0])[0]
    assert row["source_id"] == f"T-{row['text'].rstrip('?').split()[-1]}"
