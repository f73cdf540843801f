"""Self-training: items of the pool that the last round's model was sure of are trained on as it answered them.

The baseline of semi-supervised learning (Lee 2013, "Pseudo-Label"): what extra labels are worth should be asked beside
what the unlabelled items give for nothing. Pseudo-labels are never labels: they are in no label log, count towards no
budget, and are chosen anew every round, so that a mistake does not stay. Round r takes the answers with which round
r − 1 scored the pool for its batch, at that round's temperature; rounds 0 and 1 have none, as no trained model has
answered yet. Items that anybody was ever asked about are left out, answered or not: among them are random draws that
belong to the holdout, and what annotators passed over.

Letters: N items, C answers.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from activelora.campaign.campaign import Attempt
from activelora.campaign.labels import LabelSnapshot
from activelora.campaign.ledger import step_units
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot
from activelora.config.adapter import SelfTrainingConfig
from activelora.labeling.imports import imported
from activelora.pool.access import arrived_labels, read_pool


class PseudoLabel(NamedTuple):
    """What the last round's model was sure of.

    Attributes:
        item_id: The item.
        label: The index of its most probable answer.
        probability: That answer's, at the round's temperature.
    """

    item_id: str
    label: int
    probability: float


def pseudo_labels(seen: Snapshot, attempt: Attempt, snapshot: LabelSnapshot) -> list[PseudoLabel]:
    """Return the round's pseudo-labels by item id; none where the settings ask for none, or nothing was scored.

    Args:
        seen: What is there.
        attempt: Records that it reads scores, selections and the evaluation.
        snapshot: The labels.
    """
    settings, last = seen.config.training.self_training, attempt.unit.round - 1
    if settings is None or last < 1:
        return []
    evaluation = attempt.reads(seen.require(Unit("evaluate_adapter", last)))
    found = seen.campaign.read_json(evaluation, "evaluation.json")["temperature"]
    left_out = {*snapshot.labels, *imported(seen), *arrived_labels(seen, last).labels, *seen.deleted}
    for round_ in range(last + 1):
        selection = attempt.reads(seen.require(Unit("select_batch", round_)))
        left_out |= set(seen.table(selection, "selection.parquet")["item_id"].to_pylist())
    sure: list[PseudoLabel] = []
    for manifest in seen.require_all(step_units("score_pool", last, read_pool(seen, attempt, last).num_shards)):
        attempt.reads(manifest)
        table = seen.campaign.read_table(manifest, "scores.parquet")
        sure += sure_of(table, left_out, settings.confidence, 1.0 if found is None else found["value"])
    return most_probable(sure, settings)


def sure_of(table: pa.Table, left_out: Collection[str], confidence: float, temperature: float) -> list[PseudoLabel]:
    """Return the unlabelled items of a table of scores whose most probable answer is at least that probable.

    Args:
        table: Scores, with the columns ``item_id`` and ``mean_probs``, else nothing was scored; rows that are
            ``labeled`` are left out.
        left_out: Ids of items that are left out.
        confidence: The least probability.
        temperature: T: probabilities are taken to the power 1/T.
    """
    if "mean_probs" not in table.column_names or not len(table):
        return []
    probs_NC = scaled(np.array(table["mean_probs"].to_pylist(), dtype=np.float64), temperature)
    labels_N, highest_N = probs_NC.argmax(axis=1), probs_NC.max(axis=1)
    is_labeled = table["labeled"].to_pylist() if "labeled" in table.column_names else [False] * len(table)
    rows = zip(table["item_id"].to_pylist(), is_labeled, labels_N.tolist(), highest_N.tolist(), strict=True)
    return [
        PseudoLabel(item_id, label, probability)
        for item_id, has_label, label, probability in rows
        if probability >= confidence and not has_label and item_id not in left_out
    ]


def scaled(probs_NC: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return probabilities at a temperature: p^(1/T), which sum to 1 again. Answers that an item lacks stay at 0."""
    powers_NC: NDArray[np.float64] = (probs_NC / probs_NC.max(axis=1, keepdims=True)) ** (1.0 / temperature)
    powers_NC /= powers_NC.sum(axis=1, keepdims=True)
    return powers_NC


def most_probable(sure: Iterable[PseudoLabel], settings: SelfTrainingConfig) -> list[PseudoLabel]:
    """Return at most `per_label` of each label, the most probable, in the order of item ids."""
    taken, num_of = [], Counter[int]()
    for one in sorted(sure, key=lambda one: (-one.probability, one.item_id)):
        if num_of[one.label] < settings.per_label:
            num_of[one.label] += 1
            taken.append(one)
    return sorted(taken)


def digest_of(snapshot: LabelSnapshot, pseudo: Iterable[PseudoLabel]) -> str:
    """Return the digest of all that is learned from; the labels' own where there are no pseudo-labels."""
    learned = [[one.item_id, one.label] for one in pseudo]
    if not learned:
        return snapshot.digest
    return hashlib.sha256(json.dumps([snapshot.digest, learned]).encode()).hexdigest()


def details_of(pseudo: Collection[PseudoLabel], digest: str) -> dict[str, Any]:
    """Return what the manifest says of pseudo-labels: how many of each label, and the digest with them."""
    counts = Counter(one.label for one in pseudo)
    return {"num": len(pseudo), "by_label": {str(label): counts[label] for label in sorted(counts)}, "digest": digest}
