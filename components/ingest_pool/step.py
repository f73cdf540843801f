"""ingest_pool: take pool, holdout and calibration split into the campaign, once; and what comes to the pool later."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from activelora.campaign.campaign import Attempt
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Item
from activelora.campaign.snapshot import View, snapshot_of
from activelora.config import CampaignConfig
from activelora.kinds.registry import make_task
from activelora.pool import access
from activelora.pool.arrivals import FILES, first_versions
from activelora.pool.column_census import IdSet
from activelora.pool.column_survey import LEAST_BYTES, shards
from activelora.pool.label_use import label_use
from activelora.pool.source_digests import Digests, source_digests
from activelora.pool.survey import Survey, stream_items, survey_data
from activelora.pool.tables import gold_table, item_table, labeled_table
from activelora.tasks.task import Task
from components.ingest_pool.refresh import refresh

logger = logging.getLogger(__name__)


def run(campaign: View, columnar_bytes: int = LEAST_BYTES, *, number: int = 0) -> Manifest:
    """Read all data once to check it and draw the splits, then again to write it, a shard at a time.

    Args:
        campaign: The campaign.
        columnar_bytes: Size of a pool, in bytes, from which on it is read by columns, with the same result.
        number: Number of the refresh; 0 is the first reading. A refresh takes in what is new in the pool's source.
    """
    if number > 0:
        return refresh(snapshot_of(campaign), number)
    unit, campaign = Unit("ingest_pool"), snapshot_of(campaign).campaign
    if done := campaign.manifest(unit):
        return done
    config = campaign.config
    task = make_task(config.task)
    files, digests = _files(config)
    survey = survey_data(config, task, columnar_bytes)
    for warning in survey.warnings:
        logger.warning("%s", warning)

    attempt = campaign.attempt(unit)
    num_shards, held_out = _write_pool(attempt, config, task, survey)
    if config.data.holdout is not None:
        ids = survey.holdout_ids | survey.calibration_ids
        held_out = list(stream_items(config, task, "holdout", ids, survey.labeled.num_rows))
    _write_labeled(attempt, access.HOLDOUT, held_out, survey.holdout_ids, survey)
    if survey.calibration_ids:
        _write_labeled(attempt, access.CALIBRATION, held_out, survey.calibration_ids, survey)
    if survey.known:
        attempt.write_table(access.KNOWN, survey.known.table())
    return attempt.commit(
        metrics=_metrics(survey),
        details={
            "num_shards": num_shards,
            "has_gold": _keeps_gold(config),
            "holdout_labels": task.label_counts(survey.labeled.label_counts(survey.holdout_ids)),
            "calibration_labels": task.label_counts(survey.labeled.label_counts(survey.calibration_ids)),
            **({"known_labels": task.label_counts(survey.known.counts())} if survey.known else {}),
            "warnings": list(survey.warnings),
            **files,
            "sources": source_digests(config, digests),
        },
    )


def _files(config: CampaignConfig) -> tuple[dict[str, Any], Digests]:
    """Return the versions of the pool's files, before they are read, where later refreshes will ask for them.

    And the digests that were read for them.
    """
    if config.data.pool.refresh == "never":
        return {}, {}
    versions, digests = first_versions(config)
    return {FILES: versions}, digests


def _write_pool(attempt: Attempt, config: CampaignConfig, task: Task, survey: Survey) -> tuple[int, list[Item]]:
    """Write the pool's shards. Return their number, and the items on the way that were drawn for the splits."""
    held_out: list[Item] = []
    shard = 0
    for shard, (items, gold) in enumerate(_shards(config, task, survey, held_out), 1):
        attempt.write_table(access.items_name(shard - 1), items)
        if _keeps_gold(config):
            attempt.write_table(access.gold_name(shard - 1), gold)
    return shard, held_out


def _shards(
    config: CampaignConfig, task: Task, survey: Survey, held_out: list[Item]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    ids = survey.pool_ids
    if isinstance(ids, IdSet):
        drawn = survey.holdout_ids | survey.calibration_ids if survey.labeled is survey.pool else frozenset[str]()
        yield from shards(config, task, label_use(config, "pool"), ids, drawn, held_out)
        return
    if survey.labeled is survey.pool:
        ids = ids | survey.holdout_ids | survey.calibration_ids
    pool = _pool_items(stream_items(config, task, "pool", ids, survey.pool.num_rows), survey, held_out)
    while items := list(islice(pool, config.data.shard_rows)):
        yield item_table(items), gold_table(survey.pool.labeled(item.item_id for item in items))


def _pool_items(items: Iterable[Item], survey: Survey, held_out: list[Item]) -> Iterator[Item]:
    for item in items:
        if item.item_id in survey.pool_ids:
            yield item
        else:
            held_out.append(item)


def _write_labeled(attempt: Attempt, name: str, items: list[Item], ids: frozenset[str], survey: Survey) -> None:
    chosen = sorted((item for item in items if item.item_id in ids), key=lambda item: item.item_id)
    attempt.write_table(name, labeled_table(chosen, survey.labeled.labeled(ids)))


def _keeps_gold(config: CampaignConfig) -> bool:
    """Tell whether the pool's labels are kept: only where the oracle answers with them."""
    return config.labeling.source == "oracle"


def _metrics(survey: Survey) -> dict[str, float]:
    counts = {
        "num_pool": len(survey.pool_ids),
        "num_holdout": len(survey.holdout_ids),
        "num_calibration": len(survey.calibration_ids),
        "num_rows": survey.pool.num_rows,
        "num_duplicates": survey.num_duplicates,
        "num_overlap": survey.num_overlap,
        "num_left_out": survey.num_left_out,
        **({"num_known": len(survey.known)} if survey.known else {}),
    }
    return {name: float(count) for name, count in counts.items()}
