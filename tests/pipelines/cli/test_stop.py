"""`stop` and `label`: no answer is lost without a word, and none is taken that no round would collect."""

import io
import sys

import pytest

from activelora.campaign.campaign import stop_campaign, stop_reason
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Unit
from activelora.labeling.importing import import_from
from activelora.labeling.uncollected import num_uncollected
from activelora.pool.access import find_items
from components.await_labels import step as await_labels
from tests.labeling.conftest import csv_of, make_campaign, put, select

MEASURED = {"accuracy": 0.5, "ece": 0.1, "nll": 1.0, "num_holdout": 9.0}


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """A campaign of which round 0 waits for the labels of its items; and these items."""
    monkeypatch.chdir(tmp_path)
    campaign = make_campaign(tmp_path, batch=4, tracking={"enabled": False})
    ids = select(campaign)
    await_labels.run(campaign, 0)
    return campaign, ids


def test_a_campaign_with_answers_is_not_stopped_without_a_word(waiting, run):
    campaign, ids = waiting
    put(campaign, "answers.csv", csv_of(*((one, "human", "ann") for one in ids[:2])))
    code, _, err = run("stop", campaign.store.uri, "--reason", "enough")
    assert code == 1
    assert "2 items have an answer that no round has collected" in " ".join(err.split())
    assert "--discard-answers" in err
    assert stop_reason(campaign) is None
    code, _, err = run("stop", campaign.store.uri, "--reason", "enough", "--discard-answers")
    assert code == 0, err
    assert stop_reason(campaign) == "stopped by hand: enough"


def test_without_answers_it_just_stops(waiting, run):
    campaign, _ = waiting
    assert run("stop", campaign.store.uri, "--reason", "enough")[0] == 0


def test_answers_that_lie_there_while_a_round_trains_are_told_too(waiting, run):
    campaign, ids = waiting
    put(campaign, "answers.csv", csv_of(*((one, "human", "ann") for one in ids)))
    assert await_labels.run(campaign, 0)
    put(campaign, "later.csv", csv_of((ids[0], "entity", "bob")))
    code, _, err = run("stop", campaign.store.uri, "--reason", "enough")
    assert code == 1
    assert "1 item has an answer that no round has collected" in " ".join(err.split())


def test_a_source_that_cannot_be_asked_is_told_with_the_way_out(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    studio = {"source": "label_studio", "label_studio": {"url": "http://127.0.0.1:9"}}
    campaign = make_campaign(tmp_path, batch=4, tracking={"enabled": False}, labeling=studio)
    campaign.attempt(Unit("evaluate_adapter", 0)).commit(MEASURED)
    select(campaign)
    code, _, err = run("stop", campaign.store.uri, "--reason", "enough")
    assert code == 1
    assert "whether answers would be lost cannot be told" in " ".join(err.split())
    assert "Add --discard-answers to end it all the same" in " ".join(err.split())
    assert stop_reason(campaign) is None


def test_answers_to_a_round_that_waits_and_imported_labels_are_counted(waiting, tmp_path):
    campaign, ids = waiting
    campaign.attempt(Unit("evaluate_adapter", 0)).commit(MEASURED)
    assert next_plan(campaign).units == (Unit("await_labels", 0),)
    assert num_uncollected(campaign) == 0
    put(campaign, "answers.csv", csv_of(*((one, "human", "ann") for one in ids[:2])))
    others = set(range(20)) - {int(item.fields["text"].split()[2][:-1]) for item in find_items(campaign, ids).values()}
    (tmp_path / "more.csv").write_text(f"text,label\nquestion pool {min(others)}?,human\n")
    import_from(campaign, str(tmp_path / "more.csv"))
    assert num_uncollected(campaign) == 3


def test_nobody_labels_for_a_campaign_that_has_ended(waiting, run, monkeypatch):
    campaign, _ = waiting
    stop_campaign(campaign, "stopped by hand: enough", by_hand=True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n"))
    code, _, err = run("label", campaign.store.uri, "--annotator", "ann")
    assert code == 1
    assert "the campaign has ended, so no round would collect an answer: stopped by hand: enough" in " ".join(
        err.split()
    )
    assert "activelora extend" in err
    assert not list(campaign.store.list("labeling/answers/"))


def test_an_oracle_loses_nothing(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    campaign = make_campaign(tmp_path, batch=4, labeling={"source": "oracle"}, tracking={"enabled": False})
    select(campaign)
    assert campaign.manifest(Unit("await_labels", 0)) is None
    assert run("stop", campaign.store.uri, "--reason", "enough")[0] == 0
