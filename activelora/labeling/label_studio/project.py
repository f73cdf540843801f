"""The campaign's project in Label Studio: found or created, once, whatever crashes and whoever else tries.

Label Studio lets any number of projects look the same. So the campaign store decides: an object that is only ever
created names the project. Before it is there, a line in the project's description tells whose it is.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.errors import StoreError
from activelora.labeling.label_studio.client import Client, until_there
from activelora.labeling.label_studio.errors import LabelStudioError
from activelora.labeling.label_studio.interface import instructions, interface

FOLDER = "labeling/label_studio"
PROJECT_KEY = f"{FOLDER}/project.json"
MAX_TITLE_CHARS = 50
COUNTERS = "id,task_number,total_annotations_number,skipped_annotations_number"
"""Asked for by name: the others count a queue, which costs several times as much."""
logger = logging.getLogger(__name__)


def campaign_id(campaign: Campaign) -> str:
    """Return what tells the campaign from every other: 16 hex digits from its frozen file, which holds its birth."""
    return hashlib.sha256(campaign.store.read(CAMPAIGN_KEY)).hexdigest()[:16]


def marker(campaign: Campaign) -> str:
    """Return the line in the project's description."""
    return f"activelora-campaign: {campaign_id(campaign)}"


def known_project(campaign: Campaign) -> int | None:
    """Return the campaign's project; None before the first batch was published."""
    try:
        document = json.loads(campaign.store.read(PROJECT_KEY))
        return int(document["project"])
    except KeyError:
        return None
    except (ValueError, TypeError):
        raise StoreError(
            "is not what was written", where=f"{campaign.store.uri}/{PROJECT_KEY}", remedy="Restore it."
        ) from None


def ensure_project(client: Client, campaign: Campaign) -> int:
    """Return the campaign's project, after creating it where there is none.

    Of two that create one at the same time, the store takes one; the other removes its own, which nobody has used.
    """
    if (known := known_project(campaign)) is not None:
        return known
    candidates: list[dict[str, Any]] = []
    created: list[int] = []

    def look() -> bool:
        candidates[:] = marked_projects(client, campaign)
        return bool(candidates)

    def create() -> None:
        created.append(int(client.post("/api/projects/", _settings(campaign))["id"]))

    until_there(look, create)
    chosen = min(int(one["id"]) for one in candidates)
    campaign.store.create(PROJECT_KEY, json.dumps({"project": chosen, "url": client.url}).encode())
    winner = known_project(campaign)
    if winner is None:
        raise StoreError("vanished", where=f"{campaign.store.uri}/{PROJECT_KEY}")
    for own in created:
        if own != winner:
            client.delete(f"/api/projects/{own}/")
    logger.info("Label Studio project: %s/projects/%d", client.url, winner)
    return winner


def marked_projects(client: Client, campaign: Campaign) -> list[dict[str, Any]]:
    """Return id and number of tasks of all projects that carry the campaign's line, by id."""
    line, number = marker(campaign), 1
    found: list[dict[str, Any]] = []
    while True:
        page = client.get("/api/projects/", page=number, page_size=100, include="id,description,task_number")
        found += [one for one in page["results"] if line in (one.get("description") or "").splitlines()]
        if not page.get("next"):
            return sorted(found, key=lambda one: int(one["id"]))
        number += 1


def remove_spare_projects(client: Client, campaign: Campaign, project: int) -> None:
    """Remove empty projects that a run left behind which was killed before it could."""
    for one in marked_projects(client, campaign):
        if int(one["id"]) != project and not one.get("task_number"):
            client.delete(f"/api/projects/{one['id']}/")


def counters(client: Client, campaign: Campaign, project: int) -> dict[str, Any]:
    """Return the project with its counters, the cheapest look there is.

    Raises:
        LabelStudioError: The project is gone.
    """
    try:
        found: dict[str, Any] = client.get(f"/api/projects/{project}/", include=COUNTERS)
    except LabelStudioError as error:
        if error.status == 404:
            raise lost(client, campaign, project) from None
        raise
    return found


def lost(client: Client, campaign: Campaign, project: int) -> LabelStudioError:
    """Return the error of a project that is gone."""
    return LabelStudioError(
        f"there is no project {project}, or the token's user may not see it; labels of finished rounds are safe",
        where=f"{client.url}/projects/{project}",
        remedy=f"Restore it or the access to it. To ask for the open items anew in another project, delete "
        f"{campaign.store.uri}/{PROJECT_KEY}.",
        status=404,
    )


def _settings(campaign: Campaign) -> dict[str, Any]:
    config = campaign.config
    section = config.labeling.label_studio
    title = section.title or config.name
    return {
        "title": title[:MAX_TITLE_CHARS] if len(title) >= 3 else f"{title} labels",
        "description": f"Items of the ActiveLoRA campaign {config.name}. Keep the next line: it is how the campaign "
        f"finds its project.\n{marker(campaign)}",
        "label_config": interface(config),
        "expert_instruction": instructions(config),
        "show_instruction": True,
        "maximum_annotations": config.labeling.annotators_per_item,
        "skip_queue": "IGNORE_SKIPPED",
        "sampling": "Sequential sampling",
        "enable_empty_annotation": False,
        "show_collab_predictions": section.predictions == "shown",
    }
