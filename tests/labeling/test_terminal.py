"""Answers typed in a terminal: stored at once, counted as everywhere."""

import json

import pytest

from activelora.campaign.campaign import Campaign
from activelora.errors import ConfigError
from activelora.labeling.answers import FOLDER, MAX_LINES, Session
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from activelora.labeling.terminal_requests import answered_by, asked_now
from components.await_labels import step as await_labels
from tests.labeling.conftest import csv_of, make_campaign, put, select


@pytest.fixture(params=["terminal", "files"])
def campaign(request, tmp_path):
    return make_campaign(tmp_path, labeling={"source": request.param})


def collect(campaign):
    return get_source(campaign.config.labeling.source).collect(make_request(campaign, 0))


def stored(campaign):
    return [campaign.store.read(key).decode().splitlines() for key in campaign.store.list(FOLDER)]


def test_answers_are_there_at_once_and_say_who_and_from_where(campaign):
    ids = select(campaign)
    request = make_request(campaign, 0)
    session = Session(campaign.store, "ann", request.task)
    session.answer(request.items[ids[0]], 1)
    session.answer(request.items[ids[1]], None)
    collected = collect(campaign)
    assert [collected.states[item] for item in ids[:3]] == ["labeled", "skipped", "waiting"]
    [record] = collected.records
    assert (record["label"], record["annotator"], record["source"], record["round"]) == (1, "ann", "terminal", 0)
    assert record["origin"] == next(campaign.store.list(FOLDER))
    assert collected.rejected == []
    assert answered_by(request, "ann") == {ids[0]: "labeled", ids[1]: "skipped"}
    assert answered_by(request, "bob") == {}


def test_undo_keeps_what_was_undone_and_it_does_not_count(campaign):
    ids = select(campaign)
    request = make_request(campaign, 0)
    session = Session(campaign.store, "ann", request.task)
    session.answer(request.items[ids[0]], 1)
    session.answer(request.items[ids[1]], None)
    assert [session.undo(), session.undo(), session.undo()] == [ids[1], ids[0], None]
    assert session.num_stored == 0
    assert set(collect(campaign).states.values()) == {"waiting"}
    session.answer(request.items[ids[0]], 2)
    assert [record["label"] for record in collect(campaign).records] == [2]
    [lines] = stored(campaign)
    assert [json.loads(line)["label"] for line in lines] == [None, None, "number"]
    assert json.loads(lines[0])["undone"] == "human"


def test_the_latest_answer_of_an_annotator_counts_however_fast_it_came(campaign):
    ids = select(campaign)
    request = make_request(campaign, 0)
    session = Session(campaign.store, "ann", request.task)
    for label in (0, 1, 2, 1, 0, 2):
        session.answer(request.items[ids[0]], label)
    collected = collect(campaign)
    assert [record["label"] for record in collected.records] == [2]
    assert collected.rejected == []


def test_a_long_session_goes_on_in_another_file(campaign):
    ids = select(campaign)
    request = make_request(campaign, 0)
    session = Session(campaign.store, "ann", request.task)
    session._lines = [{"item_id": ids[1], "label": "human"} for _ in range(MAX_LINES - 1)]
    session._name = f"{FOLDER}/a.jsonl"
    session.answer(request.items[ids[0]], 1)
    session.answer(request.items[ids[0]], 2)
    assert [len(lines) for lines in sorted(stored(campaign), key=len)] == [1, MAX_LINES]
    assert {record["label"] for record in collect(campaign).records if record["item_id"] == ids[0]} == {2}


def test_files_and_terminal_count_together(tmp_path):
    campaign = make_campaign(tmp_path)
    ids = select(campaign)
    request = make_request(campaign, 0)
    Session(campaign.store, "ann", request.task).answer(request.items[ids[0]], 1)
    put(campaign, "a.csv", csv_of((ids[0], "entity", "bob"), (ids[1], "entity", "bob")))
    collected = collect(campaign)
    assert [collected.states[item] for item in ids[:2]] == ["conflicting", "labeled"]
    assert {record["source"] for record in collected.records} == {"files"}


def test_a_round_ends_with_what_was_typed(campaign):
    ids = select(campaign)
    request = make_request(campaign, 0)
    session = Session(campaign.store, "ann", request.task)
    for item_id in ids:
        session.answer(request.items[item_id], 1)
    manifest = await_labels.run(campaign, 0)
    assert manifest is not None
    assert manifest.metrics["num_labeled"] == len(ids)
    assert asked_now(campaign).reasons == {}


def test_answers_reach_a_campaign_in_s3(tmp_path, s3_uri):
    campaign = make_campaign(tmp_path, uri=s3_uri, labeling={"source": "terminal"})
    ids = select(campaign)
    request = make_request(campaign, 0)
    session = Session(Campaign.open(s3_uri).store, "ann", request.task)
    for label in (0, 1):
        session.answer(request.items[ids[0]], label)
        assert [record["label"] for record in collect(campaign).records] == [label]


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[2J", "x" * 201])
def test_names_that_cannot_be_recorded(campaign, name):
    with pytest.raises(ConfigError, match="is no name that can be recorded"):
        Session(campaign.store, name, make_request_task(campaign))


def make_request_task(campaign):
    select(campaign)
    return make_request(campaign, 0).task


def test_other_sources_do_not_count_what_is_typed(tmp_path):
    campaign = make_campaign(tmp_path, labeling={"source": "oracle"})
    select(campaign)
    with pytest.raises(ConfigError, match=r"labels come from `oracle`.*terminal, files"):
        asked_now(campaign)
