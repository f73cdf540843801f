"""Reminders: at their moment, each once whatever crashes, and never in the way."""

import json
import logging
import socket
from datetime import timedelta

import pytest

from activelora.campaign.campaign import Campaign
from activelora.labeling.deadlines import deadlines_of
from activelora.labeling.reminder import reminder_key
from activelora.labeling.waiting import Clock
from components.await_labels import step
from tests.labeling.conftest import csv_of, make_campaign, put, select
from tests.webhook_server import webhook


@pytest.fixture
def hook(monkeypatch):
    with webhook() as handler:
        monkeypatch.setenv("ACTIVELORA_WEBHOOK_URL", handler.url)
        yield handler


def waiting(folder, **labeling):
    labeling = {"source": "files", "deadline_hours": 24, "remind_hours": [6, 2], **labeling}
    campaign = make_campaign(folder, labeling=labeling)
    return campaign, select(campaign)


def tick(campaign, hours_before_the_deadline):
    moment = deadlines_of(campaign, 0).deadline - timedelta(hours=hours_before_the_deadline)
    return step.run(Campaign.open(campaign.store.uri), 0, Clock(lambda: moment, lambda _: None))


def test_each_moment_is_told_once_however_often_one_looks(tmp_path, hook):
    campaign, ids = waiting(tmp_path)
    put(campaign, "a.csv", csv_of((ids[0], "human", "ann")))
    told = []
    for hours in (20, 6.1, 6, 5, 3, 2, 1.9, 0.1):
        tick(campaign, hours)
        tick(campaign, hours)
        told.append(len(hook.got))
    assert told == [0, 0, 1, 1, 1, 2, 2, 2]
    message = hook.got[0]
    assert message["text"].startswith("ActiveLoRA: test waits for 4 of 5 items of round 0, until ")
    assert (message["state"], message["round"], message["num_open"]) == ("WAITING", 0, 4)
    assert message["campaign"] == campaign.store.uri
    outcomes = [key for key in campaign.store.list("labeling/round-0000/reminders/") if key.endswith("-outcome.json")]
    assert [json.loads(campaign.store.read(key))["outcome"] for key in outcomes] == ["a reminder was sent"] * 2
    assert all("secret-path" not in campaign.store.read(key).decode() for key in campaign.store.list("labeling/"))


def test_of_several_moments_that_passed_unseen_the_latest_is_told(tmp_path, hook):
    campaign, _ = waiting(tmp_path)
    tick(campaign, 1)
    assert len(hook.got) == 1
    tick(campaign, 0.5)
    assert len(hook.got) == 1


def test_a_tick_killed_between_marker_and_message_is_not_made_up_for(tmp_path, hook):
    campaign, _ = waiting(tmp_path)
    moment = deadlines_of(campaign, 0).deadline - timedelta(hours=6)
    campaign.store.create(reminder_key(0, moment), b"{}")
    tick(campaign, 5)
    assert hook.got == []
    tick(campaign, 1)
    assert len(hook.got) == 1


def test_nobody_is_told_of_a_round_that_is_done_or_over(tmp_path, hook):
    campaign, ids = waiting(tmp_path)
    put(campaign, "a.csv", csv_of(*((item_id, "human", "ann") for item_id in ids)))
    assert tick(campaign, 1) is not None
    late, _ = waiting(tmp_path / "late", on_deadline="wait")
    tick(late, -1)
    assert hook.got == []


def test_an_extension_is_told_too(tmp_path, hook):
    campaign, _ = waiting(tmp_path, on_deadline="extend", deadline_extension_hours=4, remind_hours=[6])
    for hours in (5, 1, 0, -1, -3.9):
        tick(campaign, hours)
    assert len(hook.got) == 2
    assert hook.got[0]["deadline"] < hook.got[1]["deadline"]


def test_a_webhook_that_fails_stops_nothing(tmp_path, hook, caplog):
    campaign, ids = waiting(tmp_path)
    hook.statuses += [404, 404]
    with caplog.at_level(logging.WARNING):
        assert tick(campaign, 5) is None
    assert caplog.messages == ["a reminder could not be sent: the webhook answered 404"]
    put(campaign, "a.csv", csv_of(*((item_id, "human", "ann") for item_id in ids)))
    assert tick(campaign, 4).metrics["num_labeled"] == 5


def test_without_a_url_it_is_told_as_soon_as_there_is_one(tmp_path, hook, monkeypatch, caplog):
    campaign, _ = waiting(tmp_path)
    monkeypatch.delenv("ACTIVELORA_WEBHOOK_URL")
    with caplog.at_level(logging.WARNING):
        tick(campaign, 5)
    assert caplog.messages == ["a reminder is due, and ACTIVELORA_WEBHOOK_URL is not set"]
    monkeypatch.setenv("ACTIVELORA_WEBHOOK_URL", hook.url)
    tick(campaign, 4)
    assert len(hook.got) == 1


@pytest.mark.slow
def test_a_webhook_that_nobody_answers_stops_nothing(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("ACTIVELORA_WEBHOOK_URL", f"http://127.0.0.1:{port}/")
    campaign, _ = waiting(tmp_path)
    assert tick(campaign, 5) is None
