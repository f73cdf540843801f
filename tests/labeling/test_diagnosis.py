"""Which labels are probably wrong, by adapters that did not see them: folds, resumption, the worksheet."""

import csv
import io
import json

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import label_snapshot
from activelora.errors import ConfigError, DataError
from activelora.labeling.diagnosis import assign_folds, diagnose
from activelora.pool.access import find_items, gold_labels
from activelora.rules.file import checked_config
from components.await_labels import step as await_labels
from components.ingest_pool import step as ingest_pool
from tests.labeling.conftest import make_campaign as make_light_campaign
from tests.labeling.conftest import select

LABELS = ["water", "fire", "red"]
WORDS = {"water": "moon", "fire": "river", "red": "play"}
NOISE = [[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.0, 0.2, 0.8]]


def labeled_campaign(folder, model_path, num_items=45):
    """A campaign whose round 0 is labelled; one word of an item tells its right label."""
    named = ((number, LABELS[number % 3]) for number in range(num_items))
    rows = [{"text": f"{number} {WORDS[label]}", "label": label} for number, label in named]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "noisy",
        "task": {"prompt": "{text} is", "labels": LABELS, "chat_template": "never"},
        "data": {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 3},
        "model": {"base": str(model_path)},
        "adapter": {"rank": 4, "dropout": 0.0},
        "training": {"min_steps": 0, "warmup_fraction": 0.0, "epochs": 6, "batch_size": 8, "learning_rate": 0.02},
        "acquisition": {"batch_size": num_items - 3, "strategy": "random"},
        "labeling": {"source": "oracle", "oracle_confusion": NOISE},
        "stopping": {"max_rounds": 1},
    }
    campaign = Campaign.create(str(folder / "campaign"), checked_config(document, where="test"))
    ingest_pool.run(campaign)
    select(campaign)
    assert await_labels.run(campaign, 0) is not None
    return campaign


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory, tiny_model_path):
    campaign = labeled_campaign(tmp_path_factory.mktemp("noisy"), tiny_model_path)
    return campaign, diagnose(campaign, 1, 3)


def test_wrong_labels_are_found_above_chance(diagnosed):
    campaign, found = diagnosed
    given = label_snapshot(campaign, 1).labels
    gold = gold_labels(campaign, list(given))
    wrong = {item_id for item_id, label in given.items() if gold[item_id] != label}
    suspects = {suspect["item_id"] for suspect in found.document["suspects"]}
    assert len(wrong) >= 3
    assert len(suspects & wrong) / len(suspects) > 2 * len(wrong) / len(given)
    assert len(suspects & wrong) / len(wrong) >= 0.5
    assert found.document["agreement"] > found.document["most_frequent"]


def test_what_is_written(diagnosed):
    campaign, found = diagnosed
    assert found.key == "diagnostics/round-0001.json"
    document = json.loads(campaign.store.read(found.key))
    assert document == found.document
    assert (document["round"], document["num_folds"], document["num_labels"]) == (1, 3, 42)
    assert document["label_digest"] == label_snapshot(campaign, 1).digest
    confidences = [suspect["self_confidence"] for suspect in document["suspects"]]
    assert confidences == sorted(confidences)
    assert all(suspect["label"] != suspect["model_label"] for suspect in document["suspects"])
    items = find_items(campaign, list(label_snapshot(campaign, 1).labels))
    assert all(suspect["text"] == items[suspect["item_id"]].fields["text"] for suspect in document["suspects"])
    rows = [sum(value for value in row if value is not None) for row in document["confusion"]]
    assert rows == pytest.approx([1.0] * 3)


def test_the_worksheet_is_an_annotators_and_shows_no_answer(diagnosed):
    campaign, found = diagnosed
    text = campaign.store.read(found.worksheet_key).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["item_id"] for row in rows] == [suspect["item_id"] for suspect in found.document["suspects"]]
    assert list(rows[0]) == ["item_id", "text", "allowed_labels", "label", "annotator", "reason"]
    assert {row["label"] for row in rows} == {""}
    assert rows[0]["reason"] == f"a second look, 1 of {len(rows)}"


def test_a_killed_run_goes_on_with_its_folds_and_ends_alike(diagnosed):
    campaign, found = diagnosed
    folds = sorted(campaign.store.list("diagnostics/round-0001/folds-"))
    assert len(folds) == 3
    before = {key: campaign.store.read(key) for key in [*folds, found.key, found.worksheet_key]}
    mark = {key: (campaign.store.folder / key).stat().st_mtime_ns for key in folds}
    campaign.store.delete(folds[1])
    assert diagnose(campaign, 1, 3).document == found.document
    after = {key: (campaign.store.folder / key).stat().st_mtime_ns for key in folds}
    assert [key for key in folds if after[key] != mark[key]] == [folds[1]]
    assert {key: campaign.store.read(key) for key in before} == before


@pytest.mark.parametrize("num_folds", [2, 3, 7])
def test_folds_share_out_items_and_labels_evenly(num_folds):
    labels = {f"item {number}": 0 if number < 30 else 1 + number % 2 for number in range(50)}
    folds = assign_folds(labels, num_folds, seed=1)
    assert sorted(item_id for fold in folds for item_id in fold) == sorted(labels)
    assert max(map(len, folds)) - min(map(len, folds)) <= 1
    for label in range(3):
        counts = [sum(labels[item_id] == label for item_id in fold) for fold in folds]
        assert max(counts) - min(counts) <= 1
    assert assign_folds(dict(reversed(labels.items())), num_folds, seed=1) == folds
    assert assign_folds(labels, num_folds, seed=2) != folds


@pytest.mark.parametrize("num_folds", [1, 6])
def test_too_few_labels_for_the_folds(tmp_path, num_folds):
    campaign = make_light_campaign(tmp_path, labeling={"source": "oracle"})
    select(campaign)
    await_labels.run(campaign, 0)
    with pytest.raises(DataError, match=f"5 labels cannot be split into {num_folds} folds"):
        diagnose(campaign, 1, num_folds)


def test_a_task_without_fixed_labels_is_refused(tmp_path):
    task = {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"}
    rows = [{"text": f"which {number}?", "choices": ["a", "b"], "label": number % 2} for number in range(12)]
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout_size": 5}
    campaign = make_light_campaign(tmp_path, rows=rows, task=task, data=data, labeling={"source": "oracle"})
    with pytest.raises(ConfigError, match="labels of a multiple_choice task cannot be diagnosed"):
        diagnose(campaign, 0, 2)
