"""The census of a pool of many millions: what :class:`activelora.pool.census.Census` knows, in arrays.

A row costs some 40 bytes, an item no more. Ids are kept as the ten bytes that they stand for.
Letters: R rows, P different items in the order in which they are first met.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.campaign.records import Item, Label
from activelora.pool.chunks import Chunk
from activelora.pool.columns import ID_BYTES, Bytes, contents, digests, id_texts
from activelora.pool.label_readings import LabelReadings

Indices = NDArray[np.int64]
BLOCK = 1_000_000
OWN_ID_BYTES = 8


class Gathering:
    """Takes chunks in, and makes a census of them.

    Args:
        readings: Counts how labels were read.
    """

    def __init__(self, readings: LabelReadings) -> None:
        self.readings = readings
        self._ids: list[Bytes] = []
        self._labels: list[NDArray[np.int64]] = []
        self._own_ids: list[Bytes] = []
        self.checksums: list[int] = []
        self.longest_chars = 0
        self.sample: Item | None = None

    def add(self, chunk: Chunk) -> None:
        """Take a chunk in."""
        ids = digests(contents(chunk.fields), ID_BYTES)
        self._ids.append(ids)
        self._labels.append(chunk.labels)
        if chunk.source_ids is not None:
            self._own_ids.append(digests(chunk.source_ids, OWN_ID_BYTES))
        self.checksums.append(chunk.checksum)
        self.longest_chars = max(self.longest_chars, chunk.longest_chars)
        if self.sample is None and len(chunk):
            self.sample = chunk.item(0, id_texts(ids[:1])[0].as_py())

    def census(self) -> ColumnCensus:
        """Return the census; nothing can be added after that."""
        ids_RB = np.concatenate(self._ids)
        self._ids.clear()
        labels_R = np.concatenate(self._labels)
        self._labels.clear()
        census = ColumnCensus(ids_RB, labels_R, self)
        if self._own_ids:
            census.find_twofold(np.concatenate(self._own_ids))
        return census


class ColumnCensus:
    """Counts a source's items, drops exact duplicates, and finds rows that contradict each other.

    Args:
        ids_RB: Every row's id.
        labels_R: Every row's label; −1 is none.
        gathering: What else is known of the rows.

    Attributes:
        num_rows: Rows that could be read.
        longest_chars: Length of the longest item.
        sample: The first item.
        first_rows_P: The row that an item is first met in.
        ids_PB: Ids.
        labels_P: The item's first label; −1 is none.
        is_consistent_P: False for an item whose rows carry different labels.
        has_twofold_ids: One of the user's own ids stands for two items.
        readings: How labels were read.
    """

    num_rounded = 0

    def __init__(self, ids_RB: Bytes, labels_R: NDArray[np.int64], gathering: Gathering) -> None:
        self.num_rows = len(ids_RB)
        self.readings = gathering.readings
        self.longest_chars, self.sample, self.checksums = (
            gathering.longest_chars,
            gathering.sample,
            tuple(gathering.checksums),
        )
        self._index_R, self.first_rows_P = _item_indices(ids_RB)
        self.ids_PB = ids_RB[self.first_rows_P]
        self.labels_P = np.full(len(self.first_rows_P), -1, dtype=np.int64)
        labeled = np.flatnonzero(labels_R >= 0)[::-1]
        self.labels_P[self._index_R[labeled]] = labels_R[labeled]  # the last one written is the first one met
        differs_R = (labels_R >= 0) & (labels_R != self.labels_P[self._index_R])
        self.is_consistent_P = np.ones(len(self.first_rows_P), dtype=np.bool_)
        self.is_consistent_P[self._index_R[differs_R]] = False
        self.has_twofold_ids = False

    def find_twofold(self, own_ids_RB: Bytes) -> None:
        """Note whether one of the user's own ids stands for two items."""
        keys_R = np.ascontiguousarray(own_ids_RB).view(">u8").ravel().astype(np.uint64)
        order = np.argsort(keys_R, kind="stable")
        is_same = keys_R[order][1:] == keys_R[order][:-1]
        self.has_twofold_ids = bool((is_same & (np.diff(self._index_R[order]) != 0)).any())

    @property
    def num_duplicates(self) -> int:
        """Rows whose content was there already."""
        return self.num_rows - len(self.first_rows_P)

    @property
    def num_contradictions(self) -> int:
        """Items left out because their rows carry different labels."""
        return int((~self.is_consistent_P).sum())

    def __len__(self) -> int:
        """Return the number of different items."""
        return int(self.is_consistent_P.sum())

    def __iter__(self) -> Iterator[str]:
        """Yield the ids, as first met."""
        return iter(IdSet(self, self.is_consistent_P))

    def __contains__(self, item_id: object) -> bool:
        """Tell whether the source has the item."""
        return item_id in IdSet(self, self.is_consistent_P)

    def label(self, item_id: str) -> Label | None:
        """Return an item's gold label, if it has one."""
        index = self.find([item_id])[item_id]
        return None if self.labels_P[index] < 0 else int(self.labels_P[index])

    def labeled(self, ids: Iterable[str]) -> dict[str, Label]:
        """Return the labels of those of the items that have one."""
        wanted = list(ids)
        indices = self.find(wanted)
        return {id_: int(self.labels_P[indices[id_]]) for id_ in wanted if self.labels_P[indices[id_]] >= 0}

    def label_counts(self, ids: Iterable[str]) -> dict[Label, int]:
        """Return how many of the items have each label, by label."""
        counts = Counter(self.labeled(ids).values())
        ordered: list[Any] = sorted(counts)
        return {label: counts[label] for label in ordered}

    def find(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the indices of those of the ids that are there."""
        wanted = {key: id_ for id_ in ids if (key := _bytes_of(id_)) is not None}
        if not wanted:
            return {}
        heads = np.sort(np.array([int.from_bytes(key[:8]) for key in wanted], dtype=np.uint64))
        heads_P = _heads(self.ids_PB)
        near = np.flatnonzero(heads[np.searchsorted(heads, heads_P).clip(max=len(heads) - 1)] == heads_P)
        return {wanted[key]: int(index) for index in near if (key := self.ids_PB[index].tobytes()) in wanted}

    def keys(self, seed: int, indices: Indices) -> NDArray[np.int64]:
        """Return what :func:`activelora.seeding.item_draw` draws for items, times 2⁵³."""
        keys = np.empty(len(indices), dtype=np.int64)
        for begin in range(0, len(indices), BLOCK):
            part = slice(begin, begin + BLOCK)
            drawn = digests(id_texts(self.ids_PB[indices[part]], before=f"{seed}/"), 8)
            keys[part] = (_heads(drawn) >> np.uint64(11)).astype(np.int64)
        return keys

    def smallest(self, indices: Indices, keys: NDArray[np.int64], size: int) -> Indices:
        """Return the indices with the smallest keys; equal keys go by id."""
        if size >= len(indices):
            return indices
        if size <= 0:
            return indices[:0]
        edge = np.partition(keys, size - 1)[size - 1]
        sure, ties = indices[keys < edge], indices[keys == edge]
        ordered = sorted(ties.tolist(), key=lambda index: self.ids_PB[index].tobytes())
        return np.concatenate([sure, np.array(ordered[: size - len(sure)], dtype=np.int64)])


class IdSet(Set[str]):
    """Some items of a census, as a set of ids.

    Args:
        census: Knows the items.
        is_in_P: Which of them.
    """

    def __init__(self, census: ColumnCensus, is_in_P: NDArray[np.bool_]) -> None:
        self.census = census
        self.is_in_P = is_in_P

    def __len__(self) -> int:
        """Return how many."""
        return int(self.is_in_P.sum())

    def __iter__(self) -> Iterator[str]:
        """Yield the ids, as first met."""
        indices = np.flatnonzero(self.is_in_P)
        for begin in range(0, len(indices), BLOCK):
            yield from id_texts(self.census.ids_PB[indices[begin : begin + BLOCK]]).to_pylist()

    def __contains__(self, item_id: object) -> bool:
        """Tell whether it has an id."""
        index = self.census.find([item_id]).get(item_id) if isinstance(item_id, str) else None
        return index is not None and bool(self.is_in_P[index])

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> frozenset[Any]:
        return frozenset(it)


def _item_indices(ids_RB: Bytes) -> tuple[Indices, Indices]:
    """Return every row's item, items numbered as they are first met, and every item's first row."""
    heads = _heads(ids_RB)
    order = np.argsort(heads, kind="stable")
    heads, tails = heads[order], np.ascontiguousarray(ids_RB[:, 8:]).view(">u2").ravel()[order]
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = heads[1:] != heads[:-1]
    # Equal heads with other tails: sort these few runs by tail, too.
    clash = np.flatnonzero(~is_new & np.concatenate([[False], tails[1:] != tails[:-1]]))
    begins = np.flatnonzero(is_new)
    for begin in begins[np.unique(np.searchsorted(begins, clash, side="right") - 1)].tolist():
        end = begin + int((heads[begin:] == heads[begin]).sum())
        inner = np.argsort(tails[begin:end], kind="stable")
        order[begin:end], tails[begin:end] = order[begin:end][inner], tails[begin:end][inner]
        is_new[begin + 1 : end] = tails[begin + 1 : end] != tails[begin : end - 1]
    group = np.cumsum(is_new) - 1
    first_rows = order[is_new]  # the sort is stable: the first row of a group comes first
    is_first_R = np.zeros(len(order), dtype=np.bool_)
    is_first_R[first_rows] = True
    rank_R = np.cumsum(is_first_R) - 1
    indices = np.empty(len(order), dtype=np.int64)
    indices[order] = rank_R[first_rows][group]
    return indices, np.flatnonzero(is_first_R)


def _heads(bytes_NB: Bytes) -> NDArray[np.uint64]:
    return np.ascontiguousarray(bytes_NB[:, :8]).view(">u8").ravel().astype(np.uint64)


def _bytes_of(item_id: str) -> bytes | None:
    try:
        key = bytes.fromhex(item_id[1:])
    except ValueError:
        return None
    return key if item_id[:1] == "i" and len(key) == ID_BYTES else None
