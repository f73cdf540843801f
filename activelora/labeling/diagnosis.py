"""Which labels of a campaign are probably wrong, by its own model's out-of-sample probabilities."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from activelora import __version__
from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import label_records, resolve_for
from activelora.campaign.records import Item, table_bytes, table_from
from activelora.campaign.snapshot import Snapshot
from activelora.errors import ConfigError, DataError
from activelora.kinds.registry import get_kind, make_task
from activelora.labeling.redaction import shown_fields, shown_source_id
from activelora.labeling.request import Request
from activelora.labeling.worksheet import to_label_csv
from activelora.pool.access import find_items
from activelora.progress import track
from activelora.registry import call
from activelora.seeding import item_draw
from activelora.tasks.task import LABELS_OR_NONE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from activelora.uncertainty.label_quality import LabelQuality

logger = logging.getLogger(__name__)
MIN_FOLDS = 2
MAX_TEXT = 200
"""Characters of an item's text in a suspect's row; the whole text is in the worksheet."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found, and where it was written.

    Attributes:
        document: The content of the JSON file.
        key: Key of the JSON file.
        worksheet_key: Key of the worksheet with the suspects that nobody has looked at twice.
    """

    document: dict[str, Any]
    key: str
    worksheet_key: str


def diagnose(campaign: Campaign, before_round: int, num_folds: int) -> Diagnosis:
    """Rank the labels that a round trains on by how probably they are wrong, and write a worksheet of suspects.

    K adapters are trained, each without one fold of the labels, which it then predicts; confident learning compares
    the predictions with the labels. A fold's probabilities are written when it is done, so a killed run goes on there.
    Only doubts that the model has earned count: see :func:`activelora.uncertainty.label_quality.earned_doubts`.

    Args:
        campaign: The campaign.
        before_round: Labels that earlier rounds brought.
        num_folds: K.

    Raises:
        ConfigError: The task has no fixed labels.
        DataError: There are too few labels.
    """
    task = campaign.config.task
    kind = get_kind(task.kind)
    if call(kind, "fixed_labels", kind.fixed_labels, task, gives=LABELS_OR_NONE) is None:
        raise ConfigError(
            f"labels of a {task.kind} task cannot be diagnosed: each label is compared with others of its name",
            where="task.kind",
        )
    seen = Snapshot(campaign)
    rounds = label_records(seen, before_round)
    snapshot = resolve_for(campaign.config.labeling, rounds)
    labels = {item_id: int(label) for item_id, label in snapshot.labels.items()}  # fixed labels are numbers
    if num_folds < MIN_FOLDS or len(labels) < num_folds:
        raise DataError(
            f"{len(labels)} labels cannot be split into {num_folds} folds",
            where=f"{campaign.store.uri}, labels that round {before_round} trains on",
            remedy=f"Use from {MIN_FOLDS} to as many folds as there are labels.",
        )
    items = find_items(seen, list(labels))
    folds = assign_folds(labels, num_folds, campaign.seed("diagnose"))
    folder = f"diagnostics/round-{before_round:04d}"
    identity = json.dumps([snapshot.digest, num_folds, __version__]).encode()
    cache = f"{folder}/folds-{hashlib.sha256(identity).hexdigest()[:12]}"
    probs = _cross_validated(campaign, labels, items, folds, cache)

    from activelora.uncertainty.label_quality import assess_labels, earned_doubts

    labels_N = np.array(list(labels.values()), dtype=np.int64)
    probs_NC = np.stack([probs[item_id] for item_id in labels])
    quality = assess_labels(labels_N, probs_NC)
    trusted_N = quality.suspect_N & earned_doubts(labels_N, probs_NC)
    num_doubted = int(quality.suspect_N.sum())
    quality = replace(quality, suspect_N=trusted_N)
    times = Counter(item_id for records in rounds for item_id in {record["item_id"] for record in records})
    document = _document(campaign, items, labels, quality, probs, times)
    document |= {"round": before_round, "num_folds": num_folds, "label_digest": snapshot.digest}
    document |= {"num_not_believed": num_doubted - len(document["suspects"])}
    key, worksheet_key = f"{folder}.json", f"{folder}/to_relabel.csv"
    campaign.store.write(worksheet_key, _worksheet(campaign, before_round, items, document))
    campaign.store.write(key, json.dumps(document, indent=1, ensure_ascii=False).encode())
    return Diagnosis(document, key, worksheet_key)


def assign_folds(labels: Mapping[str, int], num_folds: int, seed: int) -> list[list[str]]:
    """Deal the items into folds of like sizes and like shares of each label, at random.

    Args:
        labels: Item id → label.
        num_folds: K.
        seed: Seed of the draw; the order of the items does not matter.
    """
    by_label: dict[int, list[str]] = defaultdict(list)
    for item_id in sorted(labels, key=lambda item_id: item_draw(seed, item_id)):
        by_label[labels[item_id]].append(item_id)
    dealt = [item_id for label in sorted(by_label) for item_id in by_label[label]]
    return [sorted(dealt[fold::num_folds]) for fold in range(num_folds)]


def _cross_validated(
    campaign: Campaign, labels: Mapping[str, int], items: Mapping[str, Item], folds: list[list[str]], cache: str
) -> dict[str, NDArray[np.float64]]:
    """Return probs_C of every item from the fold that it was held out of."""
    probs: dict[str, NDArray[np.float64]] = {}
    for number, held_out in enumerate(track(folds, "cross-validating the labels", len(folds))):
        key = f"{cache}/fold-{number:02d}.parquet"
        if not campaign.store.exists(key):
            from activelora.scoring.cross_validation import held_out_log_probs

            log_probs_NC = held_out_log_probs(campaign, labels, items, held_out, f"diagnose-{len(folds)}-{number}")
            rows = {"item_id": held_out, "probs": np.exp(log_probs_NC).tolist()}
            campaign.store.write(key, table_bytes(pa.table(rows)))
            logger.info("fold %d of %d is predicted", number + 1, len(folds))
        table = table_from(campaign.store.read(key))
        probs |= {row["item_id"]: np.array(row["probs"]) for row in table.to_pylist()}
    return probs


def _document(
    campaign: Campaign,
    items: Mapping[str, Item],
    labels: Mapping[str, int],
    quality: LabelQuality,
    probs: Mapping[str, NDArray[np.float64]],
    times: Mapping[str, int],
) -> dict[str, Any]:
    names, ids, labeling = make_task(campaign.config.task).label_names, list(labels), campaign.config.labeling
    suspects = []
    for index in quality.ranking.tolist():
        item_id, predicted = ids[index], int(quality.predicted_N[index])
        suspects.append(
            {
                "item_id": item_id,
                "source_id": shown_source_id(labeling, items[item_id]),
                "text": " · ".join(shown_fields(labeling, items[item_id]).values())[:MAX_TEXT],
                "label": names[labels[item_id]],
                "model_label": names[predicted],
                "self_confidence": float(quality.self_confidence_N[index]),
                "model_confidence": float(probs[item_id][predicted]),
                "times_labeled": times[item_id],
            }
        )
    agree = float(np.mean(quality.predicted_N == np.array(list(labels.values()))))
    return {
        "num_labels": len(ids),
        "label_names": list(names),
        "error_rate": quality.error_rate,
        "agreement": agree,
        "most_frequent": max(Counter(labels.values()).values()) / len(ids),
        "confusion": [[None if math.isnan(value) else value for value in row] for row in quality.confusion.tolist()],
        "suspects": suspects,
    }


def _worksheet(campaign: Campaign, round_: int, items: Mapping[str, Item], document: dict[str, Any]) -> bytes:
    """Return the suspects that were labelled once as a worksheet; it shows no answer, for people follow what they see.

    What was relabelled already stays out: people have decided, and the model may be wrong.
    """
    chosen = [suspect["item_id"] for suspect in document["suspects"] if suspect["times_labeled"] == 1]
    reasons = {item_id: f"a second look, {number} of {len(chosen)}" for number, item_id in enumerate(chosen, 1)}
    return to_label_csv(Request(campaign, round_, make_task(campaign.config.task), reasons, {}, {}, items))
