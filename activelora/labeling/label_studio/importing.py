"""Asking for a round's items: each becomes one task, once, whatever crashes when and whoever else publishes.

Importing is not idempotent in Label Studio. So each task carries an external id (campaign/round/item), what is there is
listed first, and only what is missing is imported. Of tasks that two runs imported at the same moment, the surplus
without an answer is removed. When all is there, an object in the campaign store says so: a task that is missing later
was deleted by somebody, and is not asked for again.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from activelora.campaign.manifest import Unit
from activelora.evaluation.exploration_check import PREDICTIONS
from activelora.labeling.label_studio.client import Client, until_there
from activelora.labeling.label_studio.interface import item_data, prediction
from activelora.labeling.label_studio.project import FOLDER, campaign_id
from activelora.labeling.redaction import shown_source_id
from activelora.labeling.request import Request

IMPORT_TASKS, IMPORT_BYTES = 250, 4 << 20
"""The most of one request: a small one is answered soon, so that few are under way when a run is killed."""
EXTERNAL_ID = "activelora_id"
_LIGHT = "id,meta,is_labeled,total_annotations,cancelled_annotations,draft_exists"
logger = logging.getLogger(__name__)


def external_id(campaign: str, round_: int, item_id: str) -> str:
    """Return a task's name: campaign/round/item."""
    return f"{campaign}/r{round_:04d}/{item_id}"


def split_external_id(campaign: str, text: object) -> tuple[int, str] | None:
    """Return round and item of a task of this campaign; None for any other."""
    parts = text.split("/", 2) if isinstance(text, str) else []
    if len(parts) != 3 or parts[0] != campaign or not parts[1].startswith("r") or not parts[1][1:].isdecimal():
        return None
    return int(parts[1][1:]), parts[2]


def published_key(project: int, round_: int) -> str:
    """Return the key of the object that says that all tasks of a round are there."""
    return f"{FOLDER}/project-{project}/round-{round_:04d}.json"


def import_round(client: Client, request: Request, project: int) -> None:
    """Create the tasks of a round that are not there, and say so in the store."""
    campaign = campaign_id(request.campaign)
    wanted = {external_id(campaign, request.round, item_id): item_id for item_id in request.asked}
    there: dict[str, list[dict[str, Any]]] = {}

    def look() -> bool:
        there.clear()
        there.update(_round_tasks(client, project, campaign, request.round))
        return all(name in there for name in wanted)

    def create() -> None:
        missing = {name: item_id for name, item_id in wanted.items() if name not in there}
        missing = _take_over(client, request, project, campaign, missing)
        for batch in batches(request, missing):
            client.post(f"/api/projects/{project}/import", batch)

    until_there(look, create)
    remove_surplus(client, there)
    num_tasks = len(there)  # without surplus, so that as much of it that comes late is noticed
    if request.campaign.config.labeling.label_studio.predictions == "shown" and wanted:
        client.patch(f"/api/projects/{project}/", {"model_version": model_version(request)})
    request.campaign.store.create(published_key(project, request.round), json.dumps({"num_tasks": num_tasks}).encode())
    logger.info("%d tasks of round %d are in Label Studio", len(wanted), request.round)


def remove_surplus(client: Client, tasks: Mapping[str, list[dict[str, Any]]]) -> None:
    """Of tasks with the same name keep those that somebody has worked on; of untouched ones the first."""
    for same in tasks.values():
        untouched = [task for task in same if not _is_touched(task)]
        for task in untouched if len(untouched) < len(same) else untouched[1:]:
            client.delete(f"/api/tasks/{task['id']}/")


def remove_late_surplus(client: Client, request: Request, project: int) -> None:
    """Remove what an import that outlived its killed run has brought after the round was published."""
    remove_surplus(client, _round_tasks(client, project, campaign_id(request.campaign), request.round))


def model_version(request: Request) -> str:
    """Return the name of the model whose answers are sent: the adapter that scored the round."""
    return f"{request.campaign.config.name} round {request.round}"


def _round_tasks(client: Client, project: int, campaign: str, round_: int) -> dict[str, list[dict[str, Any]]]:
    """Return the round's tasks by external id, each with its lightest fields, by task id."""
    prefix = external_id(campaign, round_, "")
    wanted = {"filter": f"filter:tasks:data.{EXTERNAL_ID}", "operator": "contains", "type": "String", "value": prefix}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for task in client.tasks(project, [wanted], include=_LIGHT).values():
        name = str((task.get("meta") or {}).get(EXTERNAL_ID, ""))
        if name.startswith(prefix):
            found[name].append(task)
    return dict(found)


def _is_touched(task: Mapping[str, Any]) -> bool:
    return bool(task.get("total_annotations") or task.get("cancelled_annotations") or task.get("draft_exists"))


def _take_over(
    client: Client, request: Request, project: int, campaign: str, missing: Mapping[str, str]
) -> dict[str, str]:
    """Give open tasks of earlier rounds about the same items to this round, and return what is still missing.

    A task that is full is left as it is: annotators would not see it again.
    """
    asked_before = _asked_before(request) & set(missing.values())
    if not asked_before:
        return dict(missing)
    left, order = dict(missing), _order(request)
    for task_id, task in client.tasks(project, [], include=_LIGHT).items():
        found = split_external_id(campaign, (task.get("meta") or {}).get(EXTERNAL_ID))
        if found is None or found[1] not in asked_before or task.get("is_labeled"):
            continue
        name = external_id(campaign, request.round, found[1])
        if name in left:
            client.patch(f"/api/tasks/{task_id}/", _task(request, left.pop(name), name, order[found[1]]))
    return left


def _asked_before(request: Request) -> set[str]:
    """Return the items that earlier rounds asked for."""
    asked: set[str] = set()
    for past in range(request.round):
        manifest = request.campaign.require(Unit("select_batch", past))
        asked |= set(request.campaign.read_table(manifest, "selection.parquet")["item_id"].to_pylist())
    return asked


def batches(request: Request, missing: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the missing tasks in requests of a bounded size, most wanted first."""
    predictions, order = _predictions(request), _order(request)
    batch: list[dict[str, Any]] = []
    num_bytes = 0
    for name, item_id in missing.items():
        task = _task(request, item_id, name, order[item_id])
        if item_id in predictions:
            probs = predictions[item_id]
            task["predictions"] = [prediction(request.task, request.items[item_id], probs, model_version(request))]
        size = len(json.dumps(task))
        if batch and (len(batch) == IMPORT_TASKS or num_bytes + size > IMPORT_BYTES):
            yield batch
            batch, num_bytes = [], 0
        batch.append(task)
        num_bytes += size
    if batch:
        yield batch


def _order(request: Request) -> dict[str, int]:
    return {item_id: number for number, item_id in enumerate(request.asked, 1)}


def _task(request: Request, item_id: str, name: str, priority: int) -> dict[str, Any]:
    """Return data and meta of a task. ``priority`` 1 is asked first: tasks are served in the order of their import."""
    item = request.items[item_id]
    about = {
        EXTERNAL_ID: name,
        "round": request.round,
        "priority": priority,
        "reason": request.asked[item_id],
    }
    shown_id = shown_source_id(request.campaign.config.labeling, item)
    source_id = {} if shown_id is None else {"source_id": shown_id}
    shown = replace(item, fields=request.shown(item))
    return {"data": {**item_data(request.task, shown), **about, **source_id}, "meta": {EXTERNAL_ID: name}}


def _predictions(request: Request) -> dict[str, list[float]]:
    """Return the probabilities of each item's answers, where they are to be sent and there are any."""
    if request.campaign.config.labeling.label_studio.predictions == "none":
        return {}
    manifest = request.campaign.require(Unit("select_batch", request.round))
    if PREDICTIONS not in manifest.files:
        return {}
    rows = request.campaign.read_table(manifest, PREDICTIONS).to_pylist()
    return {row["item_id"]: row["probs"] for row in rows if row["probs"]}
