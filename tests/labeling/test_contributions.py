"""All that one annotator contributed."""

import csv
import io
import json

import pytest

from activelora.errors import LabelError
from activelora.labeling.answers import Session
from activelora.labeling.contributions import contributions, export_contributions
from activelora.labeling.request import make_request
from components.await_labels import step as await_labels
from tests.labeling.conftest import csv_of, make_campaign, put, select


def test_records_and_answers_of_one_annotator_and_of_nobody_else(tmp_path):
    campaign = make_campaign(tmp_path, batch=3)
    ids = select(campaign)
    request = make_request(campaign, 0)
    put(campaign, "a.csv", csv_of((ids[0], "human", "ann"), (ids[1], "entity", "bob")))
    session = Session(campaign.store, "ann", request.task)
    session.answer(request.items[ids[1]], 0)
    session.answer(request.items[ids[2]], None)
    assert await_labels.run(campaign, 0) is not None
    put(campaign, "late.csv", csv_of((ids[0], "number", "ann"), (ids[0], "number", "bob")))
    rows = contributions(campaign, "ann")
    found = {(row["item_id"], row["kind"], row["label"], row["collected_in"]) for row in rows}
    assert found == {
        (ids[0], "record", "human", 0),
        (ids[1], "record", "entity", 0),
        (ids[0], "answer", "human", None),
        (ids[0], "answer", "number", None),
        (ids[1], "answer", "entity", None),
        (ids[2], "answer", "skip", None),
    }
    content, number = export_contributions(campaign, "ann", "jsonl")
    assert [json.loads(line) for line in content.decode().splitlines()] == rows
    content, _ = export_contributions(campaign, "ann", "csv")
    assert len(list(csv.DictReader(io.StringIO(content.decode())))) == number == 6


def test_a_name_that_nobody_has_is_told_with_those_there_are(tmp_path):
    campaign = make_campaign(tmp_path, batch=3)
    with pytest.raises(LabelError, match=r"of `ann`\. Nobody has contributed yet"):
        export_contributions(campaign, "ann", "jsonl")
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], "human", "ann"), (ids[1], "human", "cleo"), (ids[2], "human", "dan")))
    assert await_labels.run(campaign, 0) is not None
    Session(campaign.store, "bob", make_request(campaign, 0).task).answer(make_request(campaign, 0).items[ids[1]], None)
    with pytest.raises(LabelError, match=r"no record and no answer of `an`\. Known: ann, bob, cleo, dan\."):
        export_contributions(campaign, "an", "csv")
    assert export_contributions(campaign, "bob", "csv")[1] == 1


def test_an_adjudicators_word_is_no_outvoted_one(tmp_path):
    campaign = make_campaign(
        tmp_path, batch=1, labeling={"source": "files", "annotators_per_item": 2, "adjudicators": ["eve"]}
    )
    [item] = select(campaign)
    put(campaign, "a.csv", csv_of((item, "human", "ann"), (item, "human", "bob"), (item, "number", "eve")))
    assert await_labels.run(campaign, 0) is not None
    effects = [contributions(campaign, name)[0]["effect"] for name in ("ann", "bob", "eve")]
    assert effects == ["outvoted", "outvoted", "labels"]


def test_the_command(tmp_path, capsys):
    from pipelines.cli.main import main

    campaign = make_campaign(tmp_path, batch=3)
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], "human", "ann")))
    out = tmp_path / "ann.jsonl"
    assert main(["labels", "export", campaign.store.uri, "--annotator", "ann", "--out", str(out)]) == 0
    assert "1 records and answers of ann" in capsys.readouterr().out
    assert json.loads(out.read_text())["item_id"] == ids[0]
    before = out.read_bytes()
    assert main(["labels", "export", campaign.store.uri, "--annotator", "nobdy", "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "no record and no answer of `nobdy`. Known: ann." in said.err
    assert said.out == ""
    assert out.read_bytes() == before
