"""Everything that one annotator contributed: recorded labels, and answers that no round has collected."""

from __future__ import annotations

import json
from typing import Any

from activelora.campaign.label_history import history
from activelora.campaign.labels import shown_time
from activelora.campaign.records import Item
from activelora.campaign.snapshot import View, snapshot_of
from activelora.errors import LabelError
from activelora.formats.workbook import workbook_bytes
from activelora.kinds.registry import make_task
from activelora.labeling.exchange import Format, written_label
from activelora.labeling.files import FilesSource
from activelora.labeling.worksheet import csv_bytes
from activelora.pool.access import find_items
from activelora.tasks.task import Task

COLUMNS = ("item_id", "kind", "label", "labeled_at", "source", "origin", "asked_in", "collected_in", "effect")


def contributions(campaign: View, annotator: str) -> list[dict[str, Any]]:
    """Return what an annotator contributed, in the order of items and time.

    ``kind`` is ``record`` for what a round has collected, also where it was outvoted or replaced since; ``answer`` for
    each answer that lies in the inbox or was typed, collected or not, skipped items among them. Answers that are only
    in Label Studio are exported there.

    Args:
        campaign: The campaign.
        annotator: The name, exactly.

    Raises:
        LabelError: Nobody of that name has contributed.
    """
    task = make_task(campaign.config.task)
    seen = snapshot_of(campaign)
    entries = [entry for of_item in history(seen).values() for entry in of_item]
    answers, _ = FilesSource().read(seen.campaign)
    known = {str(entry.record["annotator"]) for entry in entries} | {answer.annotator for answer in answers}
    if annotator not in known:
        raise LabelError(
            f"there is no record and no answer of `{annotator}`",
            where=seen.store.uri,
            remedy=f"Known: {', '.join(sorted(known))}." if known else "Nobody has contributed yet.",
        )
    own = [entry for entry in entries if entry.record["annotator"] == annotator]
    items = find_items(seen, {entry.record["item_id"] for entry in own})
    rows = [_recorded(task, items, vars(entry)) for entry in own]
    for answer in answers:
        if answer.annotator == annotator:
            rows.append(
                {
                    **dict.fromkeys(COLUMNS),
                    "item_id": answer.item_id,
                    "kind": "answer",
                    "label": "skip" if answer.skipped else answer.label,
                    "labeled_at": answer.labeled_at.isoformat() if answer.labeled_at else None,
                    "source": answer.source or "files",
                    "origin": f"{answer.file}:{answer.line}",
                }
            )
    return rows


def export_contributions(campaign: View, annotator: str, kind: Format) -> tuple[bytes, int]:
    """Return :func:`contributions` as a file in UTF-8, and how many rows it has.

    Raises:
        LabelError: Nobody of that name has contributed.
    """
    rows = contributions(campaign, annotator)
    if kind == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), len(rows)
    cells = [["" if row[name] is None else _cell(row[name]) for name in COLUMNS] for row in rows]
    return (workbook_bytes if kind == "xlsx" else csv_bytes)(COLUMNS, cells), len(rows)


def _recorded(task: Task, items: dict[str, Item], entry: dict[str, Any]) -> dict[str, Any]:
    record = entry["record"]
    return {
        "item_id": record["item_id"],
        "kind": "record",
        "label": written_label(task, record["label"], items[record["item_id"]]),
        "labeled_at": shown_time(record) or None,
        "source": record["source"],
        "origin": record.get("origin"),
        "asked_in": record["round"],
        "collected_in": entry["round"],
        "effect": entry["effect"],
    }


def _cell(value: Any) -> str:
    return "; ".join(value) if isinstance(value, list) else str(value)
