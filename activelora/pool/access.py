"""What ``ingest_pool`` left in the campaign, for the steps after it.

Everything is checked against the manifest's digests. Gold labels of the pool lie in files of their own:
:func:`gold_labels` is the only way to them, and only the oracle label source may call it, and the measure
`oracle_nll`, which is refused without that source.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Item, Label, items_of, label_of
from activelora.campaign.tombstones import deleted_items
from activelora.errors import DataError

HOLDOUT = "holdout.parquet"
CALIBRATION = "calibration.parquet"


def items_name(shard: int) -> str:
    """Return the name of a shard's items in the manifest."""
    return f"pool/items-{shard:05d}.parquet"


def gold_name(shard: int) -> str:
    """Return the name of a shard's gold labels in the manifest."""
    return f"gold/labels-{shard:05d}.parquet"


def num_shards(campaign: Campaign) -> int:
    """Return how many shards the pool has."""
    return int(_manifest(campaign).details["num_shards"])


def shard_items(campaign: Campaign, shard: int) -> list[Item]:
    """Return the items of one pool shard, in their stored order, without those that were deleted."""
    deleted = deleted_items(campaign.store)
    items = items_of(campaign.read_table(_manifest(campaign), items_name(shard)))
    return [item for item in items if item.item_id not in deleted]


def find_items(campaign: Campaign, ids: Collection[str]) -> dict[str, Item]:
    """Return pool items by id, deleted ones without their text. One shard of text is held at a time.

    Raises:
        DataError: An id is not in the pool.
    """
    found: dict[str, Item] = {}
    for table in _rows_of(campaign, ids, items_name):
        found |= {item.item_id: item for item in items_of(table)}
    _refuse_unknown(campaign, ids, found)
    return found


def holdout(campaign: Campaign) -> tuple[list[Item], NDArray[np.int64]]:
    """Return the N holdout items, ordered by id, and labels_N; for labels of text use :func:`holdout_texts`."""
    return _labeled(campaign, HOLDOUT)


def holdout_texts(campaign: Campaign) -> tuple[list[Item], list[str]]:
    """Return the N holdout items, ordered by id, and their labels of text."""
    table = campaign.read_table(_manifest(campaign), HOLDOUT)
    return list(items_of(table)), [str(text) for text in table["text"].to_pylist()]


def calibration(campaign: Campaign) -> tuple[list[Item], NDArray[np.int64]]:
    """Return the N items of the calibration split, ordered by id, and labels_N; none if it was left out."""
    return _labeled(campaign, CALIBRATION)


def gold_labels(campaign: Campaign, ids: Collection[str]) -> dict[str, Label]:
    """Return the pool's own labels by id. For the oracle label source and the measure `oracle_nll` only.

    Raises:
        DataError: The pool brought no gold labels, or an id is not in the pool.
    """
    if not _manifest(campaign).details["has_gold"]:
        raise DataError(
            "the pool was taken in without gold labels",
            where=campaign.store.uri,
            remedy="Gold labels are kept only where `labeling.source` is `oracle`.",
        )
    found: dict[str, Label] = {}
    for table in _rows_of(campaign, ids, gold_name):
        found |= {row["item_id"]: label_of(row) for row in table.to_pylist()}
    _refuse_unknown(campaign, ids, found)
    return found


def _manifest(campaign: Campaign) -> Manifest:
    return campaign.require(Unit("ingest_pool"))


def _labeled(campaign: Campaign, name: str) -> tuple[list[Item], NDArray[np.int64]]:
    manifest = _manifest(campaign)
    if name not in manifest.files:
        return [], np.empty(0, dtype=np.int64)
    table = campaign.read_table(manifest, name)
    return list(items_of(table)), np.asarray(table["label"].to_numpy(), dtype=np.int64)


def _rows_of(campaign: Campaign, ids: Collection[str], name_of: Callable[[int], str]) -> Iterator[pa.Table]:
    """Yield the wanted rows of each shard's file, until all are found."""
    manifest = _manifest(campaign)
    wanted = pa.array(sorted(set(ids)), type=pa.string())
    num_left = len(wanted)
    for shard in range(int(manifest.details["num_shards"])):
        if num_left == 0:
            return
        table = campaign.read_table(manifest, name_of(shard))
        rows = table.filter(pc.is_in(table["item_id"], value_set=wanted))
        num_left -= len(rows)
        yield rows


def _refuse_unknown(campaign: Campaign, ids: Collection[str], found: Collection[str]) -> None:
    if unknown := sorted(set(ids).difference(found)):
        shown = ", ".join(unknown[:5])
        raise DataError(f"{len(unknown)} items are not in the pool: {shown}", where=campaign.store.uri)
