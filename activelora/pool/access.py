"""What ``ingest_pool`` left in the campaign, for the steps after it.

Everything is checked against the manifest's digests. Gold labels of the pool lie in files of their own:
:func:`gold_labels` is the only way to them, and only the oracle label source may call it, and the measure
`oracle_nll`, which is refused without that source.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from activelora.campaign.campaign import Attempt, Campaign
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Item, Label, items_of, label_of
from activelora.campaign.refreshes import PoolParts, pool_now, pool_of
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.campaign.tombstones import deleted_items
from activelora.errors import DataError
from activelora.pool.known_labels import KnownLabels, known_of, merged
from activelora.quantities import quantity

SHARDS = "shards"
"""The detail of select_batch with the pool shard of each selected item, by position; earlier versions had none."""
HOLDOUT = "holdout.parquet"
CALIBRATION = "calibration.parquet"
KNOWN = "gold/known.parquet"
"""Labels that items of the pool had before anybody was asked, where they are to be trained on."""


def items_name(shard: int) -> str:
    """Return the name of a shard's items in the manifest."""
    return f"pool/items-{shard:05d}.parquet"


def gold_name(shard: int) -> str:
    """Return the name of a shard's gold labels in the manifest."""
    return f"gold/labels-{shard:05d}.parquet"


def num_shards(campaign: View) -> int:
    """Return how many shards the pool has now, those of its refreshes included."""
    return pool_now(campaign).num_shards


def shard_items(campaign: View, shard: int, parts: PoolParts | None = None) -> list[Item]:
    """Return the items of one pool shard, in their stored order, without those that were deleted.

    Args:
        campaign: The campaign.
        shard: Number of the shard.
        parts: The pool that it is of; None looks which there is.
    """
    seen = snapshot_of(campaign)
    deleted = deleted_items(seen.store)
    manifest = (parts or pool_now(seen)).manifest_of(shard)
    items = items_of(seen.campaign.read_table(manifest, items_name(shard)))
    return [item for item in items if item.item_id not in deleted]


def read_pool(campaign: View, attempt: Attempt, round_: int) -> PoolParts:
    """Return the pool that a round sees, and record that an attempt reads it: see :func:`pool_of`."""
    parts = pool_of(campaign, round_)
    for manifest in parts.manifests:
        attempt.reads(manifest)
    return parts


def present_items(campaign: View, ids: Collection[str]) -> dict[str, Item]:
    """Return those of the items that are in the pool, as :func:`find_items` does."""
    found: dict[str, Item] = {}
    for table in _rows_of(snapshot_of(campaign), ids, items_name):
        found |= {item.item_id: item for item in items_of(table)}
    return found


def items_by_own_id(campaign: View, own_ids: Collection[str]) -> dict[str, Item]:
    """Return pool items by the user's own ids, as far as there are any. All shards are read."""
    seen, wanted = snapshot_of(campaign), pa.array(sorted(own_ids), type=pa.string())
    if not len(wanted):
        return {}
    parts, found = pool_now(seen), dict[str, Item]()
    for shard in range(parts.num_shards):
        table = seen.campaign.read_table(parts.manifest_of(shard), items_name(shard))
        rows = items_of(table.filter(pc.is_in(table["source_id"], value_set=wanted)))
        found |= {str(item.source_id): item for item in rows}
    return found


def find_items(campaign: View, ids: Collection[str]) -> dict[str, Item]:
    """Return pool items by id, deleted ones without their text. One shard of text is held at a time.

    Shards are read that hold an item which a round has asked for; all, only for other items.

    Raises:
        DataError: An id is not in the pool.
    """
    found = present_items(campaign, ids)
    _refuse_unknown(campaign, ids, found)
    return found


class PoolItems(Mapping[str, Item]):
    """Items of the pool by id, as :func:`find_items` finds them: read when one is asked for, a shard at a time.

    Threads may share it.

    Args:
        campaign: The campaign.
        ids: The items.
        found: Further items, which were read before.
    """

    def __init__(self, campaign: View, ids: Iterable[str], found: Mapping[str, Item]) -> None:
        self._seen = snapshot_of(campaign)
        self._ids = dict.fromkeys((*ids, *found))
        self._found = dict(found)
        self._reading = threading.Lock()

    def __getitem__(self, item_id: str) -> Item:
        """Return an item; with it, those of its shard are read.

        Raises:
            KeyError: It is none of the items.
            DataError: It is not in the pool.
        """
        if item_id not in self._ids:
            raise KeyError(item_id)
        with self._reading:
            if item_id not in self._found:
                self._found |= find_items(self._seen, self._beside[self._shards.get(item_id)])
            return self._found[item_id]

    @cached_property
    def _shards(self) -> Mapping[str, int]:
        return asked_shards(self._seen)

    @cached_property
    def _beside(self) -> Mapping[int | None, list[str]]:
        """The items by their shards; under None, those whose shard no selection names."""
        beside = defaultdict[int | None, list[str]](list)
        for item_id in self._ids:
            if item_id not in self._found:
                beside[self._shards.get(item_id)].append(item_id)
        return beside

    def __contains__(self, item_id: object) -> bool:
        """Tell whether it is one of the items; reads nothing."""
        return item_id in self._ids

    def __iter__(self) -> Iterator[str]:
        """Yield the ids."""
        return iter(self._ids)

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self._ids)


def asked_shards(seen: Snapshot) -> Mapping[str, int]:
    """Return the pool shard of each item that a round has asked for, as far as the selections name it."""
    return seen.once("asked shards", lambda: _asked_shards(seen))


def _asked_shards(seen: Snapshot) -> Mapping[str, int]:
    shards: dict[str, int] = {}
    for unit in sorted(unit for unit in seen.done if unit.step == "select_batch"):
        manifest = seen.require(unit)
        if SHARDS in manifest.details:
            item_ids = seen.table(manifest, "selection.parquet").sort_by("position")["item_id"].to_pylist()
            shards |= zip(item_ids, manifest.details[SHARDS], strict=True)
    return shards


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


def gold_labels(campaign: View, ids: Collection[str], shard: int | None = None) -> dict[str, Label]:
    """Return the pool's own labels by id. For the oracle label source and the measure `oracle_nll` only.

    Args:
        campaign: The campaign.
        ids: The items.
        shard: The pool shard that holds all of them, where it is known.

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
    for table in _rows_of(snapshot_of(campaign), ids, gold_name, shard):
        found |= {row["item_id"]: label_of(row) for row in table.to_pylist()}
    _refuse_unknown(campaign, ids, found)
    return found


def known_labels(campaign: View) -> KnownLabels:
    """Return the labels that pool items had before anybody was asked, without deleted items.

    Other than gold labels they are no secret: they are trained on.
    """
    seen = snapshot_of(campaign)
    return _known_in(seen, _manifest(seen))


def arrived_labels(campaign: View, round_: int) -> KnownLabels:
    """Return the labels that items had which refreshes brought, of those refreshes that a round is the first to see.

    By refresh and item id, without deleted items. They become labels with those that the round asks for.

    Args:
        campaign: The campaign.
        round_: The round, which has been evaluated.
    """
    seen = snapshot_of(campaign)
    num_before = len(pool_of(seen, round_ - 1).refreshes) if round_ else 0
    return merged(_known_in(seen, manifest) for manifest in pool_of(seen, round_).refreshes[num_before:])


def _known_in(seen: Snapshot, manifest: Manifest) -> KnownLabels:
    if KNOWN not in manifest.files:
        return KnownLabels()
    return known_of(seen.campaign.read_table(manifest, KNOWN)).without(seen.deleted)


def _manifest(campaign: View) -> Manifest:
    return campaign.require(Unit("ingest_pool"))


def _labeled(campaign: Campaign, name: str) -> tuple[list[Item], NDArray[np.int64]]:
    manifest = _manifest(campaign)
    if name not in manifest.files:
        return [], np.empty(0, dtype=np.int64)
    table = campaign.read_table(manifest, name)
    return list(items_of(table)), np.asarray(table["label"].to_numpy(), dtype=np.int64)


def _rows_of(
    seen: Snapshot, ids: Collection[str], name_of: Callable[[int], str], shard: int | None = None
) -> Iterator[pa.Table]:
    """Yield the wanted rows of each shard's file, until all are found: first of the shards that are known to have some.

    What a selection says of shards is believed only as far as the rows are found there.
    """
    wanted = pa.array(sorted(set(ids)), type=pa.string())
    num_left = len(wanted)
    if num_left == 0:
        return
    parts = pool_now(seen)
    known = asked_shards(seen) if shard is None else dict.fromkeys(ids, shard)
    first = sorted({known[item_id] for item_id in ids if item_id in known})
    others = (number for number in range(parts.num_shards) if number not in first)
    for number in chain(first, others):
        if num_left == 0:
            return
        table = seen.campaign.read_table(parts.manifest_of(number), name_of(number))
        rows = table.filter(pc.is_in(table["item_id"], value_set=wanted))
        num_left -= len(rows)
        yield rows


def _refuse_unknown(campaign: View, ids: Collection[str], found: Collection[str]) -> None:
    if unknown := sorted(set(ids).difference(found)):
        shown = ", ".join(unknown[:5])
        raise DataError(
            f"{quantity(len(unknown), 'item is', 'items are')} not in the pool: {shown}", where=campaign.store.uri
        )
