"""select_batch: which items are worth asking people about?"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa

from activelora.acquisition import exploration
from activelora.acquisition.pool import scored_pool
from activelora.acquisition.registry import check_measures, get_strategy, own_settings, strategies_of
from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext
from activelora.campaign.campaign import Attempt, Campaign
from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import batch_size, label_manifests, planned_rounds
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import SELECTION_SCHEMA
from activelora.campaign.tombstones import deleted_items
from activelora.evaluation.exploration_check import PREDICTION_SCHEMA, PREDICTIONS
from activelora.kinds.registry import make_task
from activelora.labeling.request import withheld_items


def run(campaign: Campaign, round_: int) -> Manifest:
    """Select the round's batch by the campaign's strategy and its exploration share.

    The result does not depend on the sharding of the pool or the order of the shards.

    Args:
        campaign: The campaign.
        round_: The round.

    Raises:
        ConfigError: There is no such strategy or measure.
        ModelError: A score is not a number.
    """
    unit = Unit("select_batch", round_)
    if done := campaign.manifest(unit):
        return done
    begin = time.monotonic()
    config = campaign.config.acquisition
    strategy, *followers = strategies_of(config)
    check_measures(config)
    attempt = campaign.attempt(unit)
    pool = _unlabeled(attempt, round_)
    context = SelectionContext(
        seed=campaign.seed("select_batch", round_),
        round=round_,
        num_rounds=planned_rounds(campaign),
        config=config,
        follower=followers[0] if followers else None,
        settings=own_settings(strategy, config),
    )
    picks = exploration.select(strategy, pool, batch_size(campaign, round_), context)
    attempt.write_table("selection.parquet", _selection(pool, picks))
    if pool.mean_probs_NC.shape[1]:
        attempt.write_table(PREDICTIONS, _predictions(pool, picks))
    details = {
        "strategy": strategy.name,
        "lambda": None,
        "num_exploration": exploration.num_exploration(len(picks), config.exploration),
        **strategy.details(context),
    }
    seconds = time.monotonic() - begin
    metrics = {"num_selected": len(picks), "num_candidates": len(pool.item_ids), "seconds": seconds}
    return attempt.commit(metrics, details)


def _unlabeled(attempt: Attempt, round_: int) -> ScoredPool:
    """Return the items that have no label and that annotators may still be asked for."""
    campaign = attempt.campaign
    for manifest in label_manifests(campaign, round_):
        attempt.reads(manifest)
    num_shards = int(attempt.reads(campaign.require(Unit("ingest_pool"))).details["num_shards"])
    needs_scores = get_strategy(campaign.config.acquisition.strategy).needs_scores
    base_tables = _scores(attempt, 0, num_shards) if round_ > 0 and needs_scores else None
    return scored_pool(
        _scores(attempt, round_, num_shards),
        base_tables,
        excluded={
            *label_snapshot(campaign, round_).labels,
            *withheld_items(campaign, round_),
            *deleted_items(campaign.store),
        },
        label_names=make_task(campaign.config.task).label_names,
        memory_gb=campaign.config.acquisition.memory_gb,
    )


def _scores(attempt: Attempt, round_: int, num_shards: int) -> Iterator[pa.Table]:
    """Return the shards' tables, each read when it is asked for."""
    manifests = [attempt.reads(attempt.campaign.require(Unit("score_pool", round_, n))) for n in range(num_shards)]
    return (attempt.campaign.read_table(manifest, "scores.parquet") for manifest in manifests)


def _selection(pool: ScoredPool, picks: list[Pick]) -> pa.Table:
    rows = [
        {
            "item_id": pool.item_ids[pick.index],
            "position": position,
            "score": pick.score,
            "reason": pick.reason,
        }
        for position, pick in enumerate(picks)
    ]
    return pa.Table.from_pylist(rows, schema=SELECTION_SCHEMA)


def _predictions(pool: ScoredPool, picks: list[Pick]) -> pa.Table:
    """Return what the model thought of the batch: once it is labelled, that is checked."""
    rows = [
        {
            "item_id": pool.item_ids[pick.index],
            "explored": pick.reason == exploration.REASON,
            "probs": pool.mean_probs_NC[pick.index].tolist(),
        }
        for pick in picks
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA)
