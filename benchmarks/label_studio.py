"""Label Studio with 5,000 tasks and 20,000 annotations: what publishing, a look and a full listing cost.

``LABEL_STUDIO_API_KEY=... python -m benchmarks.label_studio --url URL --folder FOLDER --server-pid PID`` against a
server of your own on Linux. The campaign is kept in the folder and its project on the server; the next run
measures looks only.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.config import CampaignConfig
from activelora.labeling.label_studio.client import Client
from activelora.labeling.label_studio.importing import batches, external_id
from activelora.labeling.label_studio.project import campaign_id, counters, ensure_project
from activelora.labeling.label_studio.reading import OVERLAP_SECONDS, look
from activelora.labeling.label_studio.source import LabelStudioSource, connect
from activelora.labeling.request import Request, make_request
from activelora.pool.access import shard_items
from activelora.scoring.table import unscored_table
from components.ingest_pool import step as ingest_pool
from components.select_batch import step as select_batch

NUM_TASKS, NUM_ANNOTATIONS, REPETITIONS = 5_000, 4, 3
RESULT = [{"from_name": "label", "to_name": "item_text", "type": "choices", "value": {"choices": ["human"]}}]


def main() -> None:
    """Fill a project, unless that was done, measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--server-pid", required=True, type=int)
    parser.add_argument("--tasks", type=int, default=NUM_TASKS)
    given = parser.parse_args()
    campaign = _campaign(given.folder.resolve(), given.url, given.tasks)
    request = make_request(campaign, 0)
    client = connect(campaign.config.labeling)
    project = ensure_project(client, campaign)
    _print("what", "tasks listed", "seconds", "server's CPU seconds")
    _print("---", "---:", "---:", "---:")
    _measure(Meter(given.server_pid), client, request, project)
    counts = counters(client, campaign, project)
    print(f"\n{counts['task_number']} tasks, {counts['total_annotations_number']} annotations")


class Meter:
    """Measures what a server does for a call.

    Args:
        pid: The server's process.
    """

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")

    def cpu_seconds(self) -> float:
        """Return the time the server's threads have run."""
        fields = self._stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def row(self, what: str, action: Callable[[], Any], listed: Callable[[Any], object] = lambda _: "") -> None:
        """Do something and print what it cost."""
        start, cpu = time.monotonic(), self.cpu_seconds()
        result = action()
        seconds, cpu = time.monotonic() - start, self.cpu_seconds() - cpu
        _print(what, str(listed(result)), f"{seconds:.2f}", f"{cpu:.2f}")


def _measure(meter: Meter, client: Client, request: Request, project: int) -> None:
    campaign, source = request.campaign, LabelStudioSource()
    if not int(counters(client, campaign, project)["task_number"] or 0):
        meter.row("import, with annotations", lambda: _fill(client, request, project))
        meter.row("publish, where all is there", lambda: source.publish(request))
        meter.row("full listing", lambda: look(client, campaign, project, full=True), lambda view: view.num_listed)
    task = min(look(client, campaign, project).tasks)
    for _ in range(REPETITIONS):
        time.sleep(OVERLAP_SECONDS + 1)
        meter.row("look: nothing new", lambda: look(client, campaign, project), lambda view: view.num_listed)
        client.post(f"/api/tasks/{task}/annotations/", {"result": RESULT})
        meter.row("look: a new annotation", lambda: look(client, campaign, project), lambda view: view.num_listed)
    meter.row("collect: a look, drafts, counting", lambda: source.collect(request))


def _print(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _fill(client: Client, request: Request, project: int) -> None:
    """Import the round's tasks as publishing does, but with annotations: to make these one by one takes hours."""
    campaign = campaign_id(request.campaign)
    wanted = {external_id(campaign, 0, item_id): item_id for item_id in request.reasons}
    for batch in batches(request, wanted):
        annotated = [{**task, "annotations": [{"result": RESULT}] * NUM_ANNOTATIONS} for task in batch]
        client.post(f"/api/projects/{project}/import", annotated)


def _campaign(folder: Path, url: str, num_tasks: int) -> Campaign:
    """Make a campaign whose first batch is its pool, or open it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"text": f"question {number}? " + "word " * 40, "label": "human"} for number in range(num_tasks + 5)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "benchmark",
        "task": {"prompt": "{text}", "labels": ["human", "number"]},
        "data": {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 5, "known_labels": "ignore"},
        "acquisition": {"strategy": "random", "batch_size": num_tasks},
        "labeling": {"source": "label_studio", "annotators_per_item": 5, "label_studio": {"url": url}},
    }
    campaign = Campaign.create(str(folder / "campaign"), CampaignConfig.model_validate(document))
    for shard in range(int(ingest_pool.run(campaign).details["num_shards"])):
        attempt = campaign.attempt(Unit("score_pool", 0, shard))
        attempt.write_table("scores.parquet", unscored_table([item.item_id for item in shard_items(campaign, shard)]))
        attempt.commit()
    select_batch.run(campaign, 0)
    return campaign


if __name__ == "__main__":
    main()
