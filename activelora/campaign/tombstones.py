"""Items that were deleted: write-once marks that every reader heeds, and what their files may be instead.

A finished step's files are pinned by digest. Where a deleted item's text is taken out of such a file, a mark names the
new digest before the file is replaced: the file is then what its manifest says, or what a mark says, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from activelora.campaign.store import Store

FOLDER = "deleted"
_ITEMS, _FILES = f"{FOLDER}/items/", f"{FOLDER}/files/"


def deleted_items(store: Store) -> frozenset[str]:
    """Return the ids of all items that were deleted."""
    return frozenset(key.removeprefix(_ITEMS).removesuffix(".json") for key in store.list(_ITEMS))


def mark_item(store: Store, item_id: str, document: dict[str, Any]) -> bool:
    """Mark an item as deleted, and tell whether this call did it. The first mark stays.

    Args:
        store: The campaign's.
        item_id: The item.
        document: Who, when and why.
    """
    return store.create(f"{_ITEMS}{item_id}.json", json.dumps({"item_id": item_id, **document}, indent=1).encode())


def allow_content(store: Store, key: str, content: bytes, before: str) -> None:
    """Allow a file to be replaced by a content without a deleted item's text.

    Args:
        store: The campaign's.
        key: The file's key.
        content: Its new content.
        before: The digest that it has.
    """
    after = hashlib.sha256(content).hexdigest()
    store.create(_file_mark(key, after), json.dumps({"key": key, "before": before, "after": after}).encode())


def is_allowed(store: Store, key: str, sha256: str) -> bool:
    """Tell whether a file may have this digest, since a deleted item's text was taken out of it."""
    return store.exists(_file_mark(key, sha256))


def _file_mark(key: str, after: str) -> str:
    return f"{_FILES}{hashlib.sha256(key.encode()).hexdigest()[:16]}-{after}.json"
