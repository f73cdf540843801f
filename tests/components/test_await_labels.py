"""await_labels: publishes once, waits without holding anything, and ends by a stated rule."""

import csv
import io
import logging
import subprocess
import sys
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from activelora.campaign.campaign import stop_campaign, stop_reason
from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import next_plan, num_labels
from activelora.campaign.manifest import Unit
from activelora.campaign.records import LABEL_SCHEMA
from activelora.labeling.waiting import Clock
from components.await_labels import step
from tests.labeling.conftest import START, csv_of, labels_of, make_campaign, put, select, waiting_for


class FakeTime:
    """Time that passes only where the step sleeps; something may happen at each sleep."""

    def __init__(self, now=START, then=None):
        self.moment, self.slept, self.then = now, [], then

    @property
    def clock(self):
        return Clock(lambda: self.moment, self.sleep)

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)
        if self.then:
            self.then(len(self.slept))


def after_selection(campaign, hours, round_=0):
    selected_at = campaign.require(Unit("select_batch", round_)).finished_at
    return FakeTime(datetime.fromisoformat(selected_at) + timedelta(hours=hours)).clock


def answer(campaign, ids, label="human", name="a.csv", annotator="ann"):
    put(campaign, name, csv_of(*((item_id, label, annotator) for item_id in ids)))


def states_of(campaign, manifest):
    return campaign.read_json(manifest, "states.json")


def rejected_rows(campaign, round_=0):
    text = campaign.store.read(f"labeling/round-{round_:04d}/rejected.csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def with_files(folder, **labeling):
    campaign = make_campaign(folder, labeling={"source": "files", **labeling})
    return campaign, select(campaign)


def test_the_oracle_answers_at_once(tmp_path):
    campaign = make_campaign(tmp_path, labeling={"source": "oracle"})
    ids = select(campaign)
    manifest = step.run(campaign, 0)
    assert list(labels_of(campaign, manifest)) == ids
    assert states_of(campaign, manifest) == dict.fromkeys(ids, "labeled")
    assert manifest.metrics == {
        "num_labeled": 5,
        "num_requested": 5,
        "num_late": 0,
        "num_corrected": 0,
        "num_confirmed": 0,
        "num_votes": 5,
        "num_rejected_lines": 0,
    }
    assert manifest.details["states"] == {"labeled": 5}
    assert "select_batch round 0" in manifest.inputs
    assert step.run(campaign, 0) == manifest


def test_equal_campaigns_have_equal_label_digests(tmp_path):
    digests = set()
    for name in ("one", "two"):
        campaign = make_campaign(tmp_path / name, labeling={"source": "oracle", "oracle_error_rate": 0.4})
        select(campaign)
        digests.add(step.run(campaign, 0).files["labels.parquet"].sha256)
    assert len(digests) == 1


def test_without_labels_it_leaves_at_once_and_says_what_it_waits_for(tmp_path, caplog):
    campaign, ids = with_files(tmp_path)
    with caplog.at_level(logging.INFO):
        assert step.run(campaign, 0) is None
    text = caplog.messages[-1]
    assert text.startswith("waiting: 0 of 5 labels of round 0 are there: fill in ")
    assert f"{campaign.store.uri}/labeling/round-0000/to_label.csv (or .jsonl)" in text
    assert f"put it into {campaign.store.uri}/inbox" in text
    assert campaign.store.exists("labeling/round-0000/to_label.csv")
    assert campaign.manifest(Unit("await_labels", 0)) is None
    assert next_plan(campaign).units[-1].step in ("evaluate_adapter", "await_labels")
    answer(campaign, ids)
    assert step.run(campaign, 0).metrics["num_labeled"] == 5


def test_partly_filled_is_not_enough_without_a_quorum(tmp_path):
    campaign, ids = with_files(tmp_path)
    answer(campaign, ids[:4])
    assert step.run(campaign, 0) is None


@pytest.mark.parametrize(("num_answers", "is_done"), [(3, False), (4, True), (5, True)])
def test_a_quorum_is_enough_and_the_rest_goes_back_to_the_pool(tmp_path, num_answers, is_done):
    campaign, ids = with_files(tmp_path, min_fraction=0.8)
    answer(campaign, ids[:num_answers])
    manifest = step.run(campaign, 0)
    assert (manifest is not None) == is_done
    if manifest:
        assert set(labels_of(campaign, manifest)) == set(ids[:num_answers])
        assert list(states_of(campaign, manifest).values()).count("waiting") == 5 - num_answers
        assert set(select(campaign, 1)).isdisjoint(ids[:num_answers])


def test_every_selected_item_has_a_state(tmp_path):
    campaign, ids = with_files(tmp_path, min_fraction=0.2)
    rows = [(ids[0], "human", "ann"), (ids[1], "skip", "ann"), (ids[2], "humn", "ann"), (ids[3], "human", "ann")]
    put(campaign, "a.csv", csv_of(*rows, (ids[3], "entity", "bob")))
    manifest = step.run(campaign, 0)
    expected = dict(zip(ids, ["labeled", "skipped", "invalid", "conflicting", "waiting"], strict=True))
    assert states_of(campaign, manifest) == expected
    assert manifest.details["states"] == dict.fromkeys(("labeled", "waiting", "skipped", "invalid", "conflicting"), 1)
    assert manifest.metrics["num_rejected_lines"] == 3
    assert [(row["file"], row["line"]) for row in rejected_rows(campaign)] == [
        ("a.csv", "4"),
        ("a.csv", "5"),
        ("a.csv", "6"),
    ]


def test_skipped_items_do_not_hold_the_round_up_and_are_not_asked_again(tmp_path):
    campaign, ids = with_files(tmp_path)
    put(campaign, "a.csv", csv_of(*((item_id, "human", "") for item_id in ids[:4]), (ids[4], "skip", "")))
    manifest = step.run(campaign, 0)
    assert manifest.metrics["num_labeled"] == 4
    assert ids[4] not in select(campaign, 1)
    assert campaign.require(Unit("select_batch", 1)).metrics["num_candidates"] == 20 - 5


def test_a_round_in_which_all_is_skipped_ends_a_campaign_without_labels(tmp_path):
    campaign, ids = with_files(tmp_path)
    put(campaign, "a.csv", csv_of(*((item_id, "skip", "") for item_id in ids)))
    assert step.run(campaign, 0).metrics["num_labeled"] == 0
    assert stop_reason(campaign) == "every item of round 0 was skipped, and nothing is labelled yet"


def test_rejected_lines_are_listed_logged_once_and_the_rest_is_used(tmp_path, caplog):
    campaign, ids = with_files(tmp_path)
    put(campaign, "=evil.csv", csv_of((ids[0], "humn", "ann"), (ids[1], "human", "ann")))
    with caplog.at_level(logging.WARNING):
        assert step.run(campaign, 0) is None
    assert caplog.messages == [f"1 answers cannot be used: see {campaign.store.uri}/labeling/round-0000/rejected.csv"]
    [row] = rejected_rows(campaign)
    assert (row["file"], row["line"], row["item_id"]) == ("'=evil.csv", "2", ids[0])
    assert row["reason"] == "'humn' is not a label of this task; it has: entity, human, number"
    answer(campaign, ids, name="=evil.csv")  # corrected
    assert step.run(campaign, 0).metrics["num_rejected_lines"] == 0
    assert rejected_rows(campaign) == []


def test_a_majority_decides_and_every_vote_is_kept(tmp_path):
    campaign, ids = with_files(tmp_path)
    answer(campaign, ids, "human", "a.csv", "ann")
    answer(campaign, ids, "entity", "b.csv", "bob")
    assert step.run(campaign, 0) is None
    answer(campaign, ids, "entity", "c.csv", "cat")
    manifest = step.run(campaign, 0)
    assert (manifest.metrics["num_labeled"], manifest.metrics["num_votes"]) == (5, 15)
    assert set(label_snapshot(campaign, 1).labels.values()) == {0}


class TestDeadline:
    """What happens when time is up."""

    def test_before_it_the_round_waits(self, tmp_path):
        campaign, ids = with_files(tmp_path, deadline_hours=24)
        answer(campaign, ids[:2])
        assert step.run(campaign, 0, after_selection(campaign, 23.9)) is None
        assert "; deadline " in waiting_for(campaign, 0)
        assert waiting_for(campaign, 0).endswith("UTC, then proceed")

    def test_proceed_goes_on_with_what_is_there(self, tmp_path):
        campaign, ids = with_files(tmp_path, deadline_hours=24)
        answer(campaign, ids[:2])
        manifest = step.run(campaign, 0, after_selection(campaign, 24))
        assert set(labels_of(campaign, manifest)) == set(ids[:2])
        assert "the deadline for labels passed at" in manifest.details["decision"]
        assert stop_reason(campaign) is None

    def test_wait_keeps_waiting(self, tmp_path):
        campaign, ids = with_files(tmp_path, deadline_hours=24, on_deadline="wait")
        answer(campaign, ids[:2])
        assert step.run(campaign, 0, after_selection(campaign, 1000)) is None
        answer(campaign, ids)
        assert step.run(campaign, 0, after_selection(campaign, 1001)).metrics["num_labeled"] == 5

    def test_stop_ends_the_campaign_and_keeps_the_labels(self, tmp_path):
        campaign, ids = with_files(tmp_path, deadline_hours=24, on_deadline="stop")
        answer(campaign, ids[:2])
        manifest = step.run(campaign, 0, after_selection(campaign, 25))
        assert manifest.metrics["num_labeled"] == 2
        assert "2 of 5 items of round 0 are labelled (labeling.on_deadline is `stop`)" in stop_reason(campaign)
        assert next_plan(campaign).status == "stopped"

    def test_stop_does_not_strike_a_round_that_is_complete(self, tmp_path):
        campaign, ids = with_files(tmp_path, deadline_hours=24, on_deadline="stop")
        answer(campaign, ids)
        assert step.run(campaign, 0, after_selection(campaign, 25)).metrics["num_labeled"] == 5
        assert stop_reason(campaign) is None

    def test_without_a_single_label_there_is_nothing_to_go_on_with(self, tmp_path):
        campaign, _ = with_files(tmp_path, deadline_hours=24)
        manifest = step.run(campaign, 0, after_selection(campaign, 25))
        assert manifest.metrics["num_labeled"] == 0
        assert "and not one item of round 0 was labelled" in stop_reason(campaign)
        assert next_plan(campaign).status == "stopped"


class TestPolling:
    """labeling.wait_minutes: one run stays for a while."""

    def test_it_polls_until_the_labels_are_there(self, tmp_path):
        campaign, ids = with_files(tmp_path, wait_minutes=10, poll_seconds=30)
        time = FakeTime(then=lambda count: answer(campaign, ids) if count == 3 else None)
        assert step.run(campaign, 0, time.clock).metrics["num_labeled"] == 5
        assert time.slept == [30, 30, 30]

    def test_it_leaves_after_its_time_and_does_not_sleep_beyond_it(self, tmp_path):
        campaign, _ = with_files(tmp_path, wait_minutes=1.5, poll_seconds=60)
        time = FakeTime()
        assert step.run(campaign, 0, time.clock) is None
        assert time.slept == [60, 30]

    def test_it_takes_what_another_process_finished_meanwhile(self, tmp_path):
        campaign, ids = with_files(tmp_path, wait_minutes=10)

        def other_process(_):
            answer(campaign, ids)
            step.run(campaign, 0)

        time = FakeTime(then=other_process)
        manifest = step.run(campaign, 0, time.clock)
        assert manifest == campaign.manifest(Unit("await_labels", 0))
        assert len(time.slept) == 1

    def test_it_leaves_when_the_campaign_is_stopped(self, tmp_path):
        campaign, _ = with_files(tmp_path, wait_minutes=10)
        time = FakeTime(then=lambda _: stop_campaign(campaign, "a person's word"))
        assert step.run(campaign, 0, time.clock) is None
        assert len(time.slept) == 1

    def test_what_people_look_at_is_brought_up_to_date_once_before_the_first_pause(self, tmp_path):
        campaign, _ = with_files(tmp_path, wait_minutes=3, poll_seconds=60)
        time, moments = FakeTime(), []
        assert step.run(campaign, 0, time.clock, on_wait=lambda: moments.append(len(time.slept))) is None
        assert moments == [0]
        assert time.slept == [60, 60, 60]

    def test_nothing_is_brought_up_to_date_by_a_step_that_does_not_stay(self, tmp_path):
        campaign, ids = with_files(tmp_path)
        calls = []
        assert step.run(campaign, 0, on_wait=lambda: calls.append("waits")) is None
        answer(campaign, ids)
        assert step.run(campaign, 0, on_wait=lambda: calls.append("waits")) is not None
        assert calls == []

    def test_the_deadline_falls_into_the_wait(self, tmp_path):
        campaign, ids = with_files(tmp_path, wait_minutes=10, poll_seconds=60, deadline_hours=24)
        answer(campaign, ids[:1])
        begin = after_selection(campaign, 24).now() - timedelta(seconds=90)
        time = FakeTime(begin)
        assert step.run(campaign, 0, time.clock).metrics["num_labeled"] == 1
        assert time.slept == [60, 60]

    def test_rejections_are_logged_when_their_number_changes(self, tmp_path, caplog):
        campaign, ids = with_files(tmp_path, wait_minutes=5, poll_seconds=60)
        put(campaign, "a.csv", csv_of((ids[0], "humn", "ann")))
        time = FakeTime(then=lambda n: put(campaign, "b.csv", csv_of(("nope", "human", ""))) if n == 3 else None)
        with caplog.at_level(logging.WARNING):
            step.run(campaign, 0, time.clock)
        assert [message[:9] for message in caplog.messages] == ["1 answers", "2 answers"]


class TestLaterRounds:
    """The inbox keeps its files: answers of earlier rounds are read again at every look."""

    @pytest.fixture
    def rounds(self, tmp_path):
        """A campaign in round 1; in round 0 the last two items were not answered in time."""
        campaign, first = with_files(tmp_path, min_fraction=0.6)
        answer(campaign, first[:3], name="first.csv")
        assert step.run(campaign, 0) is not None
        return campaign, first, select(campaign, 1)

    def test_answers_that_were_used_are_neither_used_again_nor_rejected(self, rounds):
        campaign, _, second = rounds
        answer(campaign, second, "entity", name="second.csv")
        manifest = step.run(campaign, 1)
        assert set(labels_of(campaign, manifest)) == set(second)
        assert manifest.metrics["num_rejected_lines"] == 0
        assert num_labels(campaign, 2) == 8

    def test_a_late_answer_counts_and_names_the_round_that_asked(self, rounds):
        campaign, first, second = rounds
        late = next(item_id for item_id in first[3:] if item_id not in second)
        answer(campaign, [*second, late], "entity", name="second.csv")
        manifest = step.run(campaign, 1)
        rows = campaign.read_table(manifest, "labels.parquet").to_pylist()
        assert [(row["item_id"], row["round"]) for row in rows[:-1]] == [(item_id, 1) for item_id in second]
        assert (rows[-1]["item_id"], rows[-1]["round"]) == (late, 0)
        assert (manifest.metrics["num_labeled"], manifest.metrics["num_late"]) == (6, 1)
        assert states_of(campaign, manifest) == {**dict.fromkeys(second, "labeled"), late: "late"}
        assert manifest.details["states"] == {"labeled": 5, "late": 1}
        assert manifest.details["votes"] == {"ann": 6}
        assert num_labels(campaign, 2) == 9

    def test_late_answers_alone_do_not_finish_the_round(self, rounds):
        campaign, first, second = rounds
        answer(campaign, [item_id for item_id in first[3:] if item_id not in second], name="late.csv")
        assert step.run(campaign, 1) is None

    def test_an_empty_selection_is_done_at_once(self, tmp_path):
        campaign = make_campaign(tmp_path, num_items=5)
        answer(campaign, select(campaign))
        step.run(campaign, 0)
        assert select(campaign, 1) == []
        assert step.run(campaign, 1).metrics["num_labeled"] == 0
        assert stop_reason(campaign) is None


class TestCorrections:
    """New answers about items that have a label."""

    @pytest.fixture
    def rounds(self, tmp_path):
        """A campaign in round 1: ann has labelled all of round 0 `human`."""
        campaign, first = with_files(tmp_path)
        answer(campaign, first, "human", "a.csv", "ann")
        assert step.run(campaign, 0) is not None
        return campaign, first, select(campaign, 1)

    def test_a_new_answer_replaces_the_label_and_is_no_new_label(self, rounds):
        campaign, first, second = rounds
        before = label_snapshot(campaign, 1)
        answer(campaign, [*second, first[0]], "entity", "b.csv", "bob")
        manifest = step.run(campaign, 1)
        record = campaign.read_table(manifest, "labels.parquet").to_pylist()[-1]
        assert (record["item_id"], record["annotator"], record["round"]) == (first[0], "bob", 0)
        assert record["origin"] == "b.csv"
        metrics = {name: manifest.metrics[name] for name in ("num_labeled", "num_late", "num_corrected", "num_votes")}
        assert metrics == {"num_labeled": 5, "num_late": 0, "num_corrected": 1, "num_votes": 6}
        assert num_labels(campaign, 2) == 10 == len(label_snapshot(campaign, 2).labels)
        assert label_snapshot(campaign, 2).labels[first[0]] == 0
        assert (label_snapshot(campaign, 1).digest, label_snapshot(campaign, 1).labels[first[0]]) == (before.digest, 1)
        assert manifest.metrics["num_rejected_lines"] == 0

    def test_a_correction_alone_does_not_finish_the_round_and_waits_in_the_inbox(self, rounds):
        campaign, first, second = rounds
        answer(campaign, [first[0]], "entity", "b.csv", "bob")
        assert step.run(campaign, 1) is None
        assert "0 of 5 labels of round 1 are there, new answers about 1 labelled item: " in waiting_for(campaign, 1)
        answer(campaign, second, "number", "c.csv", "ann")
        assert step.run(campaign, 1).metrics["num_corrected"] == 1

    def test_what_comes_while_no_round_waits_is_taken_by_the_next(self, tmp_path):
        campaign, first = with_files(tmp_path)
        answer(campaign, first, "human", "a.csv", "ann")
        step.run(campaign, 0)
        answer(campaign, first[:1], "entity", "b.csv", "bob")
        assert label_snapshot(campaign, 1).labels[first[0]] == 1  # round 1 trains on what round 0 brought
        answer(campaign, select(campaign, 1), "human", "c.csv", "ann")
        assert step.run(campaign, 1).metrics["num_corrected"] == 1

    def test_a_correction_is_recorded_once(self, rounds):
        campaign, first, second = rounds
        answer(campaign, [*second, first[0]], "entity", "b.csv", "bob")
        step.run(campaign, 1)
        answer(campaign, select(campaign, 2), "entity", "c.csv", "bob")
        manifest = step.run(campaign, 2)
        assert (manifest.metrics["num_corrected"], manifest.metrics["num_confirmed"]) == (0, 0)
        assert (manifest.metrics["num_votes"], manifest.metrics["num_rejected_lines"]) == (5, 0)
        assert label_snapshot(campaign, 3).labels[first[0]] == 0

    def test_another_person_may_confirm(self, rounds):
        campaign, first, second = rounds
        answer(campaign, [*second, first[0]], "human", "b.csv", "bob")
        manifest = step.run(campaign, 1)
        assert (manifest.metrics["num_corrected"], manifest.metrics["num_confirmed"]) == (0, 1)
        assert label_snapshot(campaign, 2).labels[first[0]] == 1

    def test_an_old_file_that_comes_again_does_not_undo_a_correction(self, rounds):
        campaign, first, second = rounds
        answer(campaign, [*second, first[0]], "entity", "b.csv", "bob")
        step.run(campaign, 1)
        answer(campaign, first, "human", "a (1).csv", "ann")
        answer(campaign, select(campaign, 2), "entity", "c.csv", "bob")
        manifest = step.run(campaign, 2)
        assert manifest.metrics["num_corrected"] == 0
        [row] = rejected_rows(campaign, 2)
        assert (row["file"], row["item_id"]) == ("a (1).csv", first[0])
        assert "gave the same answer before, and the item was labelled entity in round 1, which stays" in row["reason"]

    def test_answers_that_disagree_correct_nothing(self, rounds):
        campaign, first, second = rounds
        answer(campaign, [*second, first[0]], "entity", "b.csv", "bob")
        answer(campaign, [first[0]], "number", "c.csv", "cat")
        manifest = step.run(campaign, 1)
        assert (manifest.metrics["num_corrected"], manifest.metrics["num_rejected_lines"]) == (0, 2)
        assert label_snapshot(campaign, 2).labels[first[0]] == 1

    @pytest.mark.parametrize(("label", "goes_on"), [("entity", True), ("human", False)])
    def test_at_the_deadline_a_changed_label_is_something_to_train_on(self, tmp_path, label, goes_on):
        campaign, first = with_files(tmp_path, deadline_hours=24)
        answer(campaign, first, "human", "a.csv", "ann")
        step.run(campaign, 0)
        select(campaign, 1)
        answer(campaign, first[:1], label, "b.csv", "bob")
        manifest = step.run(campaign, 1, after_selection(campaign, 25, 1))
        assert manifest.metrics["num_labeled"] == 0
        assert (stop_reason(campaign) is None) == goes_on


def test_waiting_for_looks_and_changes_nothing(tmp_path):
    campaign, ids = with_files(tmp_path)
    step.run(campaign, 0)
    rows = [(ids[0], "human", "a"), (ids[1], "skip", "a"), (ids[2], "?", "a"), (ids[3], "human", "a")]
    put(campaign, "a.csv", csv_of(*rows, (ids[3], "entity", "b")))
    before = sorted(campaign.store.list(""))
    text = waiting_for(campaign, 0)
    assert text.startswith("1 of 5 labels of round 0 are there (1 skipped, 1 invalid, 1 conflicting): fill in ")
    assert "3 answers were rejected, see " in text
    assert sorted(campaign.store.list("")) == before


def test_a_crash_between_publishing_and_committing_doubles_nothing(tmp_path):
    campaign, ids = with_files(tmp_path)
    answer(campaign, ids[:3])
    assert step.run(campaign, 0) is None  # published
    published = {key: campaign.store.read(key) for key in campaign.store.list("labeling/")}
    answer(campaign, ids)
    killed = campaign.attempt(Unit("await_labels", 0))  # what a run leaves that is killed before its commit
    killed.write_table("labels.parquet", pa.Table.from_pylist([], schema=LABEL_SCHEMA))
    manifest = step.run(campaign, 0)
    assert manifest.attempt != killed.attempt_id
    assert list(labels_of(campaign, manifest)) == ids
    assert {key: campaign.store.read(key) for key in campaign.store.list("labeling/")} == published
    assert len(published) == 2


def test_campaign_and_inbox_in_s3(tmp_path, s3_uri):
    campaign = make_campaign(tmp_path, uri=s3_uri)
    ids = select(campaign)
    assert step.run(campaign, 0) is None
    assert f"put it into {s3_uri}/inbox" in waiting_for(campaign, 0)
    put(campaign, "sub/a.csv", csv_of(*((item_id, "human", "ann") for item_id in ids), ("nope", "human", "ann")))
    put(campaign, "b.xlsx", b"")
    manifest = step.run(campaign, 0)
    assert list(labels_of(campaign, manifest)) == ids
    assert [(row["file"], row["line"]) for row in rejected_rows(campaign)] == [("b.xlsx", ""), ("sub/a.csv", "7")]


def test_two_processes_at_once_end_with_one_manifest(tmp_path):
    campaign, ids = with_files(tmp_path, wait_minutes=1, poll_seconds=0.01)
    code = (
        "import sys\n"
        "from activelora.campaign.campaign import Campaign\n"
        "from components.await_labels import step\n"
        "print(step.run(Campaign.open(sys.argv[1]), 0).attempt)\n"
    )
    command = [sys.executable, "-c", code, campaign.store.uri]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answer(campaign, ids[:2], name="a.csv")
    answer(campaign, ids[2:], name="b.csv")
    attempts = {process.communicate(timeout=60)[0].strip() for process in processes}
    manifest = campaign.manifest(Unit("await_labels", 0))
    assert attempts == {manifest.attempt}
    assert list(labels_of(campaign, manifest)) == ids
    folders = {key.split("/")[3] for key in campaign.store.list("rounds/0000/await_labels/attempt-")}
    assert folders == {f"attempt-{manifest.attempt}"}


@pytest.mark.parametrize("relative", [True, False])
def test_the_inbox_may_be_elsewhere(tmp_path, relative):
    campaign, ids = with_files(tmp_path / "work", inbox="answers" if relative else str(tmp_path / "work" / "answers"))
    assert step.run(campaign, 0) is None
    inbox = tmp_path / "work" / "answers"
    assert inbox.is_dir()
    inbox.joinpath("a.csv").write_text(csv_of(*((item_id, "human", "ann") for item_id in ids)))
    assert step.run(campaign, 0).metrics["num_labeled"] == 5
