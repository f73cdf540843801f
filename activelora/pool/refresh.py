"""What a refresh of the pool brings: rows that are nowhere yet, counts of the others, and how the new ones differ.

A refresh is a function of the files that it took and of the manifests before it. The order in which files came plays no
part: items are those of all new files together, ordered by their ids.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from activelora.campaign.records import Item, Label, items_of
from activelora.campaign.refreshes import PoolParts
from activelora.campaign.snapshot import Snapshot
from activelora.config import CampaignConfig
from activelora.evaluation.drift import TwoSample, compare_texts
from activelora.pool import access
from activelora.pool.arrivals import Arrivals, source_files, versions_of
from activelora.pool.files import SourceFile
from activelora.pool.known_labels import KnownLabels
from activelora.pool.newcomers import Newcomers, read_items, survey_files
from activelora.pool.sorting import sorted_tables
from activelora.pool.split import draw, draw_first
from activelora.seeding import derive_seed, item_draw
from activelora.tasks.task import Task

NUM_COMPARED = 500
"""Texts on each side of the comparison, at most."""


@dataclass(frozen=True)
class Refresh:
    """What a refresh brings.

    Attributes:
        ids: The new items' ids, in ascending order.
        labels: Their gold labels, where they have some.
        known: Those of them that are to be trained on.
        files: Files that were taken, by name.
        newcomers: All that these files hold.
        num_left_out: New items left out by ``data.pool.limit``.
        num_lost: Those of them that have a label to train on.
        num_vanished: Items of the pool that no file of the source holds any more.
        drift: How the texts of all items that came later differ from those of the first reading; None of too few.
    """

    ids: tuple[str, ...]
    labels: Mapping[str, Label]
    known: KnownLabels
    files: Mapping[str, SourceFile]
    newcomers: Newcomers
    num_left_out: int
    num_lost: int
    num_vanished: int
    drift: TwoSample | None

    def tables(self, config: CampaignConfig, task: Task) -> Iterator[pa.Table]:
        """Read the files again and yield the new items, a shard at a time.

        Raises:
            KeyError: A file has changed meanwhile.
        """
        if self.ids:
            yield from sorted_tables(read_items(config, task, self.files), self.ids, config.data.shard_rows)


def find_refresh(seen: Snapshot, parts: PoolParts, task: Task, arrivals: Arrivals) -> Refresh:
    """Return what a refresh brings, with the files that keep still.

    Args:
        seen: The campaign.
        parts: The pool as it is.
        task: The campaign's task.
        arrivals: What is new in the source.
    """
    config = seen.config
    files = dict(arrivals.files)
    while True:
        newcomers = survey_files(config, task, files)
        now = versions_of(config, files)
        moving = [name for name in files if now.get(name) != arrivals.versions[name]]
        if not moving:
            break
        for name in moving:
            del files[name]
    scan = _Scan(seen, parts, newcomers, _present(config, task, parts, arrivals, newcomers))
    fresh = [item_id for item_id in newcomers.labels if item_id not in scan.known]
    ids = tuple(sorted(_limited(config, parts, fresh, newcomers.known.labels)))
    labels = {item_id: label for item_id in ids if (label := newcomers.labels[item_id]) is not None}
    known = newcomers.known.of(ids)
    num_lost = len(newcomers.known.of(fresh)) - len(known)
    taken = {name: files[name] for name in newcomers.taken}
    left_out = len(fresh) - len(ids)
    drift = scan.drift(read_items(config, task, taken), ids) if ids else None
    return Refresh(ids, labels, known, taken, newcomers, left_out, num_lost, scan.num_vanished, drift)


def still_as(config: CampaignConfig, refresh: Refresh, versions: Mapping[str, str]) -> bool:
    """Tell whether the files that a refresh took have the versions that it found.

    Args:
        config: The campaign's settings.
        refresh: The refresh.
        versions: Versions by name.
    """
    now = versions_of(config, refresh.files)
    return all(now.get(name) == versions[name] for name in refresh.files)


def num_vanished(parts: PoolParts) -> int:
    """Return how many items had vanished from the source as of the last refresh."""
    return int(parts.refreshes[-1].metrics["num_vanished"]) if parts.refreshes else 0


def _limited(config: CampaignConfig, parts: PoolParts, ids: list[str], known: Container[str]) -> list[str]:
    """Return as many items as the limit of the whole pool leaves room for, drawn at random: labelled ones first."""
    limit = config.data.pool.limit
    if limit is None:
        return ids
    seed = derive_seed(config.split_seed, "ingest_pool", "limit", "pool")
    return draw_first(ids, max(0, limit - parts.num_items), seed, known)


def _present(
    config: CampaignConfig, task: Task, parts: PoolParts, arrivals: Arrivals, newcomers: Newcomers
) -> frozenset[str] | None:
    """Return the items that the whole source holds now; None where none can have vanished or come back since.

    Where a file could not be read, nothing can be said either.
    """
    may_differ = arrivals.gone or arrivals.replaced or (num_vanished(parts) and arrivals.files)
    if not may_differ or newcomers.problems:
        return None
    unread = {}
    if arrivals.taken.keys() - arrivals.files.keys() - set(arrivals.gone):
        unread = {name: file for name, file in source_files(config).items() if name not in arrivals.files}
    return frozenset(newcomers.labels) | {item.item_id for item in read_items(config, task, unread)}


class _Scan:
    """One pass over all that the campaign holds, a file at a time.

    Attributes:
        known: Those of the newcomers that are there already.
        num_vanished: Items of the pool that the source holds no more.

    Args:
        seen: The campaign.
        parts: The pool as it is.
        newcomers: Items that may be new.
        present: Items that the source holds; None if that is as before.
    """

    def __init__(self, seen: Snapshot, parts: PoolParts, newcomers: Newcomers, present: frozenset[str] | None) -> None:
        self._seen, self._parts = seen, parts
        self._old: list[Item] = []
        self._later: list[Item] = []
        self.known: set[str] = set()
        self.num_vanished = num_vanished(parts) if present is None else 0
        if not newcomers.labels and present is None:
            return
        wanted = pa.array(list(newcomers.labels), pa.string())
        for name in (access.HOLDOUT, access.CALIBRATION):
            if name in parts.manifests[0].files:
                self._find(seen.campaign.read_table(parts.manifests[0], name)["item_id"], wanted)
        there = None if present is None else pa.array(list(present | seen.deleted), pa.string())
        for shard in range(parts.num_shards):
            table = seen.campaign.read_table(parts.manifest_of(shard), access.items_name(shard))
            self._find(table["item_id"], wanted)
            if there is not None:
                self.num_vanished += int(pc.sum(pc.invert(pc.is_in(table["item_id"], value_set=there))).as_py() or 0)
            self._sample(table, shard)

    def drift(self, items: Iterator[Item], ids: tuple[str, ...]) -> TwoSample | None:
        """Return how all items that came later, these among them, differ from those of the first reading.

        Args:
            items: Items of the new files.
            ids: Ids of those that are new.
        """
        later_ids = [item.item_id for item in self._later]
        num_before = sum(int(manifest.metrics["num_new"]) for manifest in self._parts.refreshes)
        share = len(ids) / (len(ids) + num_before)
        drawn = frozenset(draw(ids, min(len(ids), max(1, round(NUM_COMPARED * share))), self._seed))
        before = frozenset(draw(later_ids, NUM_COMPARED - len(drawn), self._seed))
        found = {item.item_id: item for item in items if item.item_id in drawn}
        found |= {item.item_id: item for item in self._later if item.item_id in before}
        old = sorted(self._old, key=lambda item: (item_draw(self._seed, item.item_id), item.item_id))[:NUM_COMPARED]
        later = [found[item_id] for item_id in sorted(found)]
        return compare_texts(_texts(old), _texts(later), self._seed)

    @cached_property
    def _seed(self) -> int:
        return self._seen.campaign.seed("drift")

    def _find(self, ids: pa.ChunkedArray, wanted: pa.Array) -> None:
        self.known.update(ids.filter(pc.is_in(ids, value_set=wanted)).to_pylist())

    def _sample(self, table: pa.Table, shard: int) -> None:
        """Draw some of a shard's items for the comparison, in proportion to its share of its side's shards."""
        is_old = shard < self._parts.num_first_shards
        shards = self._parts.num_first_shards if is_old else self._parts.num_shards - self._parts.num_first_shards
        size = min(table.num_rows, 2 * NUM_COMPARED // max(1, shards) + 1)
        rows = np.random.default_rng(derive_seed(self._seed, shard)).permutation(table.num_rows)[:size]
        items = [item for item in items_of(table.take(np.sort(rows))) if item.item_id not in self._seen.deleted]
        (self._old if is_old else self._later).extend(items)


def _texts(items: list[Item]) -> list[str]:
    return ["\n".join((*item.fields.values(), *item.choices)) for item in items]
