"""score_pool: how uncertain is the model about each item of a pool shard?"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.registry import get_strategy
from activelora.campaign.campaign import Attempt, Campaign
from activelora.campaign.labels import label_snapshot
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Item
from activelora.pool.access import shard_items
from activelora.scoring.table import score_table, unscored_table
from activelora.uncertainty.label_prior import correct


def run(campaign: Campaign, round_: int, shard: int) -> Manifest:
    """Score the unlabelled items of one shard with the round's model.

    Round 0 is the base model: its scores are STAR's base uncertainty in every later round.

    Args:
        campaign: The campaign.
        round_: The round.
        shard: The pool shard.
    """
    unit = Unit("score_pool", round_, shard)
    if done := campaign.manifest(unit):
        return done
    begin = time.monotonic()
    attempt = campaign.attempt(unit)
    attempt.reads(campaign.require(Unit("ingest_pool")))
    labeled = label_snapshot(campaign, round_).labels
    items = [item for item in shard_items(campaign, shard) if item.item_id not in labeled]
    item_ids = [item.item_id for item in items]
    num_samples = 0
    if items and get_strategy(campaign.config.acquisition.strategy).needs_scores:
        num_samples = 1 if round_ == 0 else campaign.config.scoring.num_samples
        log_probs_NKC = _predict(campaign, round_, items, attempt)
        attempt.write_table("scores.parquet", score_table(item_ids, log_probs_NKC))
    else:
        attempt.write_table("scores.parquet", unscored_table(item_ids))
    seconds = time.monotonic() - begin
    return attempt.commit({"num_scored": len(items), "num_samples": num_samples, "seconds": seconds})


def _predict(campaign: Campaign, round_: int, items: list[Item], attempt: Attempt) -> NDArray[np.float64]:
    from activelora.scoring.predict import Predictor

    if round_ > 0:
        attempt.reads(campaign.require(Unit("train_adapter", round_)))
    evaluation = attempt.reads(campaign.require(Unit("evaluate_adapter", round_)))
    prior = campaign.read_json(evaluation, "evaluation.json")["label_prior"]
    num_samples = 0 if round_ == 0 else campaign.config.scoring.num_samples
    with Predictor.load(campaign, round_) as predictor:
        log_probs_NKC = predictor.log_probs(items, num_samples, "scoring the pool")
    return log_probs_NKC if prior is None else correct(log_probs_NKC, np.array(prior))
