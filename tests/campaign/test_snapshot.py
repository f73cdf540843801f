"""One look at a campaign, shared: what is remembered, and until when."""

import pyarrow as pa
import pytest

from activelora.campaign import ledger
from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot, snapshot_of
from activelora.campaign.tombstones import mark_item
from tests.counting_store import counted_calls

EVALUATION = Unit("evaluate_adapter", 0)


@pytest.fixture
def campaign(tmp_path, make_config):
    campaign = Campaign.create(str(tmp_path / "campaign"), make_config())
    campaign.attempt(Unit("ingest_pool")).commit({"num_pool": 4}, {"num_shards": 2})
    return campaign


def test_a_moment_is_kept_until_the_next_refresh(campaign):
    seen = Snapshot(campaign)
    assert (seen.done, seen.stop_reason, seen.deleted) == ({Unit("ingest_pool")}, None, frozenset())
    campaign.attempt(EVALUATION).commit()
    mark_item(campaign.store, "a", {})
    stop_campaign(campaign, "enough")
    assert (seen.done, seen.stop_reason, seen.deleted) == ({Unit("ingest_pool")}, None, frozenset())
    assert seen.manifest(EVALUATION) is None
    seen.refresh()
    assert (seen.done, seen.stop_reason, seen.deleted) == ({Unit("ingest_pool"), EVALUATION}, "enough", {"a"})
    assert seen.manifest(EVALUATION) == campaign.require(EVALUATION)


def test_plans_of_a_snapshot_and_of_its_campaign_are_the_same(campaign):
    seen = Snapshot(campaign)
    assert snapshot_of(seen) is seen
    assert ledger.next_plan(seen) == ledger.next_plan(campaign)
    campaign.attempt(EVALUATION).commit()
    assert ledger.next_plan(seen).units == (EVALUATION,)
    seen.refresh()
    assert ledger.next_plan(seen) == ledger.next_plan(campaign)


def test_files_of_finished_units_are_read_once_for_good(campaign):
    attempt = campaign.attempt(EVALUATION)
    attempt.write_table("table.parquet", pa.table({"a": [1, 2]}))
    attempt.write_json("document.json", {"a": 1})
    manifest = attempt.commit()
    seen = Snapshot(campaign)
    with counted_calls() as calls:
        for _ in range(2):
            assert seen.table(manifest, "table.parquet")["a"].to_pylist() == [1, 2]
            assert seen.json(manifest, "document.json") == {"a": 1}
            seen.refresh()
    assert sorted(calls.counts("read").values()) == [1, 1]


def test_an_answer_that_comes_later_replaces_the_first(campaign):
    seen = Snapshot(campaign)
    assert [seen.once("question", lambda: 1), seen.once("question", lambda: 2)] == [1, 1]
    seen.note("question", 3)
    assert seen.once("question", lambda: 4) == 3
    seen.refresh()
    assert seen.once("question", lambda: 5) == 5


def test_many_manifests_come_in_the_order_of_their_units(tmp_path, campaign):
    units = [Unit("score_pool", 0, shard) for shard in range(20)]
    for unit in units:
        campaign.attempt(unit).commit()
    found = Snapshot(Campaign.open(campaign.store.uri)).require_all(units)
    assert [manifest.unit for manifest in found] == units
