"""Tasks of the graph do what is due, and end well at once where nothing is."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activelora.campaign.campaign import Campaign, stop_campaign, stop_reason
from activelora.campaign.ledger import finished_units, step_units
from activelora.campaign.manifest import Unit
from components.entry import NO_SHARDS, run_if_due, run_unit, score_share
from components.evaluate_adapter.decide import evaluate_if_due, shares_of
from components.plan.step import ANY_ROUND, Begun, begin_at
from pipelines.engines import inline
from tests.counting_store import WRITES, counted_calls
from tests.pipelines.engines.test_inline import digests, fill_in
from tests.pipelines.in_pods import Shown, tick_in_pods
from tests.pipelines.tiny import tiny_config

STEPS = ("ingest_pool", "evaluate_adapter", "score_pool", "select_batch", "await_labels")
RANDOM = {"batch_size": 4, "strategy": "random"}


@pytest.fixture
def make(tmp_path, tiny_model_path):
    def make(name: str = "campaign", **sections: object) -> Campaign:
        return Campaign.create(str(tmp_path / name), tiny_config(tmp_path, tiny_model_path, **sections))

    return make


@pytest.fixture
def shown(tmp_path):
    return Shown(str(tmp_path / "metrics")), Shown(str(tmp_path / "report"))


@given(st.sets(st.integers(0, 60)), st.integers(1, 9))
def test_shares_are_balanced_and_hold_each_shard_once(shards, num):
    shards = sorted(shards)
    shares = shares_of(shards, num)
    if not shards:
        assert shares == [NO_SHARDS]
        return
    bounds = [tuple(map(int, share.split("-"))) for share in shares]
    held = [[one for one in shards if first <= one <= last] for first, last in bounds]
    assert sorted(one for share in held for one in share) == shards
    assert len(shares) == min(num, len(shards))
    assert max(map(len, held)) - min(map(len, held)) <= 1


def do(campaign: Campaign, *steps: str, round_: int = 0) -> None:
    """Do steps of a round, in this process."""
    for step in steps:
        for unit in step_units(step, round_, 2):
            run_unit(campaign, unit)


def test_a_tick_begins_with_the_round_that_is_under_way(make):
    campaign = make(acquisition=RANDOM)

    def begins(round_: int, *, work: bool) -> None:
        uri = campaign.store.uri
        assert begin_at(uri, ANY_ROUND) == begin_at(uri, float(round_)) == (round_, work)  # KFP sends floats
        assert begin_at(uri, round_ + 1) == (round_, False)

    begins(0, work=True)
    for step in ("ingest_pool", "evaluate_adapter", "score_pool"):
        do(campaign, step)
        begins(0, work=True)
    do(campaign, "select_batch")
    assert begin_at(campaign.store.uri, ANY_ROUND) == Begun(1, work=True), "the oracle has answered"
    assert Unit("await_labels", 0) in finished_units(Campaign.open(campaign.store.uri))
    do(campaign, "train_adapter", round_=1)
    begins(1, work=True)


def test_what_is_not_due_is_not_done_and_leaves_nothing(new_campaign, tmp_path):
    campaign = new_campaign("ingest_pool", "evaluate_adapter")  # scoring is due
    before = everything(campaign)
    shown = Shown(str(tmp_path / "shown"))
    for step, round_ in (("train_adapter", 0), ("train_adapter", 1), ("select_batch", 0), ("ingest_pool", 0)):
        run_if_due(step, campaign.store.uri, round_, shown)
    score_share(campaign.store.uri, 1, "0-1")
    score_share(campaign.store.uri, 0, NO_SHARDS)
    assert everything(campaign) == before


def everything(campaign: Campaign) -> dict[str, bytes]:
    folder = Path(campaign.store.uri)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_campaign_that_is_stopped_in_the_middle_of_a_tick_is_not_moved_on(make, shown):
    campaign = make(acquisition=RANDOM)
    do(campaign, *STEPS)
    assert begin_at(campaign.store.uri, ANY_ROUND) == Begun(1, work=True)
    stop_campaign(campaign, "stopped by hand: enough")
    done = finished_units(campaign)
    run_if_due("train_adapter", campaign.store.uri, 1)
    assert evaluate_if_due(campaign.store.uri, 1, 2, *shown) == (False, [NO_SHARDS])
    assert finished_units(Campaign.open(campaign.store.uri)) == done
    assert b"stopped by hand: enough" in campaign.store.read("report.html")


def test_a_campaign_that_ends_with_its_measurement_ends_there(make, shown):
    campaign = make(acquisition=RANDOM, stopping={"max_rounds": 1})
    do(campaign, *STEPS)
    do(campaign, "train_adapter", round_=1)
    assert evaluate_if_due(campaign.store.uri, 1, 2, *shown) == (False, [NO_SHARDS])
    assert stop_reason(campaign) == "all 1 planned rounds are done (4 labels)"
    assert b"The campaign ended" in campaign.store.read("report.html")
    metrics, report = shown
    assert metrics.metadata["accuracy"] == campaign.require(Unit("evaluate_adapter", 1)).metrics["accuracy"]
    assert "ActiveLoRA campaign report" in Path(report.path).read_text(encoding="utf-8")


def test_a_selection_that_nobody_was_asked_about_is_asked_about(make, shown):
    campaign = make(acquisition=RANDOM)
    do(campaign, *STEPS[:3])
    for _ in range(2):
        assert evaluate_if_due(campaign.store.uri, 0, 2, *shown) == (True, [NO_SHARDS])
        do(campaign, "select_batch")


def test_a_killed_share_goes_on_where_it_was(make, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    one, other = make("one"), make("other")
    for campaign in (one, other):
        run_if_due("ingest_pool", campaign.store.uri)
        evaluate_if_due(campaign.store.uri, 0, 1, Shown(str(tmp_path / "m")), Shown(str(tmp_path / "r")))
    score_share(one.store.uri, 0, "0-1")
    score_share(other.store.uri, 0, "0-0")
    first = other.require(Unit("score_pool", 0, 0))
    score_share(other.store.uri, 0, "0-1")  # as if it had been killed after its first shard
    assert other.require(Unit("score_pool", 0, 0)) == first
    assert digests(one) == digests(other)
    text = other.store.read(Unit("score_pool", 0, 1).log_key).decode()
    assert "score_pool round 0 shard 1 done" in text


def test_ticks_of_tasks_leave_what_the_inline_engine_leaves(make, tmp_path):
    alone, piped = make("alone"), make("piped")
    expected = inline.run_campaign(alone)
    for _ in range(9):
        if not tick_in_pods(piped.store.uri, tmp_path).work:
            break
    assert stop_reason(piped) == expected.reason
    assert digests(piped) == digests(alone)


@pytest.mark.parametrize("engine", ["tasks", "inline"])
def test_a_tick_publishes_once_and_an_idle_one_not_at_all(make, tmp_path, engine):
    campaign = make(labeling={"source": "files"}, acquisition=RANDOM, stopping={"max_rounds": 2})

    def tick() -> int:
        """Return how often the report was written."""
        with counted_calls() as calls:
            if engine == "tasks":
                tick_in_pods(campaign.store.uri, tmp_path)
            else:
                inline.tick(campaign)
        return calls.counts(*WRITES)[f"{campaign.store.uri}/report.html"]

    assert [tick(), tick(), tick()] == [1, 0, 0]
    fill_in(campaign, 0, 4)
    assert [tick(), tick()] == [1, 0]  # labels collected, trained, measured, selected, asked
    fill_in(campaign, 1, 4)
    assert tick() == 1
    assert stop_reason(campaign) == "all 2 planned rounds are done (8 labels)"
