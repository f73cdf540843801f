"""Items and labels as the tables of :mod:`activelora.campaign.records`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from activelora.campaign.records import GOLD_SCHEMA, ITEM_SCHEMA, LABELED_ITEM_SCHEMA, Item, Label, label_cells


def item_table(items: Iterable[Item]) -> pa.Table:
    """Return unlabelled items."""
    return pa.Table.from_pylist([_row(item) for item in items], schema=ITEM_SCHEMA)


def labeled_table(items: Iterable[Item], labels: Mapping[str, Label]) -> pa.Table:
    """Return items with their labels, looked up by id."""
    rows = [{**_row(item), **label_cells(labels[item.item_id])} for item in items]
    return pa.Table.from_pylist(rows, schema=LABELED_ITEM_SCHEMA)


def gold_table(labels: Mapping[str, Label]) -> pa.Table:
    """Return gold labels by id, in the order given."""
    rows = [{"item_id": item_id, **label_cells(label)} for item_id, label in labels.items()]
    return pa.Table.from_pylist(rows, schema=GOLD_SCHEMA)


def _row(item: Item) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "source_id": item.source_id,
        "fields": list(item.fields.items()),
        "choices": list(item.choices) or None,
    }
