"""How often commands ask the store while a round waits: everything once, and nothing that is not needed."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.history import SCORED
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot
from activelora.pool.access import SHARDS, find_items, shard_items
from activelora.tracking.publish import PUBLISHED_KEY, state_shown
from components.await_labels import step as await_labels
from pipelines.cli.status_document import status_document
from tests.counting_store import WRITES, counted_calls
from tests.labeling.conftest import LABELS, csv_of, make_campaign, put, select

NUM_SHARDS, NUM_ROUNDS, BATCH = 12, 4, 3
METRICS = {
    "accuracy": 0.5,
    "accuracy_low": 0.2,
    "accuracy_high": 0.8,
    "ece": 0.1,
    "nll": 1.0,
    "num_holdout": 9.0,
    "seconds": 1.0,
}
LISTINGS = ("schema-", "pool/refresh-", "amendments/", "rounds/", "deleted/items/", "labeling/imports/")
_SHEETS = ("to_label.csv", "to_label.jsonl", "rejected.csv", "to_adjudicate.csv")
EXIST = {
    "status": ["pool/manifest.json"],
    "tick": ["pool/manifest.json", "report.html", *(f"labeling/round-0004/{name}" for name in _SHEETS)],
}
"""What a command asks whether it is there."""


def waiting_campaign(folder, **sections):
    """Four rounds have their labels, from as many files; the fifth waits, and has published what it asks for."""
    campaign = make_campaign(folder, num_items=NUM_SHARDS * 7, batch=BATCH, **sections)
    answers = LABELS if campaign.config.task.kind == "classification" else "ab"
    for round_ in range(NUM_ROUNDS + 1):
        if round_:
            campaign.attempt(Unit("train_adapter", round_)).commit({"seconds": 1.0})
        attempt = campaign.attempt(Unit("evaluate_adapter", round_))
        attempt.commit(METRICS, {"gates": {"passed": False, "reasons": ["none"]}})
        ids = select(campaign, round_)
        if round_ < NUM_ROUNDS:
            rows = [(item_id, answers[index % 2], "ann") for index, item_id in enumerate(ids)]
            put(campaign, f"round-{round_}.csv", csv_of(*rows))
        await_labels.run(campaign, round_)
    return campaign


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a campaign that waits."""
    return Path(waiting_campaign(tmp_path_factory.mktemp("waiting")).store.uri)


@pytest.fixture
def uri(written, tmp_path):
    """A copy of it, which nobody has looked at; what it shows to people is up to date."""
    campaign = Campaign.open(str(shutil.copytree(written, tmp_path / "copy")))
    campaign.store.write(PUBLISHED_KEY, json.dumps(state_shown(Snapshot(campaign))).encode())
    return campaign.store.uri


def within(counts, uri):
    """Return counts by key in a campaign."""
    return Counter({path.removeprefix(f"{uri}/"): count for path, count in counts.items()})


def asked_shards(campaign):
    """Return the shards that hold an item that any round asked for, the slow way."""
    asked = {item_id for round_ in range(NUM_ROUNDS + 1) for item_id in selected(campaign, round_)}
    held = ({item.item_id for item in shard_items(campaign, shard)} for shard in range(NUM_SHARDS))
    return {shard for shard, ids in enumerate(held) if ids & asked}


def selected(campaign, round_):
    table = campaign.read_table(campaign.require(Unit("select_batch", round_)), "selection.parquet")
    return table.sort_by("position")["item_id"].to_pylist()


def read_shards(campaign, reads):
    """Return how often each pool shard was read."""
    files = campaign.require(Unit("ingest_pool")).files
    keys = {files[f"pool/items-{shard:05d}.parquet"].key: shard for shard in range(NUM_SHARDS)}
    return Counter({keys[key]: count for key, count in reads.items() if key in keys})


@pytest.mark.parametrize("command", ["status", "tick"])
def test_a_command_that_waits_asks_everything_once(command, uri, run):
    with counted_calls() as calls:
        code, out, _ = run(command, uri)
    assert code == 0
    assert "waiting: 0 of 3 labels of round 4" in out
    reads = within(calls.counts("read", "open"), uri)
    assert max(reads.values()) == 1
    # The source is asked once: it looks into its two folders once.
    assert within(calls.counts("list_versions"), f"{uri}/inbox") == {"": 1, f"{uri}/labeling/answers/": 1}
    assert within(calls.counts("list"), uri) == dict.fromkeys(LISTINGS, 1)
    assert {key for key in reads if key.startswith("inbox/")} == {f"inbox/round-{n}.csv" for n in range(NUM_ROUNDS)}
    tables = Counter(key.rpartition("/")[2] for key in reads if key.endswith(".parquet"))
    assert tables == {"selection.parquet": NUM_ROUNDS + 1, "labels.parquet": NUM_ROUNDS}
    assert not read_shards(Campaign.open(uri), reads)
    manifests = [key for key in reads if key.endswith("/manifest.json")]
    assert not [key for key in manifests if "score_pool" in key]
    # Round 0 has no training, and the last round no labels: a tick makes sure that nobody else has finished it.
    assert len(manifests) == 1 + 4 * NUM_ROUNDS + 2 + (command == "tick")
    assert reads["stopped.json"] == 1
    assert not calls.counts(*WRITES)
    assert sorted(within(calls.counts("exists"), uri)) == sorted(EXIST[command])


def test_only_shards_with_asked_items_are_read_and_each_once(tmp_path):
    task = {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"}
    rows = [{"text": f"question {n}?", "choices": ["x", "y", "z"], "label": n % 3} for n in range(NUM_SHARDS * 7 + 5)]
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout_size": 5, "shard_rows": 7}
    campaign = waiting_campaign(tmp_path, task=task, rows=rows, data=data)
    copy = str(shutil.copytree(campaign.store.uri, tmp_path / "copy"))
    with counted_calls() as calls:
        assert status_document(Campaign.open(copy))["labels"]["num_open"] == BATCH
    read = read_shards(campaign, within(calls.counts("read", "open"), copy))
    assert set(read) <= asked_shards(campaign) < set(range(NUM_SHARDS))
    assert max(read.values()) == 1


def test_items_of_a_batch_are_found_without_a_search(uri):
    campaign = Campaign.open(uri)
    ids = selected(campaign, 0)
    with counted_calls() as calls:
        found = find_items(campaign, ids)
    assert set(found) == set(ids)
    read = read_shards(campaign, within(calls.counts("read", "open"), uri))
    shards = {n for n in range(NUM_SHARDS) if {item.item_id for item in shard_items(campaign, n)} & set(ids)}
    assert read == dict.fromkeys(shards, 1)


def test_a_campaign_of_an_earlier_version_tells_and_finds_the_same(uri, run):
    ids = selected(Campaign.open(uri), 2)
    wanted, items = status_document(Campaign.open(uri)), find_items(Campaign.open(uri), ids)
    forget_shards(uri)
    with counted_calls() as calls:
        assert status_document(Campaign.open(uri)) == wanted
    assert max(calls.counts("read", "open").values()) == 1
    assert find_items(Campaign.open(uri), ids) == items


def forget_shards(uri):
    """Make of the selections' manifests what an earlier version wrote."""
    for path in Path(uri).glob("rounds/*/select_batch/manifest.json"):
        document = json.loads(path.read_text())
        for name in (SHARDS, SCORED):
            del document["details"][name]
        path.write_text(json.dumps(document))
