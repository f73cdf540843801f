"""A whole campaign of each kind of task with a tiny random model: check, run, status, report."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.errors import ConfigError, ProblemsError
from activelora.rules.file import checked_config, load_config
from activelora.tracking.report import render_report
from pipelines.cli.checks import check_campaign
from pipelines.cli.status_document import status_document
from pipelines.engines.inline import run_campaign, tick

WORDS = ("red", "green", "blue", "first", "far", "water", "fire", "earth")


def write_campaign(folder, model, task, label_of, **changes):
    rng = random.Random(0)
    rows = [{"text": f"{' '.join(rng.choices(WORDS, k=4))} {index}", "gold": label_of(index)} for index in range(48)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "tiny",
        "seed": 3,
        "task": {"prompt": "Question: {text}\nAnswer:", "chat_template": "never", **task},
        "data": {
            "pool": {"path": "pool.jsonl"},
            "columns": {"label": "gold"},
            "holdout_size": 12,
            "calibration_size": 8,
            "shard_rows": 20,
        },
        "model": {"base": str(model)},
        "adapter": {"rank": 2, "last_layers": 2},
        "training": {"min_steps": 0, "warmup_fraction": 0.0, "epochs": 2, "learning_rate": 1.0e-3},
        "scoring": {"num_samples": 2},
        "acquisition": {"strategy": "star", "batch_size": 4},
        "stopping": {"max_rounds": 2},
        "evaluation": {"bootstrap_samples": 100},
        "tracking": {"enabled": False},
        "resources": {"trunk_cache_gb": 0},
    }
    for section, values in changes.items():
        document[section] = {**document.get(section, {}), **values}
    (folder / "campaign.yaml").write_text(yaml.safe_dump(document))
    return folder / "campaign.yaml"


def run(file, folder):
    config = load_config(file)
    check_campaign(config)
    campaign = Campaign.create(str(folder / "campaign"), config)
    assert run_campaign(campaign).status == "finished"
    return campaign


def answer_by_files(file, folder, written, column="label"):
    """Let people label the first round from a filled CSV, and return the campaign and the labels it took."""
    import csv

    campaign = Campaign.create(str(folder / "campaign"), load_config(file))
    assert tick(campaign).status == "waiting"
    sheet = folder / "campaign" / "labeling" / "round-0000" / "to_label.csv"
    with sheet.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row, label in zip(rows, written, strict=True):
        row[column] = label
    with (folder / "campaign" / "inbox" / "done.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert tick(campaign).status == "waiting"
    return campaign, rows


TOPICS = {"kind": "multi_label", "prompt": "Question: {text}\nIs it {label} ?", "labels": ["water", "fire", "red"]}


def topics_of(index):
    return [name for place, name in enumerate(TOPICS["labels"]) if index >> place & 1]


WRITING = {"kind": "generation", "max_answer_tokens": 6}
WATER_FIRE = ["water", "fire"]
NUMBERS = {"kind": "regression", "minimum": 0, "maximum": 12}


@pytest.mark.parametrize(
    "acquisition",
    [
        {"strategy": "uncertainty", "measure": "variance"},
        {"strategy": "star", "measure": "epistemic_variance"},
        {"strategy": "badge"},
        {"strategy": "batch_bald"},
        {"strategy": "stratified_random"},
    ],
)
def test_regression(tmp_path, tiny_model_path, acquisition):
    file = write_campaign(tmp_path, tiny_model_path, NUMBERS, lambda i: i % 13, acquisition=acquisition)
    campaign = run(file, tmp_path)
    metrics = campaign.require(Unit("evaluate_adapter", 2)).metrics
    assert 0 < metrics["mae"] <= metrics["rmse"] <= 12
    assert metrics["rmse_low"] <= metrics["rmse"] <= metrics["rmse_high"]
    assert metrics["nll_scaled"] > 0
    rows = campaign.read_table(campaign.require(Unit("evaluate_adapter", 1)), "predictions.parquet").to_pylist()
    assert all(row["low"] <= row["high"] and 0 <= row["predicted"] <= 12 for row in rows)
    assert status_document(campaign)["rounds"][2]["rmse"] == metrics["rmse"]
    page = render_report(campaign, {})
    assert "True numbers inside the intervals" in page
    assert f"{metrics['rmse']:.4g}" in page


def test_regression_from_files_rounds_and_counts(tmp_path, tiny_model_path):
    changes = {"labeling": {"source": "files"}, "data": {"pool": {"path": "pool.jsonl"}, "known_labels": "ignore"}}
    file = write_campaign(tmp_path, tiny_model_path, NUMBERS, lambda i: i % 13, **changes)
    campaign, rows = answer_by_files(file, tmp_path, ["3", "7.4", "12.0", " 0 "])
    assert rows[0]["allowed_labels"] == "a number from 0 to 12 | skip"
    manifest = campaign.require(Unit("await_labels", 0))
    labels = campaign.read_table(manifest, "labels.parquet").to_pydict()
    assert dict(zip(labels["item_id"], labels["label"], strict=True)) == {
        row["item_id"]: label for row, label in zip(rows, [3, 7, 12, 0], strict=True)
    }
    assert manifest.metrics["num_rounded"] == 1


def test_check_counts_rounded_labels_and_names_those_outside(tmp_path, tiny_model_path):
    file = write_campaign(tmp_path, tiny_model_path, NUMBERS, lambda i: i % 12 + 0.5 * (i < 5))
    warnings = check_campaign(load_config(file)).warnings
    assert any("5 labels of the pool between two steps of 1 were rounded" in warning for warning in warnings)
    file = write_campaign(tmp_path, tiny_model_path, NUMBERS, lambda i: i % 14)
    with pytest.raises(ProblemsError, match=r"pool.jsonl:14: column `gold`: 13 is outside task.minimum 0"):
        check_campaign(load_config(file))


@pytest.mark.parametrize(
    ("task", "sections", "message"),
    [
        (
            {},
            {"acquisition": {"strategy": "uncertainty", "measure": "epistemic_variance"}},
            "`epistemic_variance` does not exist for",
        ),
        ({}, {"evaluation": {"gates": {"max_rmse": 1}}}, "gates.max_rmse`: classification is not measured so"),
        (NUMBERS, {"evaluation": {"gates": {"min_accuracy": 0.5}}}, "gates.min_accuracy`: regression is not"),
        (NUMBERS, {"evaluation": {"gates": {"max_ece": 0.5}}}, "Use `max_rmse`"),
        (TOPICS, {"acquisition": {"strategy": "badge"}}, "`badge` needs one distribution over answers for each item"),
        (
            TOPICS,
            {"acquisition": {"strategy": "hybrid", "hybrid": {"then": "stratified_random"}}},
            "acquisition.hybrid.then`: `strat",
        ),
        (
            WRITING,
            {"acquisition": {"strategy": "margin"}},
            "`margin` reads the measure `margin`, which gen",
        ),
        (WRITING, {"acquisition": {"strategy": "star"}}, "`predictive_entropy` does not exist for generation"),
        (WRITING, {"acquisition": {"strategy": "badge"}}, "`badge` needs one distribution over answers"),
        (
            WRITING,
            {"acquisition": {"strategy": "star", "measure": "oracle_nll"}, "labeling": {"source": "files"}},
            "`oracle_nll` reads gold labels that nobody has given",
        ),
        (
            WRITING,
            {"acquisition": {"strategy": "star", "measure": "semantic_entropy"}, "scoring": {"num_samples": 1}},
            "`semantic_entropy` compares answers that the model writes, and one has nothing",
        ),
        (WRITING, {"data": {"calibration_size": 5}}, "there is no temperature for generation"),
        (TOPICS, {"labeling": {"oracle_error_rate": 0.1}}, "mistakes are simulated where an item has one label"),
    ],
)
def test_what_does_not_fit_a_task_is_told_by_check(tmp_path, tiny_model_path, task, sections, message):
    task = task or {"kind": "classification", "labels": ["water", "fire"]}
    label_of = {"regression": lambda i: i % 13, "multi_label": topics_of, "generation": str}
    label_of["classification"] = lambda i: WATER_FIRE[i % 2]
    file = write_campaign(tmp_path, tiny_model_path, task, label_of[task["kind"]])
    document = yaml.safe_load(file.read_text())
    document = {**document, **{name: {**document.get(name, {}), **values} for name, values in sections.items()}}
    document["data"]["folder"] = str(tmp_path)
    if task["kind"] == "generation" and "data" not in sections:
        document["data"]["calibration_size"] = 0
    with pytest.raises((ProblemsError, ConfigError), match=message):
        check_campaign(checked_config(document, where="campaign.yaml"))


@pytest.mark.parametrize(
    "acquisition", [{"strategy": "star"}, {"strategy": "bald"}, {"strategy": "core_set"}, {"strategy": "hybrid"}]
)
def test_multi_label(tmp_path, tiny_model_path, acquisition):
    file = write_campaign(tmp_path, tiny_model_path, TOPICS, topics_of, acquisition=acquisition)
    campaign = run(file, tmp_path)
    manifest = campaign.require(Unit("evaluate_adapter", 2))
    assert 0 <= manifest.metrics["accuracy"] <= 1 - manifest.metrics["hamming_loss"]
    assert {"ece", "nll", "ece_scaled", "micro_f1_low"} <= set(manifest.metrics)
    assert campaign.require(Unit("train_adapter", 1)).metrics["num_labels"] == 4
    rows = campaign.read_table(manifest, "predictions.parquet").to_pylist()
    for row in rows:
        assert row["predicted"] == [name for name, p in zip(TOPICS["labels"], row["probs"], strict=True) if p > 0.5]
    right = [row["predicted"] == row["label"] for row in rows]
    assert manifest.metrics["accuracy"] == sum(right) / len(right)
    ingest = campaign.require(Unit("ingest_pool"))
    assert sum(ingest.details["holdout_labels"].values()) == sum(len(row["label"]) for row in rows)
    page = render_report(campaign, {})
    assert "For each of 3 labels, the model says whether an item has it" in page
    assert "Where it is right and wrong" in page


def test_multi_label_from_files_and_csv(tmp_path, tiny_model_path):
    changes = {"labeling": {"source": "files"}, "data": {"pool": {"path": "pool.csv"}, "known_labels": "ignore"}}
    file = write_campaign(tmp_path, tiny_model_path, TOPICS, topics_of, **changes)
    lines = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    table = "".join(f"{row['text']},{'|'.join(row['gold']) or '[]'}\n" for row in lines)
    (tmp_path / "pool.csv").write_text("text,gold\n" + table)
    campaign, rows = answer_by_files(file, tmp_path, ["red; water", '["fire"]', "none", "FIRE"])
    assert rows[0]["allowed_labels"] == "water | fire | red; several with | between them, no label as none | skip"
    labels = campaign.read_table(campaign.require(Unit("await_labels", 0)), "labels.parquet").to_pydict()
    assert dict(zip(labels["item_id"], labels["label"], strict=True)) == {
        row["item_id"]: mask for row, mask in zip(rows, [0b101, 0b010, 0, 0b010], strict=True)
    }


def test_an_empty_cell_is_an_empty_set_where_every_row_is_labelled(tmp_path, tiny_model_path):
    file = write_campaign(tmp_path, tiny_model_path, TOPICS, lambda index: "" if index % 2 else "red|fire")
    counts = check_campaign(load_config(file)).data.holdout_labels
    assert set(counts) == {"red", "fire"}
    assert counts["red"] == counts["fire"] < 12


def text_of(index):
    return f"{index} + 1 = {index + 1}\n#### {index + 1}"


NO_CALIBRATION = {"pool": {"path": "pool.jsonl"}, "calibration_size": 0}
BY_PEOPLE = {**NO_CALIBRATION, "known_labels": "ignore"}
BY_ENTROPY = {"strategy": "star", "measure": "token_entropy"}


@pytest.mark.parametrize(
    "acquisition",
    [
        {"strategy": "star", "measure": "token_entropy"},
        {"strategy": "uncertainty", "measure": "disagreement"},
        {"strategy": "uncertainty", "measure": "semantic_entropy"},
        {"strategy": "star", "measure": "likelihood_semantic_entropy"},
        {"strategy": "star", "measure": "oracle_nll"},
        {"strategy": "density_weighted", "measure": "answer_nll"},
        {"strategy": "core_set"},
        {"strategy": "random"},
    ],
)
def test_generation(tmp_path, tiny_model_path, acquisition):
    file = write_campaign(tmp_path, tiny_model_path, WRITING, text_of, acquisition=acquisition, data=NO_CALIBRATION)
    campaign = run(file, tmp_path)
    manifest = campaign.require(Unit("evaluate_adapter", 2))
    assert {"accuracy", "ece", "nll", "brier", "aurc", "ece_low"} <= set(manifest.metrics)
    rows = campaign.read_table(manifest, "predictions.parquet").to_pylist()
    assert manifest.metrics["accuracy"] == sum(row["correct"] for row in rows) / 12
    assert all("####" in row["label"] for row in rows)
    assert all(0 <= row["confidence"] <= 1 for row in rows)
    labels = campaign.read_table(campaign.require(Unit("await_labels", 0)), "labels.parquet").to_pylist()
    assert all("####" in row["text"] and row["label"] is None for row in labels)
    assert "The model writes its answer as text" in render_report(campaign, {})
    meanings = {"semantic_entropy", "likelihood_semantic_entropy"}
    for round_ in (0, 1) if acquisition.get("measure") in meanings else ():
        if acquisition["strategy"] == "star" or round_ > 0:  # a random seed set is scored for `star` only
            scores = campaign.read_table(campaign.require(Unit("score_pool", round_, 0)), "scores.parquet").to_pydict()
            assert meanings < {*scores}
            for name in meanings:
                assert min(scores[name]) >= 0 < max(scores[name]) <= np.log(campaign.config.scoring.num_samples) + 1e-9


def test_training_on_texts_makes_them_more_probable(tmp_path, tiny_model_path):
    training = {"epochs": 30, "learning_rate": 0.02}
    changes = {"training": training, "data": NO_CALIBRATION, "acquisition": BY_ENTROPY}
    file = write_campaign(tmp_path, tiny_model_path, WRITING, lambda _: "red\n#### 7", **changes)
    campaign = run(file, tmp_path)
    before, after = (campaign.require(Unit("evaluate_adapter", round_)).metrics for round_ in (0, 2))
    assert after["nll"] < before["nll"] / 2


def test_generation_from_files(tmp_path, tiny_model_path):
    changes = {"labeling": {"source": "files"}, "data": BY_PEOPLE, "acquisition": BY_ENTROPY}
    file = write_campaign(tmp_path, tiny_model_path, WRITING, text_of, **changes)
    written = ["first\n#### 1", "'=2 + 2", "7", "water"]
    campaign, rows = answer_by_files(file, tmp_path, written)
    assert rows[0]["allowed_labels"] == "the answer as text | skip"
    labels = campaign.read_table(campaign.require(Unit("await_labels", 0)), "labels.parquet").to_pydict()
    expected = ["first\n#### 1", "=2 + 2", "7", "water"]
    assert dict(zip(labels["item_id"], labels["text"], strict=True)) == {
        row["item_id"]: text for row, text in zip(rows, expected, strict=True)
    }


def test_annotators_pass_a_text_over(tmp_path, tiny_model_path):
    changes = {"labeling": {"source": "files"}, "data": BY_PEOPLE, "acquisition": BY_ENTROPY}
    file = write_campaign(tmp_path, tiny_model_path, WRITING, text_of, **changes)
    campaign, _ = answer_by_files(file, tmp_path, ["7", "skip", "Skip", "8"])
    assert campaign.require(Unit("await_labels", 0)).details["states"]["skipped"] == 2
