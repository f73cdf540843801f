"""Labels that the pool's items have already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.records import Label
from activelora.pool.census import Census
from activelora.pool.column_census import ColumnCensus, IdSet
from activelora.pool.columns import id_texts
from activelora.pool.tables import gold_table


@dataclass(frozen=True)
class KnownLabels:
    """The known labels of some items.

    Attributes:
        labels: Item id → label.
    """

    labels: Mapping[str, Label] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many items have one."""
        return len(self.labels)

    def counts(self) -> dict[Label, int]:
        """Return how many items have each label, by label."""
        counts = Counter(self.labels.values())
        ordered: list[Any] = sorted(counts)  # all of one kind: numbers, or texts
        return {label: counts[label] for label in ordered}

    def table(self) -> pa.Table:
        """Return them by item id."""
        return gold_table({item_id: self.labels[item_id] for item_id in sorted(self.labels)})


def known_in(census: Census | ColumnCensus, ids: Set[str]) -> KnownLabels:
    """Return the labels that a census knows of some items.

    Args:
        census: A source's census.
        ids: The items; of a :class:`ColumnCensus`, its own.
    """
    if isinstance(census, ColumnCensus):
        return KnownLabels(_labeled(census, ids) if isinstance(ids, IdSet) else census.labeled(ids))
    return KnownLabels(census.labeled(item_id for item_id in ids if item_id in census))


def _labeled(census: ColumnCensus, ids: IdSet) -> dict[str, Label]:
    """Return the labels of those of the items that have one, without the ids of the others."""
    indices = np.flatnonzero(ids.is_in_P & (census.labels_P >= 0))
    texts = id_texts(census.ids_PB[indices]).to_pylist()
    return dict(zip(texts, census.labels_P[indices].tolist(), strict=True))
