"""What the graph branches on, in every state that a round can be in."""

from __future__ import annotations

import pytest

from activelora.campaign.campaign import Campaign, stop_campaign, stop_reason
from activelora.campaign.manifest import Unit
from components.plan.step import ANY_ROUND, Due, close_if_due, due, due_at
from tests.http_server import serving
from tests.pipelines.conftest import finish, finish_step

ROUND_0 = ("ingest_pool", "evaluate_adapter", "score_pool", "select_batch", "await_labels")
ROUND_1 = tuple((step, 1) for step in ("train_adapter", "evaluate_adapter", "score_pool", "select_batch"))


@pytest.mark.parametrize(
    ("finished", "expected"),
    [
        ((), Due(0, ingest=True)),
        (ROUND_0[:1], Due(0, work=True, evaluate=True)),
        (ROUND_0[:2], Due(0, work=True, label=True, score=True, shards=(0, 1), select=True)),
        (ROUND_0[:3], Due(0, work=True, label=True, select=True)),
        (ROUND_0[:4], Due(0, collect=True, label=True)),
        (ROUND_0, Due(1, work=True, train=True, evaluate=True)),
        ((*ROUND_0, *ROUND_1[:1]), Due(1, work=True, evaluate=True)),
        ((*ROUND_0, *ROUND_1), Due(1, collect=True, label=True)),
    ],
)
def test_each_state_has_its_branches(new_campaign, finished, expected):
    assert due(new_campaign(*finished)) == expected


def test_only_the_shards_that_are_missing_are_due(new_campaign):
    campaign = new_campaign(*ROUND_0[:2])
    finish(campaign, Unit("score_pool", 0, 0))
    assert due(campaign).shards == (1,)


def test_another_round_than_the_one_under_way_has_nothing_due(new_campaign):
    campaign = new_campaign(*ROUND_0)
    assert due(campaign, 0) == due(campaign, 2) == Due(1)
    assert due(campaign, 1) == due(campaign, ANY_ROUND)


def test_nothing_is_due_once_the_campaign_has_ended(new_campaign):
    campaign = new_campaign(*ROUND_0)
    stop_campaign(campaign, "enough")
    assert not any(due(campaign)[1:])


def test_the_component_records_the_end(new_campaign):
    campaign = new_campaign(*ROUND_0[:1], stopping={"max_rounds": 1})
    for step in ("evaluate_adapter", "score_pool", "select_batch", "await_labels"):
        finish_step(campaign, step, 0)
    finish_step(campaign, "train_adapter", 1)
    assert stop_reason(campaign) is None
    assert due(campaign) == Due(1, work=True, evaluate=True)


@pytest.mark.parametrize(
    "stopping",
    [{"target_accuracy": 0.5, "target_on": "point"}, {"plateau_rounds": 1, "max_rounds": 9}, {"target_ece": 0.2}],
    ids=str,
)
def test_kfp_sees_targets_and_plateaus_as_the_other_engines_do(new_campaign, stopping):
    campaign = new_campaign("ingest_pool", stopping={"max_rounds": 9, "target_on": "point", **stopping})
    rounds = 0
    while due(campaign)[1:] != Due(0)[1:]:
        steps = ("evaluate_adapter", "score_pool", "select_batch", "await_labels")
        for step in steps if rounds == 0 else ("train_adapter", *steps):
            if any(due(campaign)[1:]):
                finish_step(campaign, step, rounds)
        rounds += 1
    assert stop_reason(campaign) is None
    reason = close_if_due(Campaign.open(campaign.store.uri))  # as the `plan` component does
    assert reason.startswith("accuracy is on a plateau" if "plateau_rounds" in stopping else "the target is reached")
    assert rounds == (3 if "plateau_rounds" in stopping else 1)


def test_kfp_gets_plain_values_and_may_send_floats(new_campaign):
    campaign = new_campaign(*ROUND_0[:2])
    outputs = due_at(campaign.store.uri, 0.0, False)
    assert outputs == (0, False, False, True, False, False, True, True, [0, 1], True)
    assert [type(value) for value in outputs] == [int, *[bool] * 7, list, bool]


def test_nothing_is_due_in_a_campaign_that_was_stopped_while_it_was_published(new_campaign):
    with serving() as gateway:
        campaign = new_campaign(*ROUND_0[:1], tracking={"enabled": False, "pushgateway": gateway.url})

        def stop(handler, number):
            stop_campaign(campaign, "stopped by hand: enough")
            handler.answer(200)

        gateway.behave = stop
        assert due(campaign).evaluate
        assert not any(due_at(campaign.store.uri, ANY_ROUND, True)[1:])
    assert len(gateway.seen) == 1


def test_a_place_without_a_campaign_is_refused(tmp_path):
    from activelora.errors import StoreError

    with pytest.raises(StoreError, match="there is no campaign here"):
        Campaign.open(str(tmp_path))
