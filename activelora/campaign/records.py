"""The tables that steps exchange, as Parquet schemas, and the item they are about."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

ITEM_FIELDS = [
    pa.field("item_id", pa.string(), nullable=False),  # hash of the content
    pa.field("source_id", pa.string()),  # the user's own id, if there is one
    pa.field("fields", pa.map_(pa.string(), pa.string()), nullable=False),  # the columns that the prompt names
    pa.field("choices", pa.list_(pa.string())),  # multiple choice only
]
ITEM_SCHEMA = pa.schema(ITEM_FIELDS)
LABELED_ITEM_SCHEMA = pa.schema([*ITEM_FIELDS, pa.field("label", pa.int64(), nullable=False)])
GOLD_SCHEMA = pa.schema([pa.field("item_id", pa.string(), nullable=False), pa.field("label", pa.int64())])
SELECTION_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),  # 0 is asked first
        pa.field("score", pa.float64()),  # the strategy's score; null for random draws
        pa.field("reason", pa.string(), nullable=False),  # in words, for annotators and the report
    ]
)
LABEL_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),  # index into the task's labels or the item's choices
        pa.field("annotator", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("labeled_at", pa.string(), nullable=False),  # ISO 8601, UTC
        pa.field("round", pa.int64(), nullable=False),  # the round that asked for it
        pa.field("origin", pa.string()),  # where the source found it, for example the file's name in the inbox
    ]
)
"""score_pool's schema depends on the task: see :mod:`activelora.scoring.table`."""


@dataclass(frozen=True)
class Item:
    """One pool or holdout item.

    Attributes:
        item_id: Hash of the content; the item's name everywhere.
        fields: The columns that the prompt names, as text.
        choices: For multiple choice, the item's choices.
        source_id: The user's own id.
    """

    item_id: str
    fields: Mapping[str, str]
    choices: tuple[str, ...] = ()
    source_id: str | None = None


def items_of(table: pa.Table) -> Iterator[Item]:
    """Yield the items of a table in :data:`ITEM_SCHEMA` or :data:`LABELED_ITEM_SCHEMA`."""
    for row in table.to_pylist():
        yield Item(row["item_id"], dict(row["fields"]), tuple(row["choices"] or ()), row["source_id"])


def table_bytes(table: pa.Table) -> bytes:
    """Return the table as Parquet; equal tables give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def table_from(content: bytes) -> pa.Table:
    """Read a Parquet table."""
    return pq.read_table(io.BytesIO(content))
