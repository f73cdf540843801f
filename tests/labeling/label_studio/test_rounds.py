"""Campaigns with a real Label Studio server and annotators who work in it."""

import random
from collections import Counter, defaultdict

import pytest

from activelora.campaign.campaign import Campaign
from activelora.labeling.label_studio.project import known_project, marked_projects
from activelora.labeling.request import make_request
from activelora.labeling.wait_status import describe_wait
from components.await_labels import step as await_labels
from tests.labeling.conftest import LABELS, select

pytestmark = [pytest.mark.slow, pytest.mark.label_studio]
NUM_ITEMS, BATCH = 18, 6


class Simulation:
    """What the annotators did, noted down as they did it; and what that should come to."""

    def __init__(self, people):
        self.ann, self.bob, self.cat = people
        self.chance = random.Random(7)
        self.said = defaultdict(dict)  # item → annotator → label, or None for a skip
        self.made = {}  # item, annotator → annotation, task
        self.begun, self.gone = set(), set()

    def work(self, project, person, number):
        """Let a person do the next tasks of the queue; return how many there were."""
        for done in range(number):
            task = person.next_task(project)
            if task is None:
                return done
            item = task["data"]["activelora_id"].rpartition("/")[2]
            if person is self.ann and self.chance.random() < 0.5:
                annotation, label = person.skip(task), None
            elif person is self.bob:
                label = self.chance.choice(LABELS)
                annotation = person.label(task, label)
            else:
                label = "human"
                annotation = person.label(task, label)
            self.said[item][person.user_id] = label
            self.made[item, person.user_id] = annotation, task
        return number

    def change_minds(self, items):
        """Cat edits one of her answers of these items, and deletes another."""
        own = [item for item in items if (item, self.cat.user_id) in self.made]
        edited, deleted = own[0], own[1]
        annotation, task = self.made[edited, self.cat.user_id]
        self.cat.change(annotation, task, "number")
        self.said[edited][self.cat.user_id] = "number"
        annotation, _ = self.made.pop((deleted, self.cat.user_id))
        self.cat.remove(annotation)
        del self.said[deleted][self.cat.user_id]

    def state(self, item):
        answers = self.said[item].values()
        if item in self.gone:
            return "deleted"
        if len(answers) < 2:
            return "in_progress" if answers or item in self.begun else "waiting"
        if not self.labels(item):
            return "skipped"
        return "labeled" if self.is_decided(item) else "conflicting"

    def is_decided(self, item):
        """One label has more votes than any other."""
        counts = [count for _, count in Counter(self.labels(item).values()).most_common(2)]
        return len(counts) == 1 or (len(counts) == 2 and counts[0] > counts[1])

    def final_state(self, item):
        """What the round's end makes of it: who has answered decides, where others are still to answer."""
        state = self.state(item)
        return "labeled" if state == "in_progress" and self.labels(item) else state

    def correct(self, labeled):
        """Cat edits her answer to an item that is labelled; return who says what then, where that decides."""
        own = [item for item in sorted(labeled) if self.said[item].get(self.cat.user_id) == "human"]
        alone = [item for item in own if len(self.labels(item)) == 1]
        item = (alone or own)[0]
        annotation, task = self.made[item, self.cat.user_id]
        self.cat.change(annotation, task, "entity")
        self.said[item][self.cat.user_id] = "entity"
        return self.votes([item])  # one against one decides nothing, and the label stays

    def labels(self, item):
        return {user: label for user, label in self.said[item].items() if label is not None}

    def votes(self, items):
        """Who said what about the items whose answers decide, as a set."""
        found = set()
        for item in items:
            if self.is_decided(item):
                found |= {(item, f"user-{user}", label) for user, label in self.labels(item).items()}
        return found


def votes_of(campaign, manifest):
    rows = campaign.read_table(manifest, "labels.parquet").to_pylist()
    return {(row["item_id"], row["annotator"], LABELS[row["label"]]) for row in rows}


def test_three_rounds_of_three_annotators(make, source, people, admin, tasks_of):
    """One skips, one answers at random, one edits and deletes; what is committed is what they did, exactly."""
    labeling = {"annotators_per_item": 2, "min_fraction": 0.25}
    campaign = make(num_items=NUM_ITEMS, batch=BATCH, labeling=labeling)
    simulation = Simulation(people)
    labeled, occurred = set(), set()
    for round_ in range(3):
        campaign = Campaign.open(campaign.store.uri)  # as the next tick does
        ids = select(campaign, round_)
        assert not labeled & set(ids)
        simulation.gone -= set(ids)  # selected again, they are asked for again
        request = make_request(campaign, round_)
        source.publish(request)
        project = known_project(campaign)
        assert source.collect(request).states == {item: simulation.state(item) for item in ids}
        for person in (simulation.cat, simulation.ann, simulation.bob):
            simulation.work(project, person, 2)
            assert source.collect(request).states == {item: simulation.state(item) for item in ids}
        untouched = [item for item in ids if not simulation.said[item]]
        tasks = tasks_of(campaign)
        simulation.gone.add(untouched[-1])
        admin.delete(f"/api/tasks/{tasks[untouched[-1]][0]['id']}/")
        simulation.begun.add(untouched[0])
        simulation.bob.draft(tasks[untouched[0]][0], "human")
        assert source.collect(request).states == {item: simulation.state(item) for item in ids}
        for person in (simulation.ann, simulation.cat, simulation.bob):
            simulation.work(project, person, 3)
        simulation.change_minds([item for item in ids if simulation.said[item]])
        corrected = simulation.correct(labeled) if labeled else set()
        tasks = tasks_of(campaign)
        collected = source.collect(request)
        expected = {item: simulation.state(item) for item in ids}
        assert collected.states == expected
        occurred |= set(expected.values())
        assert describe_wait(request, collected).startswith(f"{Counter(expected.values())['labeled']} of {len(ids)}")
        manifest = await_labels.run(campaign, round_)
        expected = {item: simulation.final_state(item) for item in ids}
        votes = simulation.votes({item for item in tasks if item not in labeled})
        late = {item: "late" for item, _, _ in votes if item not in ids}
        assert campaign.read_json(manifest, "states.json") == expected | late
        assert votes_of(campaign, manifest) == votes | corrected
        labeled |= {item for item, _, _ in votes_of(campaign, manifest)}
        assert Counter(expected.values())["labeled"] == len(labeled & set(ids))
    assert len(marked_projects(admin, campaign)) == 1
    assert occurred >= {"labeled", "conflicting", "deleted", "in_progress"}
