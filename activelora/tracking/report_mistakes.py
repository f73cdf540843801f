"""The mistakes that the model was surest of: what a person would want to read first.

Texts are shown as annotators see them: what ``labeling.withhold`` and ``labeling.redact`` keep from people stays so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.records import Item, items_of
from activelora.campaign.snapshot import INGEST, Snapshot
from activelora.kinds.registry import make_task
from activelora.labeling.redaction import shown_fields
from activelora.pool.access import HOLDOUT
from activelora.tasks.task import Task
from activelora.tracking.report_words import cut, percent, significant

NUM_SHOWN, MAX_TEXT, MAX_LABEL = 6, 260, 80


def confident_mistakes(campaign: Snapshot, predictions: pa.Table) -> dict[str, Any]:
    """Return the mistakes that the model was surest of; of numbers those that are farthest off.

    Args:
        campaign: The campaign.
        predictions: A row for every holdout item: ``label``, ``predicted``, and what tells how sure the model was.
    """
    rows = predictions.to_pylist()
    is_number = pa.types.is_floating(predictions.schema.field("label").type)
    wrong = [row for row in rows if not _is_right(row)]
    ranked = sorted(wrong, key=lambda row: (-(_distance(row) if is_number else _sureness(row)), row["item_id"]))
    shown = ranked[:NUM_SHOWN]
    items = _holdout_items(campaign, {row["item_id"] for row in shown})
    task = make_task(campaign.config.task)
    return {
        "is_number": is_number,
        "num_wrong": len(wrong),
        "num_items": len(rows),
        "rows": [_row(campaign, task, row, items[row["item_id"]]) for row in shown if row["item_id"] in items],
    }


def _is_right(row: dict[str, Any]) -> bool:
    return bool(row.get("correct", row["label"] == row["predicted"]))


def _distance(row: dict[str, Any]) -> float:
    return abs(float(row["predicted"]) - float(row["label"]))


def _sureness(row: dict[str, Any]) -> float:
    """Return how sure the model was of its answer; of a set of labels, of all of it, label by label."""
    if "confidence" in row:
        return float(row["confidence"])
    probs = np.array(row["probs"], dtype=np.float64)
    return float(np.prod(np.maximum(probs, 1.0 - probs)))


def _row(campaign: Snapshot, task: Task, row: dict[str, Any], item: Item) -> dict[str, str]:
    label, predicted = _written(task, row["label"], item), _written(task, row["predicted"], item)
    off = isinstance(row["label"], float)
    text = " · ".join(shown_fields(campaign.config.labeling, item).values())
    return {
        "text": cut(text, MAX_TEXT),
        "label": cut(label, MAX_LABEL),
        "predicted": cut(predicted, MAX_LABEL),
        "sureness": f"off by {significant(_distance(row))}" if off else percent(_sureness(row)),
    }


def _written(task: Task, value: Any, item: Item) -> str:
    if isinstance(value, int):
        return task.label_name(value, item)
    if isinstance(value, float):
        return significant(value)
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)


def _holdout_items(campaign: Snapshot, ids: set[str]) -> dict[str, Item]:
    table = campaign.table(campaign.require(INGEST), HOLDOUT)
    return {item.item_id: item for item in items_of(table) if item.item_id in ids}
