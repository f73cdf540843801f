"""select_batch: which items are worth asking people about?"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from activelora.acquisition import exploration
from activelora.acquisition.pool import scored_pool
from activelora.acquisition.registry import check_measures, own_settings, strategies_of
from activelora.acquisition.reliability import Halves
from activelora.acquisition.reliability import words as reliability_words
from activelora.acquisition.seed_set import acquisition_in, is_scored
from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.campaign.campaign import Attempt
from activelora.campaign.held_out import DRAW_SCHEMA, DRAWS
from activelora.campaign.history import SCORED, Scored
from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import (
    batch_size,
    is_known_round,
    label_manifests,
    num_known,
    planned_rounds,
    step_units,
)
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import SELECTION_SCHEMA
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.evaluation.exploration_check import PREDICTION_SCHEMA, PREDICTIONS
from activelora.kinds.registry import make_task
from activelora.labeling.imports import imported
from activelora.labeling.request import withheld_items
from activelora.pool.access import SHARDS, arrived_labels, read_pool
from activelora.registry import call
from components.select_batch.drift import ScoreDrift

logger = logging.getLogger(__name__)


def run(campaign: View, round_: int) -> Manifest:
    """Select the round's batch by the campaign's strategy and its exploration share.

    The result does not depend on the sharding of the pool or the order of the shards.

    Args:
        campaign: The campaign.
        round_: The round.

    Raises:
        ConfigError: There is no such strategy or measure.
        ModelError: A score is not a number.
    """
    unit, seen = Unit("select_batch", round_), snapshot_of(campaign)
    campaign = seen.campaign
    if done := campaign.manifest(unit):
        return done
    begin = time.monotonic()
    check_measures(campaign.config.acquisition)
    config = acquisition_in(campaign.config.acquisition, round_)
    strategy, *followers = strategies_of(config)
    check_measures(config)
    attempt = campaign.attempt(unit)
    scores = _Scores(seen, attempt, round_)
    pool = _unlabeled(seen, attempt, scores)
    context = SelectionContext(
        seed=campaign.seed("select_batch", round_),
        round=round_,
        num_rounds=planned_rounds(campaign),
        config=config,
        follower=followers[0] if followers else None,
        settings=own_settings(strategy, config),
    )
    is_known = is_known_round(seen, round_)
    picks = [] if is_known else exploration.select(strategy, pool, batch_size(seen, round_), context)
    attempt.write_table("selection.parquet", _selection(pool, picks))
    if strategy.needs_scores and pool.mean_probs_NC.shape[1] and not is_known:
        attempt.write_table(PREDICTIONS, _predictions(pool, picks))
    shards = scores.shards([pool.item_ids[pick.index] for pick in picks])
    if config.exploration > 0:
        attempt.write_table(DRAWS, _draws(pool, picks, [scores.parts.refresh_of(shard) for shard in shards]))
    details = {
        "strategy": strategy.name,
        "lambda": None,
        "num_exploration": exploration.num_exploration(len(picks), config.exploration),
        **({"num_known": num_known(seen)} if is_known else _details(strategy, context)),
        SCORED: Scored.of(scores.manifests).document(),
        SHARDS: shards,
    }
    seconds = time.monotonic() - begin
    metrics = {"num_selected": len(picks), "num_candidates": len(pool.item_ids), "seconds": seconds}
    num_samples = max((int(one.metrics.get("num_samples", 0)) for one in scores.manifests), default=0)
    reliability = {} if is_known else scores.halves.metrics(pool.item_ids, len(picks), num_samples, context.seed)
    if said := reliability_words(reliability):
        logger.info("%s", said)
    return attempt.commit({**metrics, **scores.drift.metrics(), **reliability}, details)


def _details(strategy: Strategy, context: SelectionContext) -> Mapping[str, object]:
    """Return what a strategy adds to the manifest, which is JSON."""
    details: Mapping[str, object] = call(strategy, "details", strategy.details, context, gives=Mapping)
    call(strategy, "details", lambda: json.dumps(dict(details)))
    return details


class _Scores:
    """The tables of one round's scores, one a shard, and which items they hold.

    Args:
        seen: What is there.
        attempt: Records that it reads them.
        round_: The round that scored.
    """

    def __init__(self, seen: Snapshot, attempt: Attempt, round_: int) -> None:
        self._campaign = seen.campaign
        self.drift = ScoreDrift()
        self.halves = Halves()
        self.parts = parts = read_pool(seen, attempt, attempt.unit.round)
        if parts.refreshes:
            attempt.reads(seen.require(Unit("evaluate_adapter", attempt.unit.round)))
        self.manifests = seen.require_all(step_units("score_pool", round_, parts.num_shards))
        for manifest in self.manifests:
            attempt.reads(manifest)
        self._ids: list[pa.ChunkedArray] = []

    def tables(self) -> Iterator[pa.Table]:
        """Yield each shard's table, read when it is asked for."""
        for shard, manifest in enumerate(self.manifests):
            table = self._campaign.read_table(manifest, "scores.parquet")
            self._ids.append(table["item_id"])
            self.halves.add(table)
            if self.parts.refreshes:
                self.drift.add(table, is_new=shard >= self.parts.num_first_shards)
            yield table

    def shards(self, item_ids: list[str]) -> list[int]:
        """Return the shard of each of some items, once the tables have been read."""
        wanted = pa.array(item_ids, type=pa.string())
        shard_of = {
            item_id: shard
            for shard, ids in enumerate(self._ids)
            for item_id in ids.filter(pc.is_in(ids, value_set=wanted)).to_pylist()
        }
        return [shard_of[item_id] for item_id in item_ids]


def _unlabeled(seen: Snapshot, attempt: Attempt, scores: _Scores) -> ScoredPool:
    """Return the items that have no label and that annotators may still be asked for."""
    campaign, round_ = seen.campaign, attempt.unit.round
    for manifest in label_manifests(seen, round_):
        attempt.reads(manifest)
    needs_scores = round_ > 0 and is_scored(campaign.config.acquisition, round_)
    base_tables = _Scores(seen, attempt, 0).tables() if needs_scores else None
    labels = label_snapshot(seen, round_).labels
    return scored_pool(
        scores.tables(),
        base_tables,
        excluded={
            *labels,
            *withheld_items(seen, round_),
            *imported(seen),
            *arrived_labels(seen, round_).labels,
            *seen.deleted,
        },
        label_names=make_task(campaign.config.task).label_names,
        memory_gb=campaign.config.acquisition.memory_gb,
        answers={item_id: label for item_id, label in labels.items() if isinstance(label, int)},
        centers=campaign.config.scoring.embedding != "prompt",
    )


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


def _draws(pool: ScoredPool, picks: list[Pick], refreshes: list[int]) -> pa.Table:
    """Return the random draws with their inclusion probability: n of N candidates, drawn before all other picks."""
    drawn = [
        (pick, refresh) for pick, refresh in zip(picks, refreshes, strict=True) if pick.reason == exploration.REASON
    ]
    num = len(pool.item_ids)
    rows = [
        {
            "item_id": pool.item_ids[pick.index],
            "refresh": refresh,
            "inclusion_probability": len(drawn) / num,
            "num_candidates": num,
        }
        for pick, refresh in drawn
    ]
    return pa.Table.from_pylist(rows, schema=DRAW_SCHEMA)


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
