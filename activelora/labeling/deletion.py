"""Deleting an item from a campaign: from now on it is nowhere asked for, trained on or shown."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from activelora.campaign.campaign import Campaign, utc_now
from activelora.campaign.store import Store, open_store
from activelora.campaign.tombstones import mark_item
from activelora.formats.limits import MAX_TEXT_BYTES
from activelora.labeling.files import inbox_uri
from activelora.labeling.llm.ledger import FOLDER as LLM_FOLDER
from activelora.labeling.registry import get_source
from activelora.labeling.source import Source
from activelora.pool.deletion import blank_deleted, find_item
from activelora.registry import call

_SHEETS = ("labeling/", "diagnostics/")


@runtime_checkable
class Deletes(Protocol):
    """A label source that can delete an item where people label."""

    def delete_item(self, campaign: Campaign, item_id: str) -> int:
        """Delete an item's tasks with their answers, and return how many there were."""


@dataclass(frozen=True)
class Deletion:
    """What a deletion did.

    Attributes:
        item_id: The item.
        num_pool_files: Pool files that were rewritten.
        sheets: Worksheets that were rewritten.
        num_tasks: Tasks that were deleted where people label; None where the source cannot.
        inbox: Files in the inbox that name the item: they are people's, and were left.
    """

    item_id: str
    num_pool_files: int
    sheets: tuple[str, ...]
    num_tasks: int | None
    inbox: tuple[str, ...]


def delete_item(campaign: Campaign, name: str, reason: str) -> Deletion:
    """Delete an item, for good. May be repeated, also after a crash: what is left is done then.

    Args:
        campaign: The campaign.
        name: Its id, the beginning of it, or the user's own id.
        reason: Why, for the mark.

    Raises:
        ConfigError: The pool has no such item.
    """
    item_id = find_item(campaign, name).item_id
    mark_item(campaign.store, item_id, {"reason": reason, "deleted_at": utc_now()})
    people = _where_people_label(campaign)
    source = None if people is None else get_source(people)
    num_tasks = None if source is None else _delete_tasks(source, campaign, item_id)
    sheets = tuple(_clean_sheets(campaign.store, item_id))
    num_pool_files = blank_deleted(campaign)  # last: until then the item is found by the user's own id
    return Deletion(item_id, num_pool_files, sheets, num_tasks, _in_inbox(campaign, item_id))


def _delete_tasks(source: Source, campaign: Campaign, item_id: str) -> int | None:
    """Delete an item's tasks where people label, and return how many there were; None where the source cannot."""
    if not isinstance(source, Deletes):
        return None
    return call(source, "delete_item", source.delete_item, campaign, item_id, gives=int)


def _where_people_label(campaign: Campaign) -> str | None:
    """Return the label source that people see; beside a model, the one that it leaves items to."""
    labeling = campaign.config.labeling
    return labeling.llm.people.source if labeling.source == "llm" else labeling.source


def _clean_sheets(store: Store, item_id: str) -> list[str]:
    """Take the item's rows out of worksheets, and what a model wrote about it out of its records."""
    changed = []
    for folder in _SHEETS:
        for key in store.list(folder):
            if not key.endswith((".csv", ".jsonl", ".json")):
                continue
            content = store.read(key)
            new = _cleaned(key, content, item_id) if item_id.encode() in content else content
            if new != content:
                store.write(key, new)
                changed.append(key)
    return changed


def _cleaned(key: str, content: bytes, item_id: str) -> bytes:
    if key.endswith(".csv"):
        return _cleaned_csv(content, item_id)
    if key.endswith(".jsonl"):
        lines = [line for line in content.split(b"\n") if line]  # a text may hold what str.splitlines splits at
        return b"".join(line + b"\n" for line in lines if json.loads(line).get("item_id") != item_id)
    if key.startswith("diagnostics/"):
        document = json.loads(content)
        suspects = [one for one in document["suspects"] if one["item_id"] != item_id]
        return json.dumps({**document, "suspects": suspects}, indent=1, ensure_ascii=False).encode()
    if key.startswith(f"{LLM_FOLDER}/") and key.endswith("-done.json"):
        return json.dumps({**json.loads(content), "text": "[deleted]"}, ensure_ascii=False).encode()
    return content


def _cleaned_csv(content: bytes, item_id: str) -> bytes:
    """Return a worksheet of this project's making without an item's rows."""
    text = content.decode()
    limit = csv.field_size_limit(MAX_TEXT_BYTES)
    try:
        header, *rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    finally:
        csv.field_size_limit(limit)
    if "item_id" not in header:
        return content
    column = header.index("item_id")
    out = io.StringIO(newline="")
    csv.writer(out).writerows([header, *(row for row in rows if row[column] != item_id)])
    return (("\ufeff" if text.startswith("\ufeff") else "") + out.getvalue()).encode()


def _in_inbox(campaign: Campaign, item_id: str) -> tuple[str, ...]:
    if _where_people_label(campaign) != "files":
        return ()
    store = open_store(inbox_uri(campaign))
    return tuple(key for key in store.list("") if not key.endswith("/") and item_id.encode() in _content(store, key))


def _content(store: Store, key: str) -> bytes:
    try:
        return store.read(key)
    except KeyError:
        return b""
