"""Finished campaigns with fabricated predictions: written through the store, without a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.records import ITEM_SCHEMA, LABEL_SCHEMA, LABELED_ITEM_SCHEMA, SELECTION_SCHEMA
from activelora.config import CampaignConfig
from activelora.evaluation import evaluation
from activelora.evaluation.gates import base_of, champion, gate_failures
from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.judges import CHOICE_SCHEMA
from activelora.rules.file import checked_config

LABELS = ("ec2", "sagemaker", "glue", "iam", "rds", "redshift", "cognito-idp", "s3")
HOSTILE = "<script>alert('x')</script> & <b>bold</b>"
NUM_POOL, NUM_HOLDOUT, BATCH = 240, 160, 20
Builder = Callable[..., Campaign]


def make_config(**changes: object) -> CampaignConfig:
    document: dict = {
        "name": "aws-requests",
        "task": {"prompt": "Request: {text}\nTeam:", "labels": list(LABELS)},
        "data": {"pool": {"path": "builtin:aws-requests"}},
        "acquisition": {"batch_size": BATCH},
        "stopping": {"max_rounds": 3},
        "evaluation": {"bootstrap_samples": 100},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            document.setdefault(section, {})[name] = value
        else:
            document[section] = value
    return checked_config(document, where="test")


def item_rows(num: int, kind: str) -> list[dict]:
    verbs = ("Creates a snapshot of", "Lists the users who own", "Removes the tags of", "Describes one or more of")
    rows = []
    for index in range(num):
        text = f"{verbs[index % 4]} the {kind} resources number {index}. You must have permission to do so."
        if index == 3:
            text = HOSTILE
        item_id = hashlib.sha256(f"{kind}{index}".encode()).hexdigest()[:16]
        rows.append({"item_id": item_id, "source_id": None, "fields": [("text", text)], "choices": None})
    return rows


def write_pool(campaign: Campaign) -> None:
    rng = np.random.default_rng(0)
    attempt = campaign.attempt(Unit("ingest_pool"))
    attempt.write_table("pool/items-00000.parquet", pa.Table.from_pylist(item_rows(NUM_POOL, "pool"), ITEM_SCHEMA))
    holdout = [{**row, "label": int(rng.integers(8))} for row in item_rows(NUM_HOLDOUT, "holdout")]
    attempt.write_table("holdout.parquet", pa.Table.from_pylist(holdout, LABELED_ITEM_SCHEMA))
    metrics = {"num_pool": NUM_POOL, "num_holdout": NUM_HOLDOUT, "num_calibration": 0, "num_duplicates": 2}
    attempt.commit(metrics=metrics, details={"num_shards": 1, "has_gold": False})


def write_training(campaign: Campaign, round_: int) -> None:
    attempt = campaign.attempt(Unit("train_adapter", round_))
    attempt.write("adapter/adapter_config.json", json.dumps({"peft_type": "LORA", "round": round_}).encode())
    attempt.write("adapter/adapter_model.safetensors", b"\x08" + bytes(7) + b"{}      " + bytes([round_]) * 64)
    attempt.write_json("loss.json", [2.0, 1.0, 0.5])
    metrics = {"num_labels": round_ * BATCH, "num_steps": 30, "final_loss": 0.5, "seconds": 21.5}
    attempt.commit(metrics=metrics, details={})


def predictions(probs_NC: np.ndarray, labels_N: np.ndarray) -> pa.Table:
    rows = zip(item_rows(NUM_HOLDOUT, "holdout"), labels_N.tolist(), probs_NC.tolist(), strict=True)
    return pa.Table.from_pylist(
        [
            {
                "item_id": item["item_id"],
                "label": label,
                "predicted": int(np.argmax(probs)),
                "confidence": max(probs),
                "probs": probs,
            }
            for item, label, probs in rows
        ],
        schema=CHOICE_SCHEMA,
    )


def write_evaluation(campaign: Campaign, round_: int, skill: float) -> None:
    """Fabricate predictions that are right more often the larger the skill, and over-confident."""
    rng = np.random.default_rng(0)  # the same luck in every round, as of the same items
    labels_N = np.random.default_rng(0).integers(8, size=NUM_HOLDOUT)
    logits_NC = rng.normal(size=(NUM_HOLDOUT, 8))
    logits_NC[np.arange(NUM_HOLDOUT), labels_N] += skill
    probs_NC = np.exp(1.6 * logits_NC)
    probs_NC /= probs_NC.sum(axis=1, keepdims=True)
    settings = evaluation.EvaluationSettings(15, 100, 0.95, 1, campaign.config.task.labels)
    document = evaluation.evaluate(probs_NC, labels_N, settings)
    document |= {"label_prior": None, "temperature": None, "scaled": None}
    metrics = evaluation.flat_metrics(document) | {"num_holdout": NUM_HOLDOUT, "seconds": 12.0}
    present = champion(campaign, before_round=round_)
    base = base_of(campaign) if round_ else None
    reasons = gate_failures(campaign.config.evaluation.gates, round_, metrics, present, ACCURACY, base)
    attempt = campaign.attempt(Unit("evaluate_adapter", round_))
    attempt.write_json("evaluation.json", document)
    attempt.write_table("predictions.parquet", predictions(probs_NC, labels_N))
    best = round_ if not reasons else (present.round if present else None)
    details = {"gates": {"passed": not reasons, "reasons": reasons}, "champion_round": best}
    attempt.commit(metrics=metrics, details=details)


def write_query(campaign: Campaign, round_: int) -> None:
    """Score, select and label a batch: items 20·round ... in the order of the pool."""
    campaign.attempt(Unit("score_pool", round_, 0)).commit(metrics={"num_scored": 200, "seconds": 30.0})
    rows = item_rows(NUM_POOL, "pool")[round_ * BATCH : (round_ + 1) * BATCH]
    selection = [
        {
            "item_id": row["item_id"],
            "position": position,
            "score": None if position % 10 == 9 else 0.97 - 0.01 * position,
            "reason": "drawn at random (exploration)"
            if position % 10 == 9
            else f"uncertainty {0.97 - 0.01 * position:.2f}: base 0.91, adapter 0.88, lambda 0.67",
        }
        for position, row in enumerate(rows)
    ]
    attempt = campaign.attempt(Unit("select_batch", round_))
    attempt.write_table("selection.parquet", pa.Table.from_pylist(selection, SELECTION_SCHEMA))
    attempt.commit(
        metrics={"num_selected": BATCH, "num_candidates": NUM_POOL - round_ * BATCH}, details={"lambda": 0.5}
    )
    labels = [
        {
            "item_id": row["item_id"],
            "label": position % 8,
            "annotator": "anna",
            "source": "files",
            "labeled_at": "2026-01-02T03:04:05.000+00:00",
            "round": round_,
        }
        for position, row in enumerate(rows)
    ]
    attempt = campaign.attempt(Unit("await_labels", round_))
    attempt.write_table("labels.parquet", pa.Table.from_pylist(labels, LABEL_SCHEMA))
    attempt.write_json("states.json", {row["item_id"]: "labeled" for row in rows})
    attempt.commit(metrics={"num_labeled": BATCH, "num_requested": BATCH, "num_rejected_lines": 0})


@pytest.fixture
def build_campaign(tmp_path: Path) -> Builder:
    """Return a function that writes a campaign: rounds 0 ... num_rounds - 1 whole, then one more evaluated."""

    def build(num_rounds: int = 3, *, finished: bool = True, folder: str = "campaign", **changes: object) -> Campaign:
        campaign = Campaign.create(str(tmp_path / folder), make_config(**changes))
        write_pool(campaign)
        add_rounds(campaign, 0, num_rounds)
        if finished:
            write_training(campaign, num_rounds)
            write_evaluation(campaign, num_rounds, skill=0.4 + 0.9 * num_rounds)
            stop_campaign(campaign, f"all {num_rounds} planned rounds are done ({num_rounds * BATCH} labels)")
        return campaign

    return build


def add_rounds(campaign: Campaign, first: int, last: int) -> None:
    """Write rounds first ... last - 1, whole."""
    for round_ in range(first, last):
        if round_:
            write_training(campaign, round_)
        write_evaluation(campaign, round_, skill=0.4 + 0.9 * round_)
        write_query(campaign, round_)
