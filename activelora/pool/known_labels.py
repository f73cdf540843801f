"""Labels that the pool's items have already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.records import KNOWN_SCHEMA, Label, label_of
from activelora.pool.census import Census
from activelora.pool.column_census import ColumnCensus, IdSet
from activelora.pool.columns import id_texts
from activelora.pool.tables import gold_table
from activelora.pool.votes import Provenance


@dataclass(frozen=True)
class KnownLabels:
    """The known labels of some items.

    Attributes:
        labels: Item id → label.
        given: Item id → who gave the label and when, of those of which that is known.
    """

    labels: Mapping[str, Label] = field(default_factory=dict)
    given: Mapping[str, Provenance] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many items have one."""
        return len(self.labels)

    def counts(self) -> dict[Label, int]:
        """Return how many items have each label, by label."""
        counts = Counter(self.labels.values())
        ordered: list[Any] = sorted(counts)  # all of one kind: numbers, or texts
        return {label: counts[label] for label in ordered}

    def of(self, ids: Iterable[str]) -> KnownLabels:
        """Return those of some items."""
        labels = {item_id: self.labels[item_id] for item_id in ids if item_id in self.labels}
        return KnownLabels(labels, {item_id: self.given[item_id] for item_id in labels if item_id in self.given})

    def without(self, ids: Collection[str]) -> KnownLabels:
        """Return those of all but some items."""
        return self.of([item_id for item_id in self.labels if item_id not in ids])

    def table(self) -> pa.Table:
        """Return them by item id; with who and when, where that is known of any."""
        table = gold_table({item_id: self.labels[item_id] for item_id in sorted(self.labels)})
        if not self.given:
            return table
        given = [self.given.get(item_id, Provenance()) for item_id in sorted(self.labels)]
        people, times = ([getattr(one, name) for one in given] for name in ("annotator", "labeled_at"))
        columns = [*table.columns, pa.array(people, pa.string()), pa.array(times, pa.string())]
        return pa.Table.from_arrays(columns, schema=KNOWN_SCHEMA)


def known_of(table: pa.Table) -> KnownLabels:
    """Read what :meth:`KnownLabels.table` has written, in this version or an earlier one."""
    rows = table.to_pylist()
    given = {row["item_id"]: Provenance(row.get("annotator"), row.get("labeled_at")) for row in rows}
    return KnownLabels({row["item_id"]: label_of(row) for row in rows}, {key: one for key, one in given.items() if one})


def merged(several: Iterable[KnownLabels]) -> KnownLabels:
    """Return known labels as one; of an item in several, the last."""
    labels: dict[str, Label] = {}
    given: dict[str, Provenance] = {}
    for one in several:
        for item_id in one.labels:
            given.pop(item_id, None)
        labels |= one.labels
        given |= one.given
    return KnownLabels(labels, given)


def known_in(census: Census | ColumnCensus, ids: Set[str]) -> KnownLabels:
    """Return the labels that a census knows of some items.

    Args:
        census: A source's census.
        ids: The items; of a :class:`ColumnCensus`, its own.
    """
    if isinstance(census, ColumnCensus):
        return KnownLabels(_labeled(census, ids) if isinstance(ids, IdSet) else census.labeled(ids))
    labels = census.labeled(item_id for item_id in ids if item_id in census)
    return KnownLabels(labels, {item_id: one for item_id in labels if (one := census.provenance(item_id))})


def num_labeled_outside(census: Census | ColumnCensus, pool_ids: Set[str], held_out: Set[str]) -> int:
    """Return how many labelled items a census has that are neither in the pool nor held out."""
    if isinstance(census, ColumnCensus) and isinstance(pool_ids, IdSet):
        is_outside_P = (census.labels_P >= 0) & census.is_consistent_P & ~pool_ids.is_in_P
        is_outside_P[list(census.find(held_out).values())] = False
        return int(is_outside_P.sum())
    return sum(item_id not in pool_ids and item_id not in held_out for item_id in census.labeled(census))


def _labeled(census: ColumnCensus, ids: IdSet) -> dict[str, Label]:
    """Return the labels of those of the items that have one, without the ids of the others."""
    indices = np.flatnonzero(ids.is_in_P & (census.labels_P >= 0))
    texts = id_texts(census.ids_PB[indices]).to_pylist()
    return dict(zip(texts, census.labels_P[indices].tolist(), strict=True))
