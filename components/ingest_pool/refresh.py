"""A refresh of the pool: take in what is new in its source since it was last looked at."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from activelora.campaign.campaign import Attempt
from activelora.campaign.ledger import num_collected
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.refreshes import ROUND, PoolParts, pool_now
from activelora.campaign.snapshot import Snapshot
from activelora.errors import DataError
from activelora.evaluation.drift import TwoSample
from activelora.evaluation.holdout_check import DRIFT
from activelora.kinds.registry import make_task
from activelora.pool import access
from activelora.pool.arrivals import FILES, GONE, Arrivals, look
from activelora.pool.growth import PROBLEMS
from activelora.pool.refresh import Refresh, find_refresh, still_as
from activelora.pool.tables import gold_table

MAX_TRIES = 5
logger = logging.getLogger(__name__)


def refresh(seen: Snapshot, number: int) -> Manifest:
    """Do a refresh, unless it is done.

    Args:
        seen: The campaign.
        number: Number of the refresh, from 1.

    Raises:
        ConfigError: The pool's source has no files.
        DataError: Its files keep changing while they are read.
        StoreError: The refresh before it is not done.
    """
    unit, campaign = Unit("ingest_pool", number), seen.campaign
    if done := campaign.manifest(unit):
        return done
    parts = PoolParts(tuple(campaign.require(Unit("ingest_pool", before)) for before in range(number)))
    for _ in range(MAX_TRIES):
        arrivals = look(campaign.config, parts.manifests)
        if manifest := _take(seen, campaign.attempt(unit), parts, arrivals):
            return manifest
    raise DataError(
        "the data keep changing while they are read",
        where=campaign.config.data.pool.path,
        remedy="Write a file under another name, and rename it when it is whole.",
    )


def is_anything_new(seen: Snapshot) -> bool:
    """Tell whether a refresh would find new, changed or vanished files."""
    arrivals = look(seen.config, pool_now(seen).manifests)
    return bool(arrivals.files or arrivals.gone)


def _take(seen: Snapshot, attempt: Attempt, parts: PoolParts, arrivals: Arrivals) -> Manifest | None:
    """Take in what has arrived; None if it changed meanwhile."""
    config, task = seen.config, make_task(seen.config.task)
    for manifest in parts.manifests:
        attempt.reads(manifest)
    found = find_refresh(seen, parts, task, arrivals)
    shard = first_shard = parts.num_shards
    try:
        for table in found.tables(config, task):
            attempt.write_table(access.items_name(shard), table)
            if parts.manifests[0].details["has_gold"]:
                labels = {item_id: found.labels[item_id] for item_id in table["item_id"].to_pylist()}
                attempt.write_table(access.gold_name(shard), gold_table(labels))
            shard += 1
        if found.known:
            attempt.write_table(access.KNOWN, found.known.table())
        is_whole = still_as(config, found, arrivals.versions)
    except KeyError:
        is_whole = False
    if not is_whole:
        _drop(attempt)
        return None
    for problem in found.newcomers.problems:
        logger.warning("not taken into the pool: %s", problem)
    notes = [*arrivals.notes, *found.newcomers.notes, *_lost(found, config.data.pool.limit)]
    for note in notes:
        logger.warning("%s", note)
    return attempt.commit(
        {**_metrics(parts, found), **({"num_known": float(len(found.known))} if found.known else {})},
        {
            ROUND: num_collected(seen),
            "first_shard": first_shard,
            "num_shards": shard - first_shard,
            FILES: {name: arrivals.versions[name] for name in found.files},
            GONE: list(arrivals.gone),
            PROBLEMS: found.newcomers.problems,
            "warnings": notes,
            DRIFT: _drift(parts, found),
        },
    )


def _lost(found: Refresh, limit: int | None) -> Iterator[str]:
    if found.num_lost:
        num = found.num_lost + len(found.known)
        yield f"data.pool.limit: {limit} leaves out {found.num_lost:,} of {num:,} new labelled items; raise it"


def _drop(attempt: Attempt) -> None:
    """Remove what an attempt has written."""
    for entry in attempt.files.values():
        attempt.campaign.store.delete(entry.key)


def _metrics(parts: PoolParts, found: Refresh) -> dict[str, float]:
    counts = {
        "num_new": len(found.ids),
        "num_pool": parts.num_items + len(found.ids),
        "num_rows": found.newcomers.num_rows,
        "num_duplicates": found.newcomers.num_rows - len(found.ids) - found.num_left_out,
        "num_left_out": found.num_left_out,
        "num_vanished": found.num_vanished,
        "num_files": len(found.files),
    }
    return {name: float(count) for name, count in counts.items()}


def _drift(parts: PoolParts, found: Refresh) -> dict[str, Any] | None:
    """Return how the items that came later differ; what the refresh before it said, where there is nothing new."""
    if found.drift is None:
        return parts.refreshes[-1].details[DRIFT] if parts.refreshes else None
    first = int(parts.manifests[0].metrics["num_pool"])
    share = 1.0 - first / (parts.num_items + len(found.ids))
    return drift_document(share, found.drift)


def drift_document(share: float, compared: TwoSample) -> dict[str, Any]:
    """Return a comparison ready for JSON.

    Args:
        share: Share of the pool that came later.
        compared: How its texts differ.
    """
    return {
        "share": share,
        "text_distance": compared.distance,
        "auc": compared.auc,
        "p_value": compared.p_value,
        "num_old": compared.num_old,
        "num_new": compared.num_new,
    }
