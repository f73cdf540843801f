import pyarrow as pa

from activelora.campaign.records import (
    GOLD_SCHEMA,
    ITEM_SCHEMA,
    LABEL_SCHEMA,
    LABELED_ITEM_SCHEMA,
    SELECTION_SCHEMA,
    Item,
    items_of,
    table_bytes,
    table_from,
)

ROWS = [
    {"item_id": "a", "source_id": None, "fields": {"text": "grüße 🦥", "title": ""}, "choices": None},
    {"item_id": "b", "source_id": "7", "fields": {"text": "x"}, "choices": ["one", "two"]},
]


def test_tables_survive():
    for schema in (ITEM_SCHEMA, LABELED_ITEM_SCHEMA, GOLD_SCHEMA, SELECTION_SCHEMA, LABEL_SCHEMA):
        empty = schema.empty_table()
        assert table_from(table_bytes(empty)).schema.names == schema.names
    rows = [{**row, "fields": list(row["fields"].items())} for row in ROWS]
    table = pa.Table.from_pylist(rows, schema=ITEM_SCHEMA)
    read = table_from(table_bytes(table))
    assert read.to_pylist() == table.to_pylist()
    assert list(items_of(read)) == [
        Item("a", {"text": "grüße 🦥", "title": ""}),
        Item("b", {"text": "x"}, ("one", "two"), "7"),
    ]


def test_equal_tables_are_equal_bytes():
    rows = [{**row, "fields": list(row["fields"].items())} for row in ROWS]
    tables = [pa.Table.from_pylist(rows, schema=ITEM_SCHEMA) for _ in range(2)]
    assert table_bytes(tables[0]) == table_bytes(tables[1])
    assert table_bytes(tables[0]) == table_bytes(pa.concat_tables([tables[0].slice(0, 1), tables[0].slice(1)]))
