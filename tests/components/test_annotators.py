"""Several annotators: how their votes become labels, how far they agree, and gold questions among the others."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from activelora.campaign.history import read_history
from activelora.campaign.labels import label_snapshot, resolve
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot
from activelora.labeling.agreement import AGREEMENT_FILE
from activelora.labeling.deletion import delete_item
from activelora.labeling.exchange import export_labels
from activelora.labeling.gold import gold_questions, mixed
from activelora.labeling.request import make_request
from activelora.labeling.waiting import Clock
from activelora.pool.access import holdout
from activelora.tracking.annotators import annotators_of
from activelora.tracking.report import render_report
from activelora.tracking.report_selections import selections_of
from components.await_labels import step
from tests.labeling.conftest import LABELS, csv_of, labels_of, make_campaign, put, select


def asked(campaign, round_=0):
    """The item ids of the worksheet, in order."""
    text = campaign.store.read(f"labeling/round-{round_:04d}/to_label.csv").decode("utf-8-sig")
    return [row["item_id"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def start(folder, batch=5, **labeling):
    campaign = make_campaign(folder, batch=batch, labeling={"source": "files", **labeling})
    ids = select(campaign)
    assert step.run(campaign, 0) is None
    return campaign, ids


def after(campaign, hours):
    """A clock so many hours after the selection."""
    now = datetime.fromisoformat(campaign.require(Unit("select_batch", 0)).finished_at) + timedelta(hours=hours)
    return Clock(now=lambda: now)


def answer(campaign, annotator, given, name=None):
    put(campaign, name or f"{annotator}.csv", csv_of(*((item, label, annotator) for item, label in given.items())))


def test_agreement_is_measured_shown_and_sent_to_mlflow(tmp_path):
    campaign, ids = start(tmp_path, annotators_per_item=3)
    for name, odd in (("ann", None), ("bob", None), ("cat", ids[0])):
        answer(campaign, name, {item: "number" if item == odd else "human" for item in ids})
    manifest = step.run(campaign, 0)
    found = campaign.read_json(manifest, AGREEMENT_FILE)
    assert [found["annotators"][name]["agreement"] for name in ("ann", "bob", "cat")] == [1.0, 1.0, 0.8]
    assert found["num_overlapping"] == 5
    assert manifest.metrics["krippendorff_alpha"] == found["alpha"] == pytest.approx(0.0)
    page = render_report(campaign, {})
    assert "How far annotators agree" in page
    assert '<td data-name="Annotator">cat</td>' in page


def test_adjudicators_saw_what_others_said_and_are_no_evidence(tmp_path):
    campaign, ids = start(tmp_path, annotators_per_item=2, adjudicators=["eve"])
    for name, odd in (("ann", None), ("bob", ids[0])):
        answer(campaign, name, {item: "number" if item == odd else "human" for item in ids})
    assert step.run(campaign, 0) is None
    answer(campaign, "eve", {ids[0]: "human"})
    found = campaign.read_json(step.run(campaign, 0), AGREEMENT_FILE)
    assert [(name, report["agreement"]) for name, report in found["annotators"].items()] == [("ann", 1.0), ("bob", 0.8)]
    assert found["alpha"] == pytest.approx(0.0)


def test_one_annotator_has_nobody_to_agree_with(tmp_path):
    campaign, ids = start(tmp_path)
    answer(campaign, "ann", dict.fromkeys(ids, "human"))
    manifest = step.run(campaign, 0)
    assert AGREEMENT_FILE not in manifest.files
    assert "krippendorff_alpha" not in manifest.metrics
    assert "How far annotators agree" not in render_report(campaign, {})


def spam(ids):
    """Two who agree, and two who always say the same."""
    truth = {item: LABELS[place % 3] for place, item in enumerate(ids)}
    return {"ann": truth, "bob": truth, "cat": dict.fromkeys(ids, "human"), "dan": dict.fromkeys(ids, "human")}, truth


def test_annotators_are_weighed_where_a_majority_would_tie(tmp_path):
    campaign, ids = start(tmp_path, batch=12, annotators_per_item=4, aggregation="dawid_skene")
    votes, truth = spam(ids)
    for name, given in votes.items():
        answer(campaign, name, given)
    step.run(campaign, 0)
    snapshot = label_snapshot(campaign, 1)
    found = {item: LABELS[label] for item, label in snapshot.labels.items()}
    assert found == truth
    assert all(sum(shares.values()) == pytest.approx(1.0) for shares in snapshot.shares.values())


def test_a_tie_waits_where_the_majority_decides(tmp_path):
    campaign, ids = start(tmp_path, batch=12, annotators_per_item=4)
    for name, given in spam(ids)[0].items():
        answer(campaign, name, given)
    assert step.run(campaign, 0) is None


def vote(item, annotator, label):
    at = "2026-01-01T00:00:00+00:00"
    return {"item_id": item, "annotator": annotator, "label": label, "source": "files", "labeled_at": at, "round": 0}


def test_an_adjudicator_overrules_every_rule():
    votes = [vote("x", "ann", 1), vote("x", "bob", 1), vote("x", "eve", 0)]
    for rule in ("majority", "dawid_skene"):
        snapshot = resolve([votes], ["eve"], rule)
        assert (snapshot.labels["x"], snapshot.shares["x"]) == (0, {0: 1.0})
    assert resolve([votes]).shares["x"] == pytest.approx({0: 1 / 3, 1: 2 / 3})


def test_gold_questions_are_hidden_among_the_others_and_measure_each_annotator(tmp_path):
    campaign, ids = start(tmp_path, gold_questions=3)
    shown = asked(campaign)
    gold = [item for item in shown if item not in ids]
    items, labels = holdout(campaign)
    right = {item.item_id: LABELS[label] for item, label in zip(items, labels, strict=True)}
    assert len(gold) == 3
    assert set(gold) <= set(right)
    assert [item for item in shown if item in ids] == ids
    answers = dict.fromkeys(ids, "human") | {item: right[item] for item in gold}
    answers[gold[0]] = next(label for label in LABELS if label != right[gold[0]])
    answer(campaign, "ann", answers)
    manifest = step.run(campaign, 0)
    assert set(labels_of(campaign, manifest)) == set(ids)
    assert manifest.metrics["num_requested"] == 5
    assert manifest.metrics["gold_accuracy"] == pytest.approx(2 / 3)
    assert campaign.read_json(manifest, AGREEMENT_FILE)["annotators"]["ann"]["num_gold"] == 3
    assert (
        "66.7\N{NO-BREAK SPACE}% of 3"
        in render_report(campaign, {}).split("How far annotators agree")[1].split("</table>")[0]
    )


def test_a_round_does_not_wait_for_gold_questions(tmp_path):
    campaign, ids = start(tmp_path, gold_questions=2)
    answer(campaign, "ann", dict.fromkeys(ids, "human"))
    manifest = step.run(campaign, 0)
    assert manifest.metrics["num_labeled"] == 5
    assert "gold_accuracy" not in manifest.metrics


def test_each_round_asks_other_gold_questions_until_all_were_asked(tmp_path):
    campaign, _ = start(tmp_path, gold_questions=4)
    assert len(gold_questions(campaign, 0)) == 4
    assert len(gold_questions(campaign, 1)) == 8
    assert len(gold_questions(campaign, 5)) == 9  # all of the holdout
    assert make_request(campaign, 0).asked == make_request(campaign, 0).asked


def test_late_answers_to_gold_questions_are_no_errors(tmp_path):
    campaign, ids = start(tmp_path, gold_questions=2)
    gold = [item for item in asked(campaign) if item not in ids]
    answer(campaign, "ann", dict.fromkeys(ids, "human"))
    step.run(campaign, 0)
    answer(campaign, "ann", dict.fromkeys(gold, "human"), "late.csv")
    more = select(campaign, 1)
    assert step.run(campaign, 1) is None
    answer(campaign, "bob", dict.fromkeys(more, "human"))
    manifest = step.run(campaign, 1)
    assert manifest.metrics["num_rejected_lines"] == 0
    assert set(labels_of(campaign, manifest)) == set(more)


def test_an_answer_to_a_gold_question_that_comes_again_is_counted_once(tmp_path):
    campaign, ids = start(tmp_path, gold_questions=9)  # all of the holdout, in each round
    gold = [item for item in asked(campaign) if item not in ids]
    answer(campaign, "ann", dict.fromkeys([*ids, *gold], "human"))
    assert step.run(campaign, 0).metrics["gold_accuracy"] == pytest.approx(1 / 3)
    more = select(campaign, 1)
    answer(campaign, "bob", dict.fromkeys(more, "human"))
    now = datetime.now(UTC).isoformat()
    put(campaign, "cat.csv", csv_of((gold[0], "human", "cat", now), header="item_id,label,annotator,labeled_at"))
    found = campaign.read_json(step.run(campaign, 1), AGREEMENT_FILE)
    assert {name: report["num_gold"] for name, report in found["annotators"].items()} == {"bob": 0, "cat": 1}


def test_means_over_rounds_weigh_what_they_are_means_of(tmp_path):
    """Cat disagrees about the only shared item of round 0, and agrees about all five of round 1."""
    campaign, ids = start(tmp_path, annotators_per_item=2, min_fraction=0.2, deadline_hours=1)
    for name, label in (("ann", "human"), ("bob", "human"), ("cat", "number")):
        answer(campaign, name, {ids[0]: label})
    answer(campaign, "cat", dict.fromkeys(ids[1:], "human"), "more.csv")
    assert step.run(campaign, 0) is not None
    more = select(campaign, 1)
    labels = {item: LABELS[place % 2] for place, item in enumerate(more)}
    for name in ("ann", "cat"):
        answer(campaign, name, labels, f"{name}-1.csv")
    assert step.run(campaign, 1) is not None
    rows = {row["name"]: row for row in annotators_of(campaign, read_history(campaign))["rows"]}
    assert rows["cat"]["num_votes"] == 10
    assert rows["cat"]["agreement"] == pytest.approx(5 / 6)
    assert rows["cat"]["kappa"] == pytest.approx((0 * 2 + 1 * 5) / 7)


def test_the_report_says_what_was_trained_on_and_nothing_of_deleted_items(tmp_path):
    campaign, ids = start(tmp_path, batch=12, annotators_per_item=4, aggregation="dawid_skene")
    votes, truth = spam(ids)
    for name, given in votes.items():
        answer(campaign, name, given)
    assert step.run(campaign, 0) is not None
    [alone] = select(campaign, 1)[:1]
    answer(campaign, "cat", {alone: "human"}, "late.csv")
    page = selections(campaign)
    delete_item(campaign, ids[0], "asked to")
    assert [row["label"] for row in page] == [truth[item] for item in ids[: len(page)]]
    assert [row["label"] for row in selections(campaign)] == [None, *(row["label"] for row in page[1:])]


def selections(campaign):
    """The report's rows about round 0."""
    return selections_of(Snapshot(campaign), read_history(campaign))["rounds"][-1]["rows"]


def test_adjudicators_see_no_gold_questions(tmp_path):
    campaign, ids = start(tmp_path, gold_questions=3, annotators_per_item=2, adjudicators=["eve"])
    for name, label in (("ann", "human"), ("bob", "number")):
        answer(campaign, name, dict.fromkeys(ids[:2], label))
    assert step.run(campaign, 0) is None
    sheet = campaign.store.read("labeling/round-0000/to_adjudicate.csv").decode("utf-8-sig")
    assert sorted(row["item_id"] for row in csv.DictReader(io.StringIO(sheet, newline=""))) == sorted(ids[:2])


def test_a_label_that_nobody_gave_is_exported(tmp_path):
    """Ann and bob agree; cat and dan always say the same, disagree on one item alone, and are not believed."""
    campaign, ids = start(tmp_path, batch=13, annotators_per_item=3, aggregation="dawid_skene", deadline_hours=1)
    for name in ("ann", "bob"):
        answer(campaign, name, {item: LABELS[2 if n < 8 else n % 2] for n, item in enumerate(ids[:12])})
    answer(campaign, "cat", dict.fromkeys(ids, LABELS[0]))
    answer(campaign, "dan", dict.fromkeys(ids, LABELS[1]))
    assert step.run(campaign, 0, after(campaign, 2)) is not None
    rows = {row["item_id"]: row for row in map(json.loads, export_labels(campaign, 1, "jsonl").decode().splitlines())}
    alone = rows[ids[12]]
    assert (alone["label"], alone["annotator"], alone["source"], alone["num_votes"]) == (LABELS[2], "", "files", 2)


def test_a_vote_that_does_not_move_the_median_corrects_nothing(tmp_path):
    task = {"kind": "regression", "prompt": "{text}", "minimum": 0, "maximum": 10, "step": 1}
    number = [{"text": f"question {n}", "label": str(n)} for n in range(12)]
    (tmp_path / "numbers.jsonl").write_text(
        "".join(json.dumps({**row, "text": row["text"] + "!"}) + "\n" for row in number[:3])
    )
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "numbers.jsonl"}}
    labeling = {"source": "files", "annotators_per_item": 3, "aggregation": "median"}
    campaign = make_campaign(tmp_path, batch=1, rows=number, task=task, data=data, labeling=labeling)
    [first] = select(campaign)
    for name, label in (("ann", "2"), ("bob", "5"), ("cat", "8")):
        answer(campaign, name, {first: label})
    assert step.run(campaign, 0) is not None
    [second] = select(campaign, 1)
    for name in ("ann", "bob", "cat"):
        answer(campaign, name, {second: "1"}, f"{name}-1.csv")
    answer(campaign, "cat", {first: "9"}, "new.csv")
    manifest = step.run(campaign, 1)
    assert label_snapshot(campaign, 2).labels[first] == label_snapshot(campaign, 1).labels[first]
    assert (manifest.metrics["num_corrected"], manifest.metrics["num_confirmed"]) == (0, 1)


def test_mixing_keeps_the_order():
    ids = [f"item-{place}" for place in range(6)]
    found = mixed(ids, ["gold-a", "gold-b"], seed=0)
    assert [item for item in found if item in ids] == ids
    assert set(found) - set(ids) == {"gold-a", "gold-b"}
    assert mixed([], ["gold-a"], seed=0) == []


def test_no_reason_tells_a_gold_question_or_is_made_up(tmp_path):
    campaign, ids = start(tmp_path, gold_questions=3)
    request = make_request(campaign, 0)
    assert len(request.asked) == len(ids) + 3
    assert set(request.asked.values()) == {"asked in round 0"}
