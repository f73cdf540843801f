"""Which items of a source measure the result, which scale its temperature, and which can be asked for."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Set
from typing import Any

from activelora.campaign.records import Label
from activelora.config import CampaignConfig
from activelora.errors import DataError
from activelora.pool import column_survey
from activelora.pool.census import Census
from activelora.pool.column_census import ColumnCensus
from activelora.pool.label_use import SourceName, source_of
from activelora.pool.split import draw, draw_first, nothing_left, stratified, too_few
from activelora.seeding import derive_seed
from activelora.tasks.task import Task

Ids = frozenset[str]


def split_items(
    config: CampaignConfig,
    task: Task,
    pool: Census | ColumnCensus,
    labeled: Census | ColumnCensus,
    known: Collection[str] = (),
) -> tuple[Set[str], Ids, Ids, int]:
    """Return the ids of pool, holdout and calibration, and how many items the pool lost to a given holdout.

    Args:
        config: The campaign's settings.
        task: Its task.
        pool: Census of the pool's source.
        labeled: Census of the source that holdout and calibration come from: the pool's, if none is given.
        known: Items that have a label in a column of their own, which ``limit`` leaves out last.

    Raises:
        DataError: There are too few items.
    """
    if isinstance(labeled, ColumnCensus):  # it is the pool's: a given holdout is read row by row
        return *column_survey.split_pool(config, labeled, known), 0
    if labeled is pool:
        return *_split_pool(config, task, labeled, known), 0
    holdout_ids, calibration_ids = _split_holdout(config, task, labeled)
    held_out = holdout_ids | calibration_ids
    if isinstance(pool, ColumnCensus):
        left, num_overlap = column_survey.without_overlap(config, pool, held_out, known)
        return left, holdout_ids, calibration_ids, num_overlap
    pool_ids, num_overlap = _without_overlap(config, pool, held_out, known)
    return pool_ids, holdout_ids, calibration_ids, num_overlap


def _limited(
    config: CampaignConfig, name: SourceName, census: Census, ids: Collection[str], known: Container[str] = ()
) -> Collection[str]:
    """Return as many items as the source's ``limit`` allows, drawn at random: those with a label before the others."""
    limit = source_of(config, name).limit
    if limit is None:
        return ids
    return draw_first(
        ids, limit, derive_seed(config.split_seed, "ingest_pool", "limit", name), known, census.labeled(ids)
    )


def _split_pool(config: CampaignConfig, task: Task, pool: Census, known: Container[str]) -> tuple[Ids, Ids, Ids]:
    """Return the ids of pool, holdout and calibration, the latter two drawn from the pool's labelled items."""
    data = config.data
    ids = _limited(config, "pool", pool, list(pool), known)
    labels = pool.labeled(ids)
    if config.known_labels == "holdout":
        return _hold_out_known(config, task, ids, labels)
    needed = data.holdout_size + data.calibration_size
    if needed > len(labels) or needed >= len(ids):
        raise too_few(config, len(ids), len(labels))
    holdout = _split_off(config, task, labels, data.holdout_size, "holdout")
    rest = {item_id: label for item_id, label in labels.items() if item_id not in holdout}
    calibration = _draw_calibration(config, task, rest)
    return frozenset(ids) - holdout - calibration, holdout, calibration


def _hold_out_known(
    config: CampaignConfig, task: Task, ids: Collection[str], labels: Mapping[str, Label]
) -> tuple[Ids, Ids, Ids]:
    """Return the ids of pool, holdout and calibration where all labelled items measure the result."""
    if config.data.calibration_size >= len(labels) or len(labels) >= len(ids):
        raise DataError(
            f"{len(labels)} of the pool's {len(ids)} different items have a label: as the holdout, with a calibration "
            f"split of {config.data.calibration_size}, they leave no holdout or no pool",
            where="data.known_labels: holdout",
            remedy="Give more rows with a label, or without one, or lower `data.calibration_size`.",
        )
    calibration = _draw_calibration(config, task, labels)
    held_out = frozenset(labels)
    return frozenset(ids) - held_out, held_out - calibration, calibration


def _split_holdout(config: CampaignConfig, task: Task, labeled: Census) -> tuple[Ids, Ids]:
    """Return the ids of holdout and calibration from the given holdout source."""
    labels = labeled.labeled(_limited(config, "holdout", labeled, list(labeled)))
    size = config.data.calibration_size
    if size >= len(labels):
        raise DataError(
            f"a calibration split of {size} leaves no holdout of its {len(labels)} different items",
            where=source_of(config, "holdout").path,
            remedy="Lower `data.calibration_size` or give more labelled rows.",
        )
    calibration = _draw_calibration(config, task, labels)
    return frozenset(labels) - calibration, calibration


def _draw_calibration(config: CampaignConfig, task: Task, labels: Mapping[str, Any]) -> Ids:
    return _split_off(config, task, labels, config.data.calibration_size, "calibration")


def _split_off(config: CampaignConfig, task: Task, labels: Mapping[str, Any], size: int, name: str) -> Ids:
    """Draw a split, stratified by label where labels are few: of nearly as many as items, none has a share."""
    seed = derive_seed(config.split_seed, "ingest_pool", name)
    if task.kind.draws_by_label:
        return stratified(labels, size, seed)
    return frozenset(draw(labels, size, seed))


def _without_overlap(config: CampaignConfig, pool: Census, held_out: Ids, known: Container[str]) -> tuple[Ids, int]:
    """Return the pool's ids without those of a given holdout, and how many were taken out."""
    left = [item_id for item_id in pool if item_id not in held_out]
    if not left:
        raise nothing_left(config, len(pool))
    return frozenset(_limited(config, "pool", pool, left, known)), len(pool) - len(left)
