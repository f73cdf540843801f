"""Label Studio does what every label source must; and a deleted item's tasks are gone from it."""

import pytest

from activelora.labeling.conformance.bench import Bench
from activelora.labeling.conformance.checks import CHECKS, checks_for
from activelora.labeling.deletion import delete_item
from activelora.labeling.label_studio.project import known_project
from activelora.labeling.label_studio.source import LabelStudioSource
from activelora.labeling.request import make_request
from tests.labeling.conftest import select

pytestmark = [pytest.mark.slow, pytest.mark.label_studio]
CAN = frozenset({"skip", "invalid", "change", "late", "correct", "gold"})
"""Annotators are recorded by the server's number of them, and nobody can answer about an unknown item."""

CACHE = "labeling/label_studio/"


@pytest.fixture
def bench(proxy, admin, people):
    person = people[0]

    def tasks(request, item_id):
        found = admin.tasks(known_project(request.campaign), [], fields="all").values()
        return [task for task in found if task["data"]["activelora_id"].endswith(f"/{item_id}")]

    def answer(request, item_id, annotator, label):
        (task,) = tasks(request, item_id)
        if label is None:
            person.skip(task)
        else:
            person.label(task, label)

    def num_questions(request):
        project = known_project(request.campaign)
        return 0 if project is None else len(admin.tasks(project, [], fields="all"))

    def shown(request):
        tasks = admin.tasks(known_project(request.campaign), [], fields="all").values()
        return {task["data"]["activelora_id"].rpartition("/")[2]: task for task in tasks}

    labeling = {"source": "label_studio", "label_studio": {"url": proxy.url, "timeout_seconds": 20}}
    who = f"user-{person.user_id}"
    return Bench(LabelStudioSource(), labeling, answer, num_questions, can=CAN, annotator=who, cache=CACHE, shown=shown)


@pytest.mark.parametrize("check", checks_for(Bench(LabelStudioSource(), {}, lambda *_: None, can=CAN)))
def test_it_conforms(check, bench, tmp_path):
    CHECKS[check](bench, tmp_path)


def test_a_deleted_items_tasks_are_gone(make, source, tasks_of):
    campaign = make(batch=4)
    ids = select(campaign)
    source.publish(make_request(campaign, 0))
    assert set(tasks_of(campaign)) == set(ids)
    assert delete_item(campaign, ids[1], "asked to").num_tasks == 1
    assert set(tasks_of(campaign)) == {*ids} - {ids[1]}
    source.publish(make_request(campaign, 0))
    assert set(tasks_of(campaign)) == {*ids} - {ids[1]}
    assert ids[1] not in source.collect(make_request(campaign, 0)).states
