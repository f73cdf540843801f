"""What people did in Label Studio, without listing everything at each look.

A view of all tasks is kept beside the campaign. A look reads the tasks that changed since the look before
(``updated_at`` moves when an annotation is created, changed or deleted), by the server's own clock and with some
overlap, and puts them in the place of what it knew of them, so that nothing counts twice. The project's counters tell
whether something is missing: then the ids are listed, to find deleted tasks, or everything. The view is a cache:
without it all is listed once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.store import Store
from activelora.errors import StoreError
from activelora.labeling.label_studio.client import Client
from activelora.labeling.label_studio.importing import EXTERNAL_ID, split_external_id
from activelora.labeling.label_studio.interface import CONTROL
from activelora.labeling.label_studio.project import FOLDER, campaign_id, counters

OVERLAP_SECONDS = 10.0
"""So far before the last look is read again: a server of several processes may show changes out of order."""
FORMAT = 2
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Annotation:
    """One annotation.

    Attributes:
        annotation_id: Its number in Label Studio.
        user: Who made it; None if that user was removed.
        updated_at: When it was last changed.
        skipped: Whether the annotator passed the task over.
        value: The ``value`` of the answer; None if it is empty.
    """

    annotation_id: int
    user: int | None
    updated_at: str
    skipped: bool
    value: dict[str, Any] | None


@dataclass(frozen=True)
class SeenTask:
    """One task.

    Attributes:
        round: The round that asked last.
        item_id: The item; None for a task that is not of this campaign.
        updated_at: When it or its annotations last changed.
        annotations: Its annotations, by id.
    """

    round: int
    item_id: str | None
    updated_at: str
    annotations: tuple[Annotation, ...] = ()


@dataclass
class View:
    """All tasks as known.

    Attributes:
        tasks: Tasks by id.
        difference: What the project's counter of annotations has more than the tasks, after a full listing.
        looked_at: The server's time before the last look listed what had changed; None where it does not tell.
        num_listed: Tasks that the last look listed, for tests and the log.
    """

    tasks: dict[int, SeenTask] = field(default_factory=dict)
    difference: int = 0
    looked_at: datetime | None = None
    num_listed: int = 0

    @property
    def watermark(self) -> datetime | None:
        """The time up to which all changes are known; None where none is."""
        newest = max((moment(task.updated_at) for task in self.tasks.values()), default=None)
        return newest if self.looked_at is None else self.looked_at

    @property
    def num_annotations(self) -> int:
        """All annotations, with those that pass a task over."""
        return sum(len(task.annotations) for task in self.tasks.values())

    def merge(self, tasks: Iterable[tuple[int, SeenTask]]) -> None:
        """Put tasks in the place of what was known of them; of two states of one the newer."""
        for task_id, task in tasks:
            known = self.tasks.get(task_id)
            if known is None or moment(task.updated_at) >= moment(known.updated_at):
                self.tasks[task_id] = task

    def keep(self, task_ids: Iterable[int]) -> None:
        """Forget the tasks that are not among these."""
        there = set(task_ids)
        self.tasks = {task_id: task for task_id, task in self.tasks.items() if task_id in there}


def moment(text: str) -> datetime:
    """Return a time of Label Studio."""
    return datetime.fromisoformat(text)


def look(
    client: Client, campaign: Campaign, project: int, *, full: bool = False, overlap_seconds: float = OVERLAP_SECONDS
) -> View:
    """Return the tasks as they are now.

    Args:
        client: The server.
        campaign: The campaign.
        project: Its project.
        full: List everything, whatever is known.
        overlap_seconds: So far before the newest known change is read again.

    Raises:
        LabelStudioError: The server cannot be asked, or the project is gone.
    """
    counts = counters(client, campaign, project)  # which also tells a lost project from an empty one
    now = client.server_time
    view = View() if full else load_view(campaign.store, project)
    if view.watermark is None:
        view = _full(client, campaign, project)
    else:
        changed = _list(client, campaign, project, view.watermark - timedelta(seconds=overlap_seconds))
        view.merge(changed.items())
        view.num_listed = len(changed)
        if not _agrees(view, counts):
            view = _corrected(client, campaign, project, view)
    view.looked_at = now
    save_view(campaign.store, project, view)
    return view


def _corrected(client: Client, campaign: Campaign, project: int, view: View) -> View:
    """Return the view, or a better one where the project's counters contradict it."""
    counts = counters(client, campaign, project)
    if _agrees(view, counts):
        return view
    view.keep(client.tasks(project, [], include="id"))
    if _agrees(view, counts):
        return view
    logger.info("Label Studio's counters differ from what is known: everything is listed")
    return _full(client, campaign, project)


def _agrees(view: View, counts: Mapping[str, Any]) -> bool:
    return len(view.tasks) == int(counts["task_number"] or 0) and (
        view.num_annotations + view.difference == _num_annotations(counts)
    )


def _num_annotations(counts: Mapping[str, Any]) -> int:
    return int(counts["total_annotations_number"] or 0) + int(counts["skipped_annotations_number"] or 0)


def _full(client: Client, campaign: Campaign, project: int) -> View:
    view = View(_list(client, campaign, project, None))
    view.num_listed = len(view.tasks)
    view.difference = _num_annotations(counters(client, campaign, project)) - view.num_annotations
    return view


def _list(client: Client, campaign: Campaign, project: int, since: datetime | None) -> dict[int, SeenTask]:
    filters = []
    if since is not None:
        text = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # the one form that every server takes
        filters = [{"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": text}]
    own = campaign_id(campaign)
    return {task_id: seen_task(own, task) for task_id, task in client.tasks(project, filters, fields="all").items()}


def seen_task(campaign: str, task: Mapping[str, Any]) -> SeenTask:
    """Return what of a task matters.

    Args:
        campaign: The campaign's id.
        task: The task, as the server lists it.
    """
    name = (task.get("meta") or {}).get(EXTERNAL_ID) or (task.get("data") or {}).get(EXTERNAL_ID)
    found = split_external_id(campaign, name)
    round_, item_id = found if found else (-1, None)
    annotations = sorted(map(_annotation, task.get("annotations") or []), key=lambda one: one.annotation_id)
    return SeenTask(round_, item_id, str(task["updated_at"]), tuple(annotations))


def _annotation(annotation: Mapping[str, Any]) -> Annotation:
    user = annotation.get("completed_by")
    user = user.get("id") if isinstance(user, dict) else user
    results = annotation.get("result") or []
    values = [
        one["value"]
        for one in results
        if isinstance(one, dict) and one.get("from_name") == CONTROL and isinstance(one.get("value"), dict)
    ]
    return Annotation(
        annotation_id=int(annotation["id"]),
        user=None if user is None else int(user),
        updated_at=str(annotation["updated_at"]),
        skipped=bool(annotation.get("was_cancelled")),
        value=values[0] if values else None,
    )


def _view_key(project: int) -> str:
    return f"{FOLDER}/project-{project}/view.json"


def load_view(store: Store, project: int) -> View:
    """Return what is known; an empty view where nothing is, or it cannot be read."""
    try:
        document = json.loads(store.read(_view_key(project)))
        if document["format"] != FORMAT:
            return View()
        tasks = {int(task_id): _restored(task) for task_id, task in document["tasks"].items()}
        looked_at = document["looked_at"]
        return View(tasks, int(document["difference"]), None if looked_at is None else moment(looked_at))
    except KeyError:
        return View()
    except (ValueError, TypeError, AttributeError):
        logger.warning("what was known of Label Studio's tasks cannot be read; everything is listed anew")
        return View()


def _restored(task: dict[str, Any]) -> SeenTask:
    annotations = tuple(Annotation(**annotation) for annotation in task.pop("annotations"))
    return SeenTask(**task, annotations=annotations)


def forget_item(store: Store, project: int, item_id: str) -> None:
    """Take an item's answers out of what is kept."""
    view = load_view(store, project)
    left = {task_id: task for task_id, task in view.tasks.items() if task.item_id != item_id}
    if len(left) < len(view.tasks):
        save_view(store, project, replace(view, tasks=left))


def save_view(store: Store, project: int, view: View) -> None:
    """Keep what is known, where the store may be written."""
    document = {
        "format": FORMAT,
        "difference": view.difference,
        "looked_at": None if view.looked_at is None else view.looked_at.isoformat(),
        "tasks": {str(task_id): asdict(task) for task_id, task in view.tasks.items()},
    }
    try:
        store.write(_view_key(project), json.dumps(document).encode())
    except StoreError as error:  # `status` may look with rights to read only
        logger.info("what is known of Label Studio's tasks cannot be kept, so the next look lists more: %s", error)
