"""Which random draws have joined the holdout of a pool that grows, and what the refreshed holdout measures.

Letters: N items of the holdout, R draws that joined, C answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.campaign import Attempt
from activelora.campaign.held_out import Draw, held_out_draws
from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import label_manifests
from activelora.campaign.records import Item
from activelora.campaign.refreshes import PoolParts
from activelora.campaign.snapshot import Snapshot
from activelora.evaluation import refreshed_holdout
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.evaluation.refreshed_holdout import Weights
from activelora.evaluation.temperature import scale
from activelora.pool.access import find_items

PREDICTIONS = "refreshed.parquet"
"""Predictions of the draws that joined, with their weights; those of the first holdout are in a file of their own."""


@dataclass(frozen=True)
class Joined:
    """The draws that have joined the holdout and have a label, by item id.

    Attributes:
        items: R items.
        labels_R: Their labels.
        draws: When and how they were drawn.
        sizes: Number of items of each part of the pool.
    """

    items: list[Item]
    labels_R: IntArray
    draws: list[Draw]
    sizes: list[float]


def joined(seen: Snapshot, attempt: Attempt, parts: PoolParts) -> Joined | None:
    """Return the draws of earlier rounds that have joined the holdout; None if there are none."""
    draws, selections = held_out_draws(seen, attempt.unit.round)
    if not selections:
        return None
    for manifest in (*selections, *label_manifests(seen, attempt.unit.round)):
        attempt.reads(manifest)
    labels = label_snapshot(seen, attempt.unit.round).labels
    ids = sorted(draws.keys() & labels.keys())
    if not ids:
        return None
    items = find_items(seen, ids)
    sizes = refreshed_holdout.part_sizes(parts, splits_pool=seen.config.data.holdout is None)
    labels_R = np.array([labels[item_id] for item_id in ids], dtype=np.int64)
    return Joined([items[item_id] for item_id in ids], labels_R, [draws[item_id] for item_id in ids], sizes)


def measure(
    found: Joined, log_probs: tuple[FloatArray, FloatArray], labels_N: IntArray, settings: EvaluationSettings
) -> tuple[dict[str, Any], Weights]:
    """Return the refreshed holdout's document and weights.

    Args:
        found: The draws that joined.
        log_probs: What the model says of the first holdout (N, C) and of the draws (R, C'); the narrower is padded.
        labels_N: Labels of the first holdout.
        settings: How to measure.
    """
    width = max(table.shape[1] for table in log_probs)
    padded = [np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=-np.inf) for table in log_probs]
    weights = refreshed_holdout.weigh(len(labels_N), found.draws, found.sizes)
    probs = scale(np.concatenate(padded), 1.0)
    labels = np.concatenate([labels_N, found.labels_R])
    return refreshed_holdout.evaluate(probs, labels, weights, settings), weights


def with_weights(predictions: pa.Table, found: Joined, weights: Weights) -> pa.Table:
    """Return a table of the draws' predictions with columns `weight` and `round`, that of the draw."""
    shares = pa.array(weights.weights_N[weights.num_first :], type=pa.float64())
    rounds = pa.array([draw.round for draw in found.draws], type=pa.int64())
    return predictions.append_column("weight", shares).append_column("round", rounds)
