"""What tasks share: a campaign that is opened when it is asked for, and a log beside the unit's manifest."""

from __future__ import annotations

import logging

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from components.task_context import task
from tests.pipelines.tiny import tiny_config

UNIT = Unit("ingest_pool")


@pytest.fixture
def campaign(tmp_path):
    return Campaign.create(str(tmp_path / "campaign"), tiny_config(tmp_path, tmp_path / "no-model"))


def say(word):
    logging.getLogger("activelora").warning(word)


def test_the_log_of_a_unit_is_kept_once_the_campaign_is_open(campaign):
    with task("ingest_pool", campaign.store.uri, UNIT) as here:
        say("before")
        assert here.campaign.config == campaign.config
        assert here.campaign is here.campaign
        say("after")
    kept = campaign.store.read(UNIT.log_key).decode()
    assert kept.index("before") < kept.index("after")


def test_a_task_without_a_unit_keeps_no_log(campaign):
    with task("plan", campaign.store.uri) as here:
        say("something")
        here.keep_log()
        assert here.campaign.store.uri == campaign.store.uri
    assert [key for key in campaign.store.list("") if key.endswith(".jsonl")] == []


def test_of_several_processes_one_keeps_the_log(campaign):
    for leads in (False, True):
        with task("ingest_pool", campaign.store.uri, UNIT, keeps_log=False) as here:
            say(f"from {here.campaign.config.name}, leads: {leads}")
            if leads:
                here.keep_log()
    assert "leads: False" not in campaign.store.read(UNIT.log_key).decode()
    assert "leads: True" in campaign.store.read(UNIT.log_key).decode()


def test_a_campaign_that_is_gone_fails_the_task_only_where_it_is_asked_for(tmp_path, caplog):
    with task("plan", str(tmp_path / "nothing")):
        say("went on")
    with pytest.raises(SystemExit) as end, task("plan", str(tmp_path / "nothing")) as here:
        here.campaign.config  # noqa: B018 - it is opened here
    assert end.value.code == 1
    assert "nothing" in caplog.text
