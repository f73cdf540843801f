"""Several annotators: how their votes become labels, how far they agree, and gold questions among the others."""

import csv
import io

import pytest
from pydantic import ValidationError

from activelora.campaign.labels import label_snapshot, resolve
from activelora.config import CampaignConfig
from activelora.labeling.agreement import AGREEMENT_FILE
from activelora.labeling.gold import gold_questions, mixed
from activelora.labeling.source import make_request
from activelora.pool.access import holdout
from activelora.tracking.report import render_report
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
    assert "<td>cat</td>" in page


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
    assert "66.7 % of 3" in render_report(campaign, {}).split("How far annotators agree")[1].split("</table>")[0]


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


def test_mixing_keeps_the_order_and_shows_no_reason_of_its_own():
    reasons = {f"item-{place}": f"reason {place}" for place in range(6)}
    found = mixed(reasons, ["gold-a", "gold-b"], seed=0)
    assert [item for item in found if item in reasons] == list(reasons)
    assert set(found) - set(reasons) == {"gold-a", "gold-b"}
    assert set(found.values()) <= set(reasons.values())
    assert mixed({}, ["gold-a"], seed=0) == {}


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"labeling": {"source": "files", "aggregation": "median"}}, "combines labels of regression"),
        ({"labeling": {"source": "oracle", "gold_questions": 2}}, "measure people"),
        (
            {
                "task": {"kind": "multiple_choice", "prompt": "{q}", "answer": "text"},
                "labeling": {"aggregation": "dawid_skene"},
            },
            "combines labels of classification, yes_no",
        ),
        ({"training": {"soft_labels": True}, "adapter": {"method": "laplace"}}, "one label an item"),
    ],
)
def test_settings_that_do_not_go_together(sections, words):
    document = {
        "name": "test",
        "task": {"prompt": "{text}", "labels": LABELS},
        "data": {"pool": {"path": "p.jsonl"}, "holdout": {"path": "h.jsonl"}},
        **sections,
    }
    with pytest.raises(ValidationError, match=words):
        CampaignConfig.model_validate(document)
