"""train_adapter: a fresh adapter on all labels so far."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from activelora.campaign.campaign import Attempt, Campaign
from activelora.campaign.labels import LabelSnapshot, label_snapshot
from activelora.campaign.ledger import label_manifests
from activelora.campaign.manifest import Manifest, Unit
from activelora.errors import DataError
from activelora.modeling.methods.registry import get_method
from activelora.pool.access import find_items

if TYPE_CHECKING:
    from activelora.modeling.base import BaseModel
    from activelora.modeling.encoding import EncodedItem
    from activelora.modeling.posterior import Fit

logger = logging.getLogger(__name__)


def run(campaign: Campaign, round_: int) -> Manifest:
    """Train the round's adapter; a killed run goes on from its last checkpoint, with the same result.

    Args:
        campaign: The campaign.
        round_: The round, from 1.

    Raises:
        DataError: No item has a label.
    """
    unit = Unit("train_adapter", round_)
    if done := campaign.manifest(unit):
        return done
    begin = time.monotonic()
    attempt = campaign.attempt(unit)
    attempt.reads(campaign.require(Unit("ingest_pool")))
    for manifest in label_manifests(campaign, round_):
        attempt.reads(manifest)
    snapshot = label_snapshot(campaign, round_)
    if not snapshot.labels:
        raise DataError("no item has a label yet", where=f"{campaign.store.uri}, round {round_}")
    fit, base_name = _fit(attempt, snapshot)
    metrics = {
        "num_labels": len(snapshot.labels),
        "num_steps": len(fit.losses),
        "final_loss": fit.losses[-1],
        **fit.metrics,
        "seconds": time.monotonic() - begin,
    }
    config = campaign.config
    details = {
        "label_digest": snapshot.digest,
        "method": config.adapter.method,
        "constraint": config.adapter.constraint.model_dump(),
        "base_model": base_name,
        **fit.details,
    }
    return attempt.commit(metrics, details)


def _fit(attempt: Attempt, snapshot: LabelSnapshot) -> tuple[Fit, str]:
    from activelora.modeling.base import load_base
    from activelora.modeling.fitting import AttemptJob

    campaign, round_ = attempt.campaign, attempt.unit.round
    method = get_method(campaign.config.adapter.method)
    base = load_base(campaign.config.model)
    items, indices, weights = _encode(campaign, base, snapshot)
    with tempfile.TemporaryDirectory() as scratch:
        previous = None
        if round_ > 1 and campaign.config.training.warm_start:
            manifest = attempt.reads(campaign.require(Unit("train_adapter", round_ - 1)))
            previous = campaign.download_folder(manifest, "adapter", Path(scratch) / "previous")
        job = AttemptJob(attempt, base, items, indices, weights, Path(scratch) / "adapter", previous)
        fit = method.implement().fit(job)
        attempt.upload_folder("adapter", job.folder)
        attempt.write_json("loss.json", fit.losses)
        job.forget()
    return fit, base.name


def _encode(
    campaign: Campaign, base: BaseModel, snapshot: LabelSnapshot
) -> tuple[list[EncodedItem], list[int], list[float]]:
    """Return what is to be learned, sorted by item id: questions as token ids, answers, and how much each counts."""
    from activelora.modeling.encoding import Encoder

    found = find_items(campaign, list(snapshot.labels))
    encoder = Encoder(base.tokenizer, campaign.config.task)
    soft = campaign.config.training.soft_labels
    lessons = [
        (found[item_id], label, share)
        for item_id in sorted(snapshot.labels)
        for label, share in (snapshot.shares[item_id] if soft else {snapshot.labels[item_id]: 1.0}).items()
    ]
    items, indices = encoder.encode_labelled([item for item, _, _ in lessons], [label for _, label, _ in lessons])
    return items, indices, [share for _, _, share in lessons for _ in range(encoder.rows_per_item)]
