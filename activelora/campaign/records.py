"""The tables that steps exchange, as Parquet schemas, and the item they are about."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Label = int | str
"""A label: text for tasks whose answers are text, else the index of an answer or a bit mask of labels."""
LABEL_FIELDS = [pa.field("label", pa.int64()), pa.field("text", pa.string())]
"""The one that applies; the other is null."""
ITEM_FIELDS = [
    pa.field("item_id", pa.string(), nullable=False),  # hash of the content
    pa.field("source_id", pa.string()),  # the user's own id, if there is one
    pa.field("fields", pa.map_(pa.string(), pa.string()), nullable=False),  # the columns that the prompt names
    pa.field("choices", pa.list_(pa.string())),  # multiple choice only
]
ITEM_SCHEMA = pa.schema(ITEM_FIELDS)
LABELED_ITEM_SCHEMA = pa.schema([*ITEM_FIELDS, *LABEL_FIELDS])
GOLD_SCHEMA = pa.schema([pa.field("item_id", pa.string(), nullable=False), *LABEL_FIELDS])
KNOWN_SCHEMA = pa.schema(
    [
        *GOLD_SCHEMA,
        pa.field("annotator", pa.string()),  # who gave the label, as far as the pool tells
        pa.field("labeled_at", pa.string()),  # when, likewise; ISO 8601
    ]
)
SELECTION_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),  # 0 is asked first
        pa.field("score", pa.float64()),  # the strategy's score; null for random draws
        pa.field("reason", pa.string(), nullable=False),  # in words, for the report
    ]
)
LABEL_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        *LABEL_FIELDS,  # index into the task's labels or the item's choices, bit mask of labels; or text
        pa.field("annotator", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("labeled_at", pa.string(), nullable=False),  # ISO 8601, UTC
        pa.field("round", pa.int64(), nullable=False),  # the round that asked for it
        pa.field("origin", pa.string()),  # where the source found it, for example the file's name in the inbox
    ]
)
KNOWN_SOURCE, IMPORTED_SOURCE = "known", "imported"
"""Sources of records that nobody gave to this campaign's question: labels that the pool brought, and that another
campaign or tool did. They are no annotators, whom one could compare or weigh."""
SETTLED_SOURCES = (KNOWN_SOURCE, IMPORTED_SOURCE)
"""score_pool's schema depends on the task: see :mod:`activelora.scoring.table`."""


@dataclass(frozen=True)
class Item:
    """One pool or holdout item.

    Attributes:
        item_id: Hash of the content; the item's name everywhere.
        fields: The columns that the prompt names, as text.
        choices: The item's choices, for multiple choice.
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


def label_cells(label: Label | None) -> dict[str, Label | None]:
    """Return the cells of :data:`LABEL_FIELDS`."""
    return {"label": None, "text": label} if isinstance(label, str) else {"label": label, "text": None}


def label_of(row: Mapping[str, Any]) -> Any:
    """Return the label of a row with :data:`LABEL_FIELDS`; None where it has none."""
    text = row.get("text")
    return row["label"] if text is None else text


def vote_table(records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return votes in :data:`LABEL_SCHEMA`; each has its label under ``label``."""
    return pa.Table.from_pylist([{**one, **label_cells(one["label"])} for one in records], schema=LABEL_SCHEMA)


def vote_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the votes of a table in :data:`LABEL_SCHEMA`, each with its label under ``label``."""
    rows = table.to_pylist()
    return [{name: value for name, value in row.items() if name != "text"} | {"label": label_of(row)} for row in rows]


def table_bytes(table: pa.Table) -> bytes:
    """Return the table as Parquet; equal tables give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def table_from(content: bytes) -> pa.Table:
    """Read a Parquet table, from memory and in this thread.

    Arrow's reader threads could outlive a command that has finished, and abort it (exit code 134).
    """
    return pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False)
