"""The ``label_studio`` source: people label in Label Studio."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from activelora.campaign.campaign import Campaign
from activelora.config.labeling import LabelingConfig
from activelora.errors import ConfigError
from activelora.labeling.counting import count_answers
from activelora.labeling.inbox import ANONYMOUS, Answer
from activelora.labeling.label_studio.client import Client
from activelora.labeling.label_studio.deleting import delete_tasks
from activelora.labeling.label_studio.errors import REMEDIES, TOKEN_VARIABLE
from activelora.labeling.label_studio.importing import import_round, published_key, remove_late_surplus
from activelora.labeling.label_studio.interface import answer_of
from activelora.labeling.label_studio.project import (
    counters,
    ensure_project,
    known_project,
    remove_spare_projects,
)
from activelora.labeling.label_studio.reading import Annotation, SeenTask, View, forget_item, look, moment
from activelora.labeling.request import Collected, Request, State
from activelora.labeling.waiting import decide


@dataclass(frozen=True)
class LabelStudioSource:
    """Labels from a Label Studio server (community edition, 1.23).

    A skip counts as passed over (``was_cancelled``), a task that somebody deleted as deleted, a draft as in progress,
    an answer outside the task or an empty one as invalid. Of an annotator's answers the latest counts.
    """

    name: str = "label_studio"
    summary: str = "people label in a Label Studio project, which is made from the task"

    def publish(self, request: Request) -> None:
        """Create the project and this round's tasks, as far as they are not there."""
        client = connect(request.campaign.config.labeling)
        project = ensure_project(client, request.campaign)
        published = _published(request, project)
        if published is None:
            counters(client, request.campaign, project)
            remove_spare_projects(client, request.campaign, project)
            import_round(client, request, project)
        elif int(counters(client, request.campaign, project)["task_number"] or 0) > published:
            remove_late_surplus(client, request, project)

    def collect(self, request: Request) -> Collected:
        """Return what people answered. Keeps a cache beside the campaign, and changes nothing else.

        What would end the round's wait is looked at twice: the second time everything is listed.
        """
        client = connect(request.campaign.config.labeling)
        project = known_project(request.campaign)
        if project is None:
            return count_answers(request, [], [], self.name)
        is_published = _published(request, project) is not None  # before the look, which then shows all tasks
        view = look(client, request.campaign, project)
        collected = self._count(client, request, project, view, is_published=is_published)
        if view.num_listed < len(view.tasks) and _may_end(request, collected):
            view = look(client, request.campaign, project, full=True)
            collected = self._count(client, request, project, view, is_published=is_published)
        return collected

    def instructions(self, request: Request) -> str:
        """Return where to label."""
        url, project = request.campaign.config.labeling.label_studio.url, known_project(request.campaign)
        return f"label in Label Studio, {url}/projects/{project}/data" if project is not None else ""

    def delete_item(self, campaign: Campaign, item_id: str) -> int:
        """Delete an item's tasks with their answers, and return how many there were."""
        project = known_project(campaign)
        if project is None:
            return 0
        num_tasks = delete_tasks(connect(campaign.config.labeling), campaign, project, item_id)
        forget_item(campaign.store, project, item_id)
        return num_tasks

    def _count(self, client: Client, request: Request, project: int, view: View, *, is_published: bool) -> Collected:
        names = _annotators(client, request)
        answers = [
            answer
            for task_id, task in sorted(view.tasks.items())
            for annotation in task.annotations
            if (answer := _answer(request, task_id, task, annotation, names)) is not None
        ]
        there = {task.item_id for task in view.tasks.values()}
        seen: dict[str, State] = {}
        if is_published:
            seen |= {item_id: "deleted" for item_id in request.reasons if item_id not in there}
        seen |= dict.fromkeys(_begun(client, request, project, view), "in_progress")
        return count_answers(request, answers, [], self.name, seen)


def connect(config: LabelingConfig) -> Client:
    """Return the server that a campaign names.

    Raises:
        ConfigError: There is no address, or no token in the environment, or one that is none.
    """
    section = config.label_studio
    if section.url is None:
        raise ConfigError(
            "there is no address of Label Studio",
            where="labeling.label_studio.url",
            remedy="Set it, for example to https://labels.example.org.",
        )
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ConfigError("there is no token for Label Studio", where=TOKEN_VARIABLE, remedy=REMEDIES[401])
    if not token.isascii() or not token.isprintable() or " " in token:  # the HTTP client's error would show it
        problem, remedy = "holds spaces or lines, or characters that no token has", "Set it to the token alone."
        raise ConfigError(problem, where=TOKEN_VARIABLE, remedy=remedy)
    return Client(section.url, token, section.timeout_seconds)


def check_server(config: LabelingConfig) -> str:
    """Return the server's version, after the address and the token were tried.

    Raises:
        ConfigError: There is no address or no token.
        LabelStudioError: The server does not answer, or refuses the token.
    """
    client = connect(config)
    client.get("/api/current-user/whoami")
    return str(client.get("/api/version").get("release", "unknown"))


def _published(request: Request, project: int) -> int | None:
    """Return how many tasks there were when the round was published; None if it was not."""
    try:
        document = json.loads(request.campaign.store.read(published_key(project, request.round)))
        return int(document["num_tasks"])
    except KeyError:
        return None


def _answer(
    request: Request, task_id: int, task: SeenTask, annotation: Annotation, names: Mapping[int, str]
) -> Answer | None:
    """Return an annotation as an answer; None for one of a task that is not of this campaign."""
    if task.item_id is None or task.item_id not in request.items:
        return None
    item = request.judged_item(task.item_id)
    return Answer(
        file=f"task {task_id}",
        line=annotation.annotation_id,
        item_id=item.item_id,
        label="" if annotation.skipped else answer_of(request.task, item, annotation.value),
        annotator=ANONYMOUS if annotation.user is None else names.get(annotation.user, f"user-{annotation.user}"),
        labeled_at=moment(annotation.updated_at).astimezone(UTC),
        skipped=annotation.skipped,
    )


def _annotators(client: Client, request: Request) -> dict[int, str]:
    """Return the annotators' names by number, where they are wanted."""
    if request.campaign.config.labeling.label_studio.annotators == "id":
        return {}
    return {int(user["id"]): str(user["email"]) for user in client.get("/api/users/") if user.get("email")}


def _begun(client: Client, request: Request, project: int, view: View) -> Collection[str]:
    """Return the items of the round with a draft, which moves no time in Label Studio and is asked for each time."""
    drafts = {"filter": "filter:tasks:draft_exists", "operator": "equal", "type": "Boolean", "value": True}
    begun = (view.tasks.get(task_id) for task_id in client.tasks(project, [drafts], include="id"))
    return {task.item_id for task in begun if task is not None and task.item_id in request.reasons if task.item_id}


def _may_end(request: Request, collected: Collected) -> bool:
    """Tell whether what was collected may end the wait."""
    return decide(request, collected, datetime.now(UTC)).action != "wait"
