"""await_labels: an answer that cannot be used is told of in the round that meets it, and not in all rounds after it."""

import logging

import pytest

from activelora.labeling import asking
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from components.await_labels import step
from tests.components.test_await_labels import answer, rejected_rows, with_files
from tests.labeling.conftest import csv_of, put, select

UNREAD = b"this is no table"


def told(campaign, round_):
    request = make_request(campaign, round_)
    return [one.reason for one in asking.collected(get_source("files"), request).rejected]


@pytest.fixture
def after_a_round(tmp_path):
    """A campaign in round 1 whose round 0 met three answers that could not be used."""
    campaign, ids = with_files(tmp_path)
    put(campaign, "bad.csv", csv_of((ids[0], "nonsense", "bob"), ("i00000000000000000000", "human", "bob")))
    put(campaign, "notes.doc", UNREAD)
    assert step.run(campaign, 0) is None
    assert len(told(campaign, 0)) == 3
    answer(campaign, ids)
    assert step.run(campaign, 0).metrics["num_rejected_lines"] == 3
    assert len(rejected_rows(campaign)) == 3
    return campaign, ids, select(campaign, 1)


def test_what_an_earlier_round_rejected_is_not_told_again(after_a_round, caplog):
    campaign, _, second = after_a_round
    with caplog.at_level(logging.WARNING):
        assert step.run(campaign, 1) is None
    assert caplog.messages == []
    assert told(campaign, 1) == []
    assert not campaign.store.exists("labeling/round-0001/rejected.csv")
    answer(campaign, second, name="second.csv")
    assert step.run(campaign, 1).metrics["num_rejected_lines"] == 0
    assert len(rejected_rows(campaign)) == 3, "the list of the round that met them stays"


def test_what_is_new_is_told_also_of_an_old_line(after_a_round, caplog):
    campaign, ids, _ = after_a_round
    put(campaign, "bad.csv", csv_of((ids[0], "rubbish", "bob"), ("i00000000000000000000", "human", "bob")))
    put(campaign, "more.csv", csv_of((ids[1], "nonsense", "bob")))
    with caplog.at_level(logging.WARNING):
        assert step.run(campaign, 1) is None
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("2 answers cannot be used")
    assert {row["file"] for row in rejected_rows(campaign, 1)} == {"bad.csv", "more.csv"}


def test_an_item_that_is_asked_again_has_its_bad_answers_told_again(tmp_path):
    campaign, ids = with_files(tmp_path, min_fraction=0.5, wait_minutes=0)
    put(campaign, "bad.csv", csv_of((ids[0], "nonsense", "bob")))
    answer(campaign, ids[1:])
    assert step.run(campaign, 0) is not None
    for round_ in range(1, 5):
        asked = select(campaign, round_)
        assert bool(told(campaign, round_)) == (ids[0] in asked)
        if ids[0] in asked:
            return
        answer(campaign, asked, name=f"{round_}.csv")
        assert step.run(campaign, round_) is not None
    pytest.fail("the item was never asked again")
