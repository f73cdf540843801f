"""Labels that another campaign or tool gave to items of this pool: kept item by item, and taken by the next round.

They lie in the campaign as write-once JSONL files under :data:`FOLDER`. They are asked of nobody: their items are not
selected, they count against no budget, and they are no annotator's votes (:data:`SETTLED_SOURCES`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from activelora.campaign.records import IMPORTED_SOURCE
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.labeling.request import Collected, Record, Request, State

FOLDER = "labeling/imports/"


def imported(campaign: View) -> Mapping[str, dict[str, Any]]:
    """Return item id → what was imported for it: label, annotator, labeled_at and origin. Of several, the latest.

    Labels of deleted items are left out.
    """
    seen = snapshot_of(campaign)
    return seen.once("imported labels", lambda: _imported(seen))


def _imported(seen: Snapshot) -> dict[str, dict[str, Any]]:
    store = seen.store
    lines = [json.loads(line) for key in store.list(FOLDER) for line in store.read(key).splitlines() if line]
    lines.sort(key=lambda line: str(line["imported_at"]))
    return {line["item_id"]: line for line in lines if line["item_id"] not in seen.deleted}


def with_imported(request: Request, collected: Collected) -> Collected:
    """Return what a label source has, and the imported labels of items that have no label otherwise.

    Args:
        request: What was asked for.
        collected: What the source says.
    """
    labeled = {record["item_id"] for record in collected.records}
    lines = [
        line
        for item_id, line in imported(request.seen or request.campaign).items()
        if item_id not in request.known and item_id not in labeled
    ]
    if not lines:
        return collected
    answered: dict[str, State] = {line["item_id"]: "labeled" for line in lines if line["item_id"] in request.reasons}
    return replace(
        collected,
        records=[*collected.records, *(_record(request, line) for line in lines)],
        states={**collected.states, **answered},
    )


def num_imported(collected: Collected) -> int:
    """Return how many of the labels were imported."""
    return sum(record["source"] == IMPORTED_SOURCE for record in collected.records)


def _record(request: Request, line: Mapping[str, Any]) -> Record:
    return {
        "item_id": line["item_id"],
        "label": line["label"],
        "annotator": line["annotator"],
        "source": IMPORTED_SOURCE,
        "labeled_at": line["labeled_at"],
        "round": request.round,
        "origin": line["origin"],
    }
