"""A campaign that waits for labels: the real ingest_pool and select_batch, with the strategy that needs no model."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from activelora.labeling.wait_status import describe_wait
from activelora.rules.file import checked_config
from activelora.scoring.table import unscored_table
from components.ingest_pool import step as ingest_pool
from components.select_batch import step as select_batch

LABELS = ("entity", "human", "number")
START = datetime(2026, 1, 1, tzinfo=UTC)


def write_rows(path, num_rows, label_of=lambda index: LABELS[index % 3]):
    rows = [{"text": f"question {path.stem} {index}?", "label": label_of(index)} for index in range(num_rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_campaign(folder, *, uri=None, num_items=20, batch=5, labeling=None, task=None, rows=None, **sections):
    """Create a campaign with its pool taken in."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "holdout.jsonl", 9)
    if rows is None:
        write_rows(folder / "pool.jsonl", num_items)
    else:
        (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "test",
        "task": task or {"prompt": "{text}", "labels": LABELS},
        "data": {
            "folder": str(folder),
            "pool": {"path": "pool.jsonl"},
            "holdout": {"path": "holdout.jsonl"},
            "shard_rows": 7,
        },
        "acquisition": {"strategy": "random", "batch_size": batch},
        "labeling": labeling or {"source": "files"},
        **sections,
    }
    # The rows' labels are for the tests to answer with.
    document["data"] = {"known_labels": "ignore", **document["data"]}
    campaign = Campaign.create(uri or str(folder / "campaign"), checked_config(document, where="test"))
    ingest_pool.run(campaign)
    return campaign


def select(campaign, round_=0):
    """Do score_pool without scores and select_batch; return the selected ids in order."""
    num_shards = campaign.require(Unit("ingest_pool")).details["num_shards"]
    from activelora.pool.access import shard_items

    for shard in range(num_shards):
        attempt = campaign.attempt(Unit("score_pool", round_, shard))
        attempt.write_table("scores.parquet", unscored_table([item.item_id for item in shard_items(campaign, shard)]))
        attempt.commit()
    manifest = select_batch.run(campaign, round_)
    return campaign.read_table(manifest, "selection.parquet")["item_id"].to_pylist()


def put(campaign, name, content):
    """Put a file into the campaign's own inbox."""
    content = content if isinstance(content, bytes) else content.encode()
    campaign.store.write(f"inbox/{name}", content)


def csv_of(*rows, header="item_id,label,annotator"):
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def waiting_for(campaign, round_):
    """What people are told about a round that waits."""
    request = make_request(campaign, round_)
    return describe_wait(request, get_source(campaign.config.labeling.source).collect(request))


def labels_of(campaign, manifest):
    table: pa.Table = campaign.read_table(manifest, "labels.parquet")
    return {row["item_id"]: LABELS[row["label"]] for row in table.to_pylist()}


@pytest.fixture
def campaign(tmp_path):
    return make_campaign(tmp_path)
