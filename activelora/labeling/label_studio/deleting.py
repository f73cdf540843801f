"""Deleting an item's tasks, with their answers, from Label Studio."""

from __future__ import annotations

from activelora.campaign.campaign import Campaign
from activelora.labeling.label_studio.client import Client
from activelora.labeling.label_studio.importing import EXTERNAL_ID, split_external_id
from activelora.labeling.label_studio.project import campaign_id


def delete_tasks(client: Client, campaign: Campaign, project: int, item_id: str) -> int:
    """Delete the tasks that all rounds made for an item, and return how many there were."""
    wanted = {
        "filter": f"filter:tasks:data.{EXTERNAL_ID}",
        "operator": "contains",
        "type": "String",
        "value": item_id,
    }
    num_deleted = 0
    for task_id, task in client.tasks(project, [wanted], include="id,meta").items():
        found = split_external_id(campaign_id(campaign), (task.get("meta") or {}).get(EXTERNAL_ID))
        if found is not None and found[1] == item_id:
            client.delete(f"/api/tasks/{task_id}/")
            num_deleted += 1
    return num_deleted
