"""Bring labels of another campaign or tool into this one: matched item by item, checked, and kept with who and when."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activelora.campaign.campaign import Campaign, stop_reason, utc_now
from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import num_collected
from activelora.campaign.manifest import Unit
from activelora.campaign.records import Item, Label
from activelora.campaign.snapshot import Snapshot
from activelora.errors import ActiveLoRAError, ConfigError, LabelError, ProblemsError
from activelora.kinds.registry import make_task
from activelora.labeling.exchange import MAX_PROBLEMS
from activelora.labeling.foreign import Foreign, is_campaign, of_campaign, of_file
from activelora.labeling.imports import FOLDER, imported
from activelora.pool.access import items_by_own_id, present_items
from activelora.pool.census import majority
from activelora.tasks.task import Task
from activelora.tasks.written import read_label


@dataclass(frozen=True)
class Brought:
    """What an import comes to.

    Attributes:
        num_labels: Items that get a label by it.
        num_elsewhere: Items of the other side that are not in this pool.
        num_labeled: Items that have a label here already, which stays.
        num_disputed: Items whose annotators disagree there, so that they have no label.
        remarks: What is to be said of the file.
        round: The round that takes the labels.
    """

    num_labels: int
    num_elsewhere: int
    num_labeled: int
    num_disputed: int
    remarks: tuple[str, ...]
    round: int


def import_from(campaign: Campaign, source: str) -> Brought:
    """Bring in the labels of another campaign, or of a file; whole or not at all. The same again changes nothing.

    Items are matched by their content, else by the user's own id. They get the label with strictly most votes there.
    One write: what is killed before it has changed nothing, and what is killed after it has done all.

    Args:
        campaign: The campaign that the labels are for.
        source: URI of another campaign, or a table or export; local or ``s3://``.

    Raises:
        ConfigError: The campaign has ended, or its pool was not taken in.
        LabelError: The pool has none of the items, the file is not there, or no label is in it.
        ProblemsError: Every label that is none here.
    """
    if reason := stop_reason(campaign):
        raise ConfigError(
            f"the campaign has ended ({reason}), so no round would take the labels",
            where=campaign.store.uri,
            remedy="`activelora extend` lets it go on.",
        )
    seen = Snapshot(campaign)
    if seen.manifest(Unit("ingest_pool")) is None:
        raise ConfigError(
            "the campaign has not taken in its pool, so no item can be found in it",
            where=campaign.store.uri,
            remedy="Run it first; or give these rows as part of the pool: see `data.known_labels`.",
        )
    if is_campaign(source):
        found, remarks = of_campaign(source, campaign.config), list[str]()
    else:
        found, remarks = of_file(source, campaign.config)
    if not found:
        shown = f": {'; '.join(remarks)}" if remarks else ""
        raise LabelError(f"there is no label in it{shown}", where=source)
    return _bring(seen, source, found, remarks)


def _bring(seen: Snapshot, source: str, found: Sequence[Foreign], remarks: Sequence[str]) -> Brought:
    items = _matched(seen, found)
    by_item: dict[str, list[tuple[Foreign, Label]]] = defaultdict(list)
    problems: list[ActiveLoRAError] = []
    task = make_task(seen.config.task)
    for one in found:
        if (item := items.get(one)) is not None:
            try:
                by_item[item.item_id].append((one, _label(task, seen, one, item)))
            except LabelError as error:
                problems.append(LabelError(error.problem, where=one.where, remedy=error.remedy))
    _refuse(problems, source)
    num_elsewhere = len({one.item_id or one.source_id for one in found if one not in items})
    if not by_item:
        raise LabelError(
            f"none of its {num_elsewhere} items is in this campaign's pool",
            where=source,
            remedy="Items are the same where the columns that the prompt names hold the same, or by their own id "
            "(data.columns.id).",
        )
    round_ = num_collected(seen)
    has_label = label_snapshot(seen, round_).labels.keys() | imported(seen).keys()
    new = {item_id: votes for item_id, votes in by_item.items() if item_id not in has_label}
    lines = [line for item_id in sorted(new) if (line := _line(item_id, new[item_id], source)) is not None]
    if lines:
        content = json.dumps(lines, sort_keys=True).encode()
        now = utc_now()
        key = f"{FOLDER}{hashlib.sha256(content).hexdigest()[:20]}.jsonl"
        rows = ({**line, "labeled_at": line["labeled_at"] or now, "imported_at": now} for line in lines)
        seen.store.create(key, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
    return Brought(
        num_labels=len(lines),
        num_elsewhere=num_elsewhere,
        num_labeled=len(by_item) - len(new),
        num_disputed=len(new) - len(lines),
        remarks=tuple(remarks),
        round=round_,
    )


def _matched(seen: Snapshot, found: Sequence[Foreign]) -> dict[Foreign, Item]:
    """Return the pool's items that the other side's labels are about, without deleted ones."""
    items = present_items(seen, {one.item_id for one in found if one.item_id is not None})
    left = {one.source_id for one in found if one.source_id is not None and one.item_id not in items}
    own = items_by_own_id(seen, left)
    pairs: Mapping[Foreign, Item | None] = {
        one: items.get(one.item_id or "") or own.get(one.source_id or "") for one in found
    }
    return {one: item for one, item in pairs.items() if item is not None and item.item_id not in seen.deleted}


def _label(task: Task, seen: Snapshot, one: Foreign, item: Item) -> Label:
    if one.label is not None:
        return one.label
    return read_label(task, one.written, item, seen.config.data.label_numbers)


def _line(item_id: str, votes: Sequence[tuple[Foreign, Label]], source: str) -> dict[str, Any] | None:
    """Return what is kept of an item's votes; None where they disagree."""
    label = majority(Counter(label for _, label in votes))
    if label is None:
        return None
    own = [one for one, said in votes if said == label]
    times = [one.labeled_at for one in own if one.labeled_at is not None]
    return {
        "item_id": item_id,
        "label": label,
        "annotator": "; ".join(dict.fromkeys(one.annotator for one in own)),
        "labeled_at": max(times).isoformat() if times else None,
        "origin": source,
    }


def _refuse(problems: list[ActiveLoRAError], source: str) -> None:
    if len(problems) > MAX_PROBLEMS:
        left = LabelError(f"and {len(problems) - MAX_PROBLEMS} more labels that are none here", where=source)
        problems = [*problems[:MAX_PROBLEMS], left]
    if problems:
        raise ProblemsError(problems)
