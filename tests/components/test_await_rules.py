"""await_labels: the rules of the campaign file, from the first answer to the round's manifest."""

import json
from datetime import timedelta

import pytest

from activelora.campaign.campaign import stop_reason
from activelora.campaign.label_history import blame
from activelora.campaign.labels import label_records, label_snapshot
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Unit
from activelora.labeling.deadlines import deadlines_of
from activelora.labeling.deletion import delete_item
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request, withheld_items
from activelora.labeling.wait_status import describe_wait, wait_document
from activelora.labeling.waiting import Clock, decide
from components.await_labels import step
from tests.components.test_await_labels import after_selection, answer, rejected_rows, states_of, with_files
from tests.labeling.conftest import csv_of, labels_of, put, select

PAIR = {"annotators_per_item": 2, "adjudicators": ["eve"]}


def at_end(campaign, round_=0, **later):
    moment = deadlines_of(campaign, round_).end + timedelta(**later)
    return Clock(lambda: moment, lambda _: None)


def worksheet(campaign, round_=0):
    return campaign.store.read(f"labeling/round-{round_:04d}/to_adjudicate.csv").decode("utf-8-sig")


def disputed(folder, **labeling):
    """A campaign in which ann and bob agree on the first three of five items."""
    campaign, ids = with_files(folder, **{**PAIR, **labeling})
    answer(campaign, ids, "human", "ann.csv", "ann")
    rows = [(item_id, "human" if number < 3 else "entity", "bob") for number, item_id in enumerate(ids)]
    put(campaign, "bob.csv", csv_of(*rows))
    return campaign, ids


class TestAdjudication:
    """labeling.adjudicators: items that the annotators do not decide wait for one of them."""

    def test_the_round_waits_for_an_adjudicator_and_says_so(self, tmp_path):
        campaign, ids = disputed(tmp_path)
        assert step.run(campaign, 0) is None
        request = make_request(campaign, 0)
        collected = get_source("files").collect(request)
        text = describe_wait(request, collected)
        assert text.startswith("3 of 5 labels of round 0 are there (2 adjudication): ")
        assert "; answered so far: ann 5, bob 5; 2 items for eve to decide, see " in text
        assert text.endswith("labeling/round-0000/to_adjudicate.csv")
        lines = worksheet(campaign).splitlines()
        assert [line.split(",")[0] for line in lines] == ["item_id", *sorted(ids[3:])]
        assert "answers so far: entity (bob), human (ann)" in lines[1]
        answer(campaign, ids[3:], "number", "eve.csv", "eve")
        manifest = step.run(campaign, 0)
        assert manifest.details["votes"] == {"ann": 5, "bob": 5, "eve": 2}
        assert [label_snapshot(campaign, 1).labels[item_id] for item_id in ids] == [1, 1, 1, 2, 2]
        assert worksheet(campaign).splitlines() == lines[:1]

    def test_undecided_items_stay_out_of_the_pool_and_a_late_ruling_joins_the_next_round(self, tmp_path):
        campaign, ids = disputed(tmp_path, deadline_hours=24)
        manifest = step.run(campaign, 0, at_end(campaign))
        assert states_of(campaign, manifest) == {
            **dict.fromkeys(ids[:3], "labeled"),
            **dict.fromkeys(ids[3:], "adjudication"),
        }
        assert withheld_items(campaign, 1) == set(ids[3:])
        second = select(campaign, 1)
        assert set(second).isdisjoint(ids)
        assert step.run(campaign, 1) is None
        assert {line.split(",")[0] for line in worksheet(campaign, 1).splitlines()[1:]} == set(ids[3:])
        answer(campaign, ids[3:], "number", "eve.csv", "eve")
        assert "0 of 5 labels of round 1 are there, late answers to 2 items of earlier rounds: " in describe(
            campaign, 1
        )
        for name in ("ann", "bob"):
            answer(campaign, second, "human", f"{name}-1.csv", name)
        manifest = step.run(campaign, 1)
        assert states_of(campaign, manifest) == {**dict.fromkeys(second, "labeled"), **dict.fromkeys(ids[3:], "late")}
        assert manifest.metrics["num_late"] == 2
        assert {label_snapshot(campaign, 2).labels[item_id] for item_id in ids[3:]} == {2}

    def test_what_an_adjudicator_passes_over_ends_as_skipped(self, tmp_path):
        campaign, ids = disputed(tmp_path)
        put(campaign, "eve.csv", csv_of((ids[3], "skip", "eve"), (ids[4], "number", "eve")))
        manifest = step.run(campaign, 0)
        assert states_of(campaign, manifest)[ids[3]] == "skipped"
        assert withheld_items(campaign, 1) == {ids[3]}


class TestSkipped:
    """labeling.skipped: what becomes of items that everybody passes over."""

    def test_return_asks_again_and_wants_a_new_answer(self, tmp_path):
        campaign, first = with_files(tmp_path, skipped="return")
        answer(campaign, first[:4], "human", "a.csv", "ann")
        put(campaign, "skips.csv", csv_of((first[4], "skip", "ann")))
        assert states_of(campaign, step.run(campaign, 0))[first[4]] == "skipped"
        assert withheld_items(campaign, 1) == set()
        rounds = 1
        while first[4] not in (asked := select(campaign, rounds)):
            answer(campaign, asked, "human", f"round-{rounds}.csv", "ann")
            step.run(campaign, rounds)
            rounds += 1
        others = [item_id for item_id in asked if item_id != first[4]]
        answer(campaign, others, "human", "others.csv", "ann")
        assert step.run(campaign, rounds) is None  # the old answer does not answer again
        put(campaign, "again.csv", csv_of((first[4], "entity", "ann")))
        assert labels_of(campaign, step.run(campaign, rounds))[first[4]] == "entity"

    def test_adjudicate_leaves_them_to_an_adjudicator(self, tmp_path):
        campaign, ids = with_files(tmp_path, skipped="adjudicate", adjudicators=["eve"])
        put(campaign, "a.csv", csv_of(*((item_id, "human", "ann") for item_id in ids[:4]), (ids[4], "skip", "ann")))
        assert step.run(campaign, 0) is None
        assert "1 item for eve to decide" in describe(campaign)
        put(campaign, "eve.csv", csv_of((ids[4], "number", "eve")))
        assert labels_of(campaign, step.run(campaign, 0))[ids[4]] == "number"


def describe(campaign, round_=0, now=None):
    request = make_request(campaign, round_)
    return describe_wait(request, get_source("files").collect(request), now)


class TestDeadline:
    """labeling.on_deadline: extend."""

    @pytest.mark.parametrize(("extension", "hours"), [(None, 48), (6, 30)])
    def test_it_is_extended_once(self, tmp_path, extension, hours):
        given = {"deadline_extension_hours": extension} if extension else {}
        campaign, ids = with_files(tmp_path, deadline_hours=24, on_deadline="extend", **given)
        answer(campaign, ids[:2])
        for late in (24, hours - 0.1):
            assert step.run(campaign, 0, after_selection(campaign, late)) is None
        assert " has passed, extended once until " in describe(campaign, now=after_selection(campaign, 25).now())
        assert ", then extended once until " in describe(campaign, now=after_selection(campaign, 23).now())
        manifest = step.run(campaign, 0, after_selection(campaign, hours))
        assert manifest.metrics["num_labeled"] == 2
        assert "the deadline for labels, extended once, passed at" in manifest.details["decision"]

    def test_the_manifest_names_the_decision(self, tmp_path):
        campaign, ids = with_files(tmp_path, deadline_hours=24, annotators_per_item=2)
        answer(campaign, ids[:2])
        clock = after_selection(campaign, 25)
        details = step.run(campaign, 0, clock).details
        assert details["action"] == "commit"
        assert details["decision"].endswith("0 of 5 items of round 0 are labelled, 2 more by fewer than 2 annotators")
        assert details["decided_at"] == clock.now().isoformat()
        assert details["deadline"] == deadlines_of(campaign, 0).end.isoformat()
        assert (details["states"], details["votes"]) == ({"labeled": 2, "waiting": 3}, {"ann": 2})

    def test_a_stop_that_was_committed_and_not_recorded_ends_the_campaign_all_the_same(self, tmp_path):
        campaign, ids = with_files(tmp_path, deadline_hours=24, on_deadline="stop")
        answer(campaign, ids[:2])
        manifest = step.run(campaign, 0, after_selection(campaign, 25))
        campaign.store.delete("stopped.json")  # killed in between
        plan = next_plan(campaign)
        assert (plan.status, plan.reason) == ("stop", manifest.details["decision"])

    def test_the_decision_that_was_committed_counts_not_the_one_of_a_slower_tick(self, tmp_path):
        campaign, ids = with_files(tmp_path, deadline_hours=24, on_deadline="stop")
        answer(campaign, ids[:2])
        request, late = make_request(campaign, 0), after_selection(campaign, 25).now()
        collected = get_source("files").collect(request)
        decision = decide(request, collected, late)
        assert decision.action == "stop"
        answer(campaign, ids)
        first = step.run(campaign, 0, after_selection(campaign, 25))
        slower = step._commit(request, collected.closed(), decision, late)
        assert slower == first
        assert stop_reason(campaign) is None


def test_a_first_batch_that_was_deleted_ends_the_campaign(tmp_path):
    campaign, ids = with_files(tmp_path)
    for item_id in ids:
        delete_item(campaign, item_id, "asked to")
    manifest = step.run(campaign, 0)
    assert manifest.metrics["num_labeled"] == 0
    assert "skipped or deleted, and nothing is labelled" in stop_reason(campaign)  # there is nothing to train on


class TestCorrectionsWithOverlap:
    """An item that two people labelled, and one answers anew."""

    @pytest.fixture
    def rounds(self, tmp_path):
        """A campaign in round 1: ann and bob have labelled all of round 0 `human`."""
        campaign, first = with_files(tmp_path, **PAIR)
        for name in ("ann", "bob"):
            answer(campaign, first, "human", f"{name}.csv", name)
        assert step.run(campaign, 0) is not None
        return campaign, first, select(campaign, 1)

    def finish(self, campaign, ids, round_=1):
        for name in ("ann", "bob"):
            answer(campaign, ids, "number", f"{name}-{round_}.csv", name)
        return step.run(campaign, round_)

    def test_one_of_two_changes_nothing_alone(self, rounds):
        campaign, first, second = rounds
        answer(campaign, first[:1], "entity", "new.csv", "ann")
        manifest = self.finish(campaign, second)
        assert (manifest.metrics["num_corrected"], manifest.metrics["num_votes"]) == (0, 10)
        assert label_snapshot(campaign, 2).labels[first[0]] == 1
        assert first[0] in worksheet(campaign, 1)  # and an adjudicator may decide

    def test_a_second_answer_makes_the_majority(self, rounds):
        campaign, first, second = rounds
        answer(campaign, first[:1], "entity", "new.csv", "ann")
        answer(campaign, first[:1], "entity", "third.csv", "cat")
        manifest = self.finish(campaign, second)
        assert (manifest.metrics["num_corrected"], manifest.metrics["num_votes"]) == (1, 12)
        assert label_snapshot(campaign, 2).labels[first[0]] == 0
        history = blame(label_records(campaign, 2), ["eve"])[first[0]]
        said = [(entry.record["annotator"], entry.round, entry.effect, entry.replaced_in) for entry in history]
        assert sorted(said) == [
            ("ann", 0, "labels", 1),
            ("ann", 1, "corrects", None),
            ("bob", 0, "labels", None),
            ("cat", 1, "corrects", None),
        ]

    def test_an_adjudicator_overrules_and_others_do_not_overrule_that(self, rounds):
        campaign, first, second = rounds
        answer(campaign, first[:1], "entity", "eve.csv", "eve")
        assert self.finish(campaign, second).metrics["num_corrected"] == 1
        assert label_snapshot(campaign, 2).labels[first[0]] == 0
        third = select(campaign, 2)
        for name in ("cat", "dan", "fay"):
            answer(campaign, first[:1], "number", f"{name}.csv", name)
        assert self.finish(campaign, third, 2).metrics["num_corrected"] == 0
        assert label_snapshot(campaign, 3).labels[first[0]] == 0

    def test_votes_that_stand_are_not_counted_again(self, rounds):
        campaign, first, second = rounds
        for name in ("ann", "cat"):
            answer(campaign, first[:1], "entity", f"new-{name}.csv", name)
        self.finish(campaign, second)
        manifest = self.finish(campaign, select(campaign, 2), 2)
        assert (manifest.metrics["num_corrected"], manifest.metrics["num_confirmed"]) == (0, 0)
        assert manifest.metrics["num_votes"] == 10
        assert manifest.metrics["num_rejected_lines"] == 0

    def test_the_second_answer_may_come_after_the_deadline(self, tmp_path):
        campaign, first = with_files(tmp_path, deadline_hours=24, annotators_per_item=2)
        answer(campaign, first, "human", "ann.csv", "ann")
        assert step.run(campaign, 0, at_end(campaign)).metrics["num_labeled"] == 5
        second = select(campaign, 1)
        put(campaign, "bob.csv", csv_of((first[0], "human", "bob"), (first[1], "entity", "bob")))
        manifest = self.finish(campaign, second)
        assert (manifest.metrics["num_corrected"], manifest.metrics["num_confirmed"]) == (0, 1)
        [row] = rejected_rows(campaign, 1)
        assert (row["file"], row["item_id"]) == ("bob.csv", first[1])
        assert "no answer has a majority: entity (bob), human (ann)" in row["reason"]


def test_what_is_waited_for_as_json(tmp_path):
    campaign, ids = disputed(tmp_path, deadline_hours=24, remind_hours=[6, 2])
    put(campaign, "junk.csv", csv_of((ids[0], "humn", "cat")))
    request = make_request(campaign, 0)
    deadlines = deadlines_of(campaign, 0)
    found = wait_document(request, get_source("files").collect(request), deadlines.end - timedelta(hours=3))
    assert json.loads(json.dumps(found)) == {
        "round": 0,
        "num_items": 5,
        "num_open": 2,
        "states": {"labeled": 3, "adjudication": 2},
        "annotators_per_item": 2,
        "answered": {"ann": 5, "bob": 5},
        "adjudicators": ["eve"],
        "num_late": 0,
        "num_imported": 0,
        "to_adjudicate": 2,
        "num_rejected": 1,
        "deadline": deadlines.end.isoformat(),
        "on_deadline": "proceed",
        "end": deadlines.end.isoformat(),
        "next_reminder": (deadlines.end - timedelta(hours=2)).isoformat(),
    }
    assert campaign.manifest(Unit("await_labels", 0)) is None
