"""Killed after every single HTTP call, then run again: no task twice, no label lost."""

import os

import pytest

from activelora.labeling.label_studio.project import known_project, marked_projects
from activelora.labeling.request import make_request
from tests.labeling.conftest import select

pytestmark = [
    pytest.mark.slow,
    pytest.mark.label_studio,
    # Python 3.12 warns of forks beside threads; the child shares no lock with the proxy's.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def run_killed(proxy, number, action):
    """Do something in a process that is killed when its call of this number is done; tell whether it was."""
    proxy.reset()
    started, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(started, 1)  # until the parent knows whom to kill
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    proxy.kill_after(number, child)
    os.write(go, b"x")
    _, status = os.waitpid(child, 0)
    os.close(started)
    os.close(go)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def is_whole(campaign, admin, tasks_of, ids):
    """Each item is one task of the campaign's one project."""
    project = known_project(campaign)
    tasks = tasks_of(campaign)
    assert [one["id"] for one in marked_projects(admin, campaign)] == [project]
    assert sorted(tasks) == sorted(ids)
    assert all(len(same) == 1 for same in tasks.values())


def test_publish_is_killed_after_every_call(make, proxy, source, admin, tasks_of):
    number, was_killed = 0, True
    while was_killed:
        number += 1
        campaign = make(f"publish-{number}", num_items=14, batch=3)
        ids = select(campaign)
        request = make_request(campaign, 0)
        was_killed = run_killed(proxy, number, lambda request=request: source.publish(request))
        proxy.reset()
        source.publish(request)
        is_whole(campaign, admin, tasks_of, ids)
    assert number >= 8


def test_publish_of_a_later_round_is_killed_after_every_call(make, proxy, source, admin, tasks_of, people):
    """Round 1 takes over open tasks of round 0 and imports others: after each crash nothing is doubled."""
    number, was_killed = 0, True
    while was_killed:
        number += 1
        campaign = make(f"later-{number}", num_items=5, batch=3, labeling={"deadline_hours": 1e-9})
        first = select(campaign)
        source.publish(make_request(campaign, 0))
        people[0].label(people[0].next_task(known_project(campaign)), "human")
        from components.await_labels import step as await_labels

        assert await_labels.run(campaign, 0).metrics["num_labeled"] == 1
        second = select(campaign, 1)
        assert set(first) & set(second)
        request = make_request(campaign, 1)
        was_killed = run_killed(proxy, number, lambda request=request: source.publish(request))
        proxy.reset()
        source.publish(request)
        is_whole(campaign, admin, tasks_of, {*first, *second})
        rounds = {item: same[0]["data"]["round"] for item, same in tasks_of(campaign).items()}
        assert rounds == {item: 1 if item in second else 0 for item in rounds}
    assert number >= 6


def test_collect_is_killed_after_every_call(make, proxy, source, people):
    campaign = make("collect", num_items=14, batch=4, labeling={"min_fraction": 0.5})
    ids = select(campaign)
    request = make_request(campaign, 0)
    source.publish(request)
    project = known_project(campaign)
    ann = people[0]
    source.collect(request)
    number, was_killed = 0, True
    made = [(task, ann.label(task, "human")) for task in (ann.next_task(project) for _ in ids[:2])]
    while was_killed:
        number += 1
        label = ("number", "entity")[number % 2]
        task, annotation = made[0]
        ann.change(annotation, task, label)
        was_killed = run_killed(proxy, number, lambda: source.collect(request))
        proxy.reset()
        votes = {record["item_id"]: record["label"] for record in source.collect(request).records}
        assert votes == {ids[0]: {"entity": 0, "number": 2}[label], ids[1]: 1}
    assert number >= 4
