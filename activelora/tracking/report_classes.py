"""The report's table of classes: labels spent on each, how well it is recognised, and which are never predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from activelora.campaign.history import RoundRecord
from activelora.campaign.labels import label_records, resolve_for
from activelora.campaign.snapshot import Snapshot
from activelora.kinds.registry import make_task
from activelora.tracking.report_words import joined

MAX_CLASSES, MAX_NAMED = 30, 12


def classes_of(
    campaign: Snapshot, evaluation: Mapping[str, Any] | None, num_rounds: int, records: Sequence[RoundRecord]
) -> dict[str, Any] | None:
    """Return the rows, what is hidden, and sentences; None where there are no classes or nothing is measured.

    Args:
        campaign: The campaign.
        evaluation: Of the round that the report is about.
        num_rounds: Rounds whose labels that round trained on.
        records: The rounds.
    """
    if evaluation is None or not evaluation["per_class"]:
        return None
    labels = _labels(campaign, min(num_rounds, sum(record.labels is not None for record in records)))
    rows = [{**row, "num_labels": labels.get(row["label"], 0)} for row in evaluation["per_class"]]
    never = [row["label"] for row in rows if row["count"] and row["predicted"] == 0]
    bare = [row["label"] for row in rows if row["num_labels"] == 0]
    sentences = []
    if never:
        sentences.append(f"Never predicted, though the holdout has items of {_it(never)}: {_named(never)}.")
    if bare and num_rounds:
        sentences.append(f"Without a label so far: {_named(bare)}.")
    hidden = max(0, len(rows) - MAX_CLASSES)
    if hidden:
        rows = sorted(rows, key=lambda row: (row["accuracy"] is None, row["accuracy"]))[:MAX_CLASSES]
    return {"rows": rows, "num_hidden": hidden, "sentences": sentences}


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _named(names: Sequence[str]) -> str:
    shown = [*names[:MAX_NAMED], *[f"{len(names) - MAX_NAMED} more"] * (len(names) > MAX_NAMED)]
    return joined(shown)


def _labels(campaign: Snapshot, num_rounds: int) -> Mapping[str, int]:
    """Return how many items are labelled with each class, by name; of items with several classes each counts."""
    task = make_task(campaign.config.task)
    labels = resolve_for(campaign.config.labeling, label_records(campaign, num_rounds)).labels
    counts = Counter(labels.values())
    return {name: int(count) for name, count in task.label_counts(counts).items()}
