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
from activelora.pool.access import find_items

if TYPE_CHECKING:
    from activelora.modeling.base import BaseModel
    from activelora.modeling.training import Example

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
    base, examples, snapshot = _examples(campaign, round_)
    losses = _train(campaign, round_, base, examples, attempt)
    metrics = {
        "num_labels": len(snapshot.labels),
        "num_steps": len(losses),
        "final_loss": losses[-1],
        "seconds": time.monotonic() - begin,
    }
    constraint = campaign.config.adapter.constraint.model_dump()
    return attempt.commit(metrics, {"label_digest": snapshot.digest, "constraint": constraint, "base_model": base.name})


def _examples(campaign: Campaign, round_: int) -> tuple[BaseModel, list[Example], LabelSnapshot]:
    from activelora.modeling.base import load_base
    from activelora.modeling.encoding import Encoder
    from activelora.modeling.training import example

    snapshot = label_snapshot(campaign, round_)
    if not snapshot.labels:
        raise DataError("no item has a label yet", where=f"{campaign.store.uri}, round {round_}")
    base = load_base(campaign.config.model)
    encoder = Encoder(base.tokenizer, campaign.config.task)
    found = find_items(campaign, list(snapshot.labels))
    items = [found[item_id] for item_id in sorted(snapshot.labels)]
    encoded, answers = encoder.encode_labelled(items, [snapshot.labels[item.item_id] for item in items])
    return base, [example(one, answer) for one, answer in zip(encoded, answers, strict=True)], snapshot


def _train(campaign: Campaign, round_: int, base: BaseModel, examples: list[Example], attempt: Attempt) -> list[float]:
    from activelora.modeling import lora
    from activelora.modeling.checkpoint import Checkpoints
    from activelora.modeling.training import Trainer

    config = campaign.config
    with tempfile.TemporaryDirectory() as scratch:
        warm = round_ > 1 and config.training.warm_start
        if warm:
            previous = attempt.reads(campaign.require(Unit("train_adapter", round_ - 1)))
            folder = campaign.download_folder(previous, "adapter", Path(scratch) / "previous")
            adapted = lora.load(base, folder, trainable=True)
        else:
            adapted = lora.attach(base, config.adapter, campaign.seed("adapter", round_))
        with lora.attached(adapted):
            seed = campaign.seed("train", round_)
            trainer = Trainer(base, adapted, examples, config.training, config.adapter.constraint, seed)
            checkpoints = Checkpoints(campaign.store, attempt, trainer)
            checkpoints.restore()
            losses = trainer.run(checkpoints.save)
            lora.save(adapted, Path(scratch) / "adapter")
        attempt.upload_folder("adapter", Path(scratch) / "adapter")
        attempt.write_json("loss.json", losses)
        checkpoints.remove()
    return losses
