"""Taking the texts of deleted items out of the pool's files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Manifest
from activelora.campaign.records import Item, items_of, table_bytes, table_from
from activelora.campaign.refreshes import pool_now
from activelora.campaign.tombstones import allow_content, deleted_items
from activelora.errors import ConfigError, StoreError
from activelora.pool.access import KNOWN, gold_name, items_name
from activelora.pool.tables import item_table

MAX_TRIES = 5


def find_item(campaign: Campaign, name: str) -> Item:
    """Return the pool item of an id, the beginning of an id, or the user's own id.

    Raises:
        ConfigError: There is none, or several.
    """
    parts = pool_now(campaign)
    found: dict[str, Item] = {}
    for shard in range(parts.num_shards):
        for item in items_of(campaign.read_table(parts.manifest_of(shard), items_name(shard))):
            if item.item_id == name or item.source_id == name or (len(name) >= 6 and item.item_id.startswith(name)):
                found[item.item_id] = item
    if len(found) != 1:
        many = f"{len(found)} items are called `{name[:60]}`: {', '.join(sorted(found)[:5])}"
        raise ConfigError(
            many if found else f"no item of the pool is called `{name[:60]}`",
            where=campaign.store.uri,
            remedy="Name its id, at least six characters of its beginning, or your own id. Holdout items stay.",
        )
    return next(iter(found.values()))


def blank_deleted(campaign: Campaign) -> int:
    """Take the texts of all deleted items out of the pool's files, and return the number of files that changed.

    All of them, each time: two deletions at the same moment may each overwrite what the other wrote, and look again.

    Raises:
        StoreError: Others keep changing the same files.
    """
    parts = pool_now(campaign)
    shards = [(parts.manifest_of(shard), shard) for shard in range(parts.num_shards)]
    # Labels first: until its text is blank, an item is found by the user's own id.
    files = [(manifest, KNOWN) for manifest in parts.manifests if KNOWN in manifest.files]
    files += [(manifest, name) for manifest, shard in shards if (name := gold_name(shard)) in manifest.files]
    files += [(manifest, items_name(shard)) for manifest, shard in shards]
    changed: set[str] = set()
    for _ in range(MAX_TRIES):
        deleted = deleted_items(campaign.store)
        now = {manifest.files[name].key for manifest, name in files if _blank(campaign, manifest, name, deleted)}
        if not now:
            return len(changed)
        changed |= now
    raise StoreError("other deletions keep changing the pool's files", where=campaign.store.uri, remedy="Run it again.")


def _blank(campaign: Campaign, manifest: Manifest, name: str, deleted: Collection[str]) -> bool:
    """Rewrite one file without the texts of deleted items; tell whether it had any."""
    content = campaign.read_file(manifest, name)
    table = table_from(content)
    new = _blank_gold(table, deleted) if name.startswith("gold/") else _blank_items(table, deleted)
    if new is None:
        return False
    key, written = manifest.files[name].key, table_bytes(new)
    allow_content(campaign.store, key, written, before=hashlib.sha256(content).hexdigest())
    campaign.store.write(key, written)
    return True


def _blank_items(table: pa.Table, deleted: Collection[str]) -> pa.Table | None:
    items = list(items_of(table))
    blank = [_without_text(item) if item.item_id in deleted else item for item in items]
    return None if blank == items else item_table(blank)


def _without_text(item: Item) -> Item:
    return replace(item, fields=dict.fromkeys(item.fields, ""), choices=("",) * len(item.choices), source_id=None)


def _blank_gold(table: pa.Table, deleted: Collection[str]) -> pa.Table | None:
    rows = table.to_pylist()
    blank = [{**row, "text": ""} if row["item_id"] in deleted and row.get("text") else row for row in rows]
    return None if blank == rows else pa.Table.from_pylist(blank, schema=table.schema)
