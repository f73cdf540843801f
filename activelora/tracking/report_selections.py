"""What people were asked to label, and why: the beginning of each round's batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from activelora.acquisition import reliability
from activelora.campaign.history import RoundRecord
from activelora.campaign.labels import label_records, resolve_for
from activelora.campaign.manifest import Manifest
from activelora.campaign.records import Label
from activelora.campaign.snapshot import Snapshot
from activelora.kinds.registry import make_task
from activelora.labeling.redaction import shown_fields
from activelora.tracking import report_words as words

MAX_SELECTED_ROUNDS, MAX_ITEMS, MAX_TEXT = 8, 6, 260


def selections_of(campaign: Snapshot, records: Sequence[RoundRecord]) -> dict[str, Any]:
    """Return the last rounds' items, newest first, and how many earlier rounds are left out."""
    selected = ((record, record.selection) for record in records)
    rounds = [(record, one) for record, one in selected if one is not None and "num_known" not in one.details]
    shown = rounds[-MAX_SELECTED_ROUNDS:]
    given = label_records(campaign, sum(record.labels is not None for record in records))
    return {
        "rounds": [_selection(campaign, record, selection, given) for record, selection in reversed(shown)],
        "num_hidden": len(rounds) - len(shown),
    }


def _selection(
    campaign: Snapshot, record: RoundRecord, selection: Manifest, records: list[list[dict[str, Any]]]
) -> dict[str, Any]:
    from activelora.pool import access

    rows = campaign.table(selection, "selection.parquet").to_pylist()
    given = _given_labels(campaign, records[: record.round + 1]) if record.labels is not None else {}
    items = access.find_items(campaign, [row["item_id"] for row in rows[:MAX_ITEMS]])
    task = make_task(campaign.config.task)
    shown = []
    for row in rows[:MAX_ITEMS]:
        item, label = items[row["item_id"]], given.get(row["item_id"])
        sentence, numbers = words.words_first(row["reason"])
        shown.append(
            {
                "text": words.cut(" · ".join(shown_fields(campaign.config.labeling, item).values()), MAX_TEXT),
                "reason": sentence,
                "numbers": numbers,
                "label": None if label is None else words.cut(task.label_name(label, item), 60),
            }
        )
    return {
        "record": record,
        "rows": shown,
        "num_selected": len(rows),
        "num_labeled": len(given),
        "reliability": reliability.words(selection.metrics),
    }


def _given_labels(campaign: Snapshot, records: list[list[dict[str, Any]]]) -> dict[str, Label]:
    """Return the labels that the last of some rounds brought."""
    labels = resolve_for(campaign.config.labeling, records).labels
    return {record["item_id"]: labels[record["item_id"]] for record in records[-1]}
