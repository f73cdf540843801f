"""Label Studio with 5,000 tasks and 20,000 annotations: what publishing, a look and a full listing cost.

``LABEL_STUDIO_API_KEY=... python -m benchmarks.label_studio --url http://127.0.0.1:8080`` against a server of your own;
it leaves a project named `benchmark` there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.config import CampaignConfig
from activelora.labeling.label_studio import importing
from activelora.labeling.label_studio.client import Client
from activelora.labeling.label_studio.project import campaign_id, counters, ensure_project
from activelora.labeling.label_studio.reading import look
from activelora.labeling.label_studio.source import LabelStudioSource, connect
from activelora.labeling.source import Request, make_request
from activelora.pool.access import shard_items
from activelora.scoring.table import unscored_table
from components.ingest_pool import step as ingest_pool
from components.select_batch import step as select_batch

NUM_TASKS, NUM_ANNOTATORS, REPETITIONS = 5_000, 4, 3


def main() -> None:
    """Fill a project, measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--tasks", type=int, default=NUM_TASKS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        campaign = _campaign(Path(folder), given.url, given.tasks)
        request = make_request(campaign, 0)
        client, source = connect(campaign.config.labeling), LabelStudioSource()
        project = ensure_project(client, campaign)
        rows = [("import of the tasks with their annotations (by the benchmark)", _fill(client, request, project), "")]
        rows += _measured(client, source, request, project)
    counts = counters(client, campaign, project)
    print(f"{counts['task_number']} tasks, {counts['total_annotations_number']} annotations\n")
    print("| what | seconds | tasks listed |\n|---|---:|---:|")
    for name, seconds, listed in rows:
        print(f"| {name} | {seconds:.2f} | {listed} |")


def _measured(
    client: Client, source: LabelStudioSource, request: Request, project: int
) -> list[tuple[str, float, str]]:
    campaign = request.campaign
    rows = [("publish: all is there, which a filtered listing shows", _time(lambda: source.publish(request)), "ids")]
    seconds, listed = _looked(client, campaign, project, full=True)
    rows.append(("full listing, once a round", seconds, listed))
    time.sleep(11)  # past the overlap
    ids = sorted(client.tasks(project, [], include="id"))
    nothing, changed = [], []
    for repetition in range(REPETITIONS):
        nothing.append(_looked(client, campaign, project))
        _annotate(client, ids[repetition])
        changed.append(_looked(client, campaign, project))
        time.sleep(11)
    for name, found in (("look: nothing changed", nothing), ("look: one new annotation", changed)):
        rows.append((f"{name}, median of {len(found)}", statistics.median(one for one, _ in found), found[-1][1]))
    start = time.monotonic()
    collected = source.collect(request)
    rows.append(("collect: look, drafts, counting the answers", time.monotonic() - start, ""))
    print(f"states: {dict(collected.states) and sorted(set(collected.states.values()))}")
    return rows


def _time(action: Callable[[], Any]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


def _looked(client: Client, campaign: Campaign, project: int, *, full: bool = False) -> tuple[float, str]:
    start = time.monotonic()
    view = look(client, campaign, project, full=full)
    return time.monotonic() - start, str(view.num_listed)


def _annotate(client: Client, task: int) -> None:
    result = [{"from_name": "label", "to_name": "item_text", "type": "choices", "value": {"choices": ["human"]}}]
    client.post(f"/api/tasks/{task}/annotations/", {"result": result})


def _fill(client: Client, request: Request, project: int) -> float:
    """Import the round's tasks as :func:`importing.import_round` does, with annotations: one by one takes hours."""
    campaign = campaign_id(request.campaign)
    wanted = {importing.external_id(campaign, 0, item_id): item_id for item_id in request.reasons}
    value = {"from_name": "label", "to_name": "item_text", "type": "choices", "value": {"choices": ["human"]}}
    start = time.monotonic()
    for batch in importing.batches(request, wanted):
        annotated = [{**task, "annotations": [{"result": [value]}] * NUM_ANNOTATORS} for task in batch]
        client.post(f"/api/projects/{project}/import", annotated)
    return time.monotonic() - start


def _campaign(folder: Path, url: str, num_tasks: int) -> Campaign:
    """Make a campaign whose first batch is its pool."""
    rows = [{"text": f"question {number}? " + "word " * 40, "label": "human"} for number in range(num_tasks + 5)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "benchmark",
        "task": {"prompt": "{text}", "labels": ["human", "number"]},
        "data": {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 5},
        "acquisition": {"strategy": "random", "batch_size": num_tasks},
        "labeling": {"source": "label_studio", "annotators_per_item": 5, "label_studio": {"url": url}},
    }
    campaign = Campaign.create(str(folder / "campaign"), CampaignConfig.model_validate(document))
    num_shards = int(ingest_pool.run(campaign).details["num_shards"])
    for shard in range(num_shards):
        attempt = campaign.attempt(Unit("score_pool", 0, shard))
        attempt.write_table("scores.parquet", unscored_table([item.item_id for item in shard_items(campaign, shard)]))
        attempt.commit()
    select_batch.run(campaign, 0)
    return campaign


if __name__ == "__main__":
    main()
