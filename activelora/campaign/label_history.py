"""Who said what about an item, when, and what became of it: every label record, and how two snapshots differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from activelora.campaign.labels import LabelSnapshot, label_records, resolve, time_of
from activelora.campaign.ledger import num_collected
from activelora.campaign.records import Label
from activelora.campaign.snapshot import View, snapshot_of
from activelora.config.labeling import AggregationRule

Record = dict[str, Any]
Effect = Literal["labels", "corrects", "confirms", "outvoted"]


@dataclass(frozen=True)
class Entry:
    """One record and its effect.

    Attributes:
        record: The record, in :data:`~activelora.campaign.records.LABEL_SCHEMA`. Its ``round`` asked for the answer.
        round: The round that collected it; the next one was the first to train on it.
        effect: ``labels`` an item that had none, ``corrects`` or ``confirms`` the label of an earlier round, or is
            ``outvoted`` by others of its round, or by an adjudicator.
        before: The item's label before that round; None if it had none.
        replaced_in: The round whose records replaced it; None while it is in force. A vote that a correction left
            standing is in force.
    """

    record: Record
    round: int
    effect: Effect
    before: Label | None
    replaced_in: int | None


@dataclass(frozen=True)
class Difference:
    """How the labels of one snapshot differ from those of another.

    Attributes:
        added: Item id → label, for items without a label in the first one.
        corrected: Item id → label in the first and in the second one.
    """

    added: dict[str, Label]
    corrected: dict[str, tuple[Label, Label]]


def history(campaign: View) -> dict[str, list[Entry]]:
    """Return the history of every item by the campaign's own rules: :func:`blame` of all rounds collected so far."""
    seen, config = snapshot_of(campaign), campaign.config.labeling
    return blame(label_records(seen, num_collected(seen)), config.adjudicators, config.aggregation)


def blame(
    rounds: Sequence[list[Record]], adjudicators: Collection[str] = (), rule: AggregationRule = "majority"
) -> dict[str, list[Entry]]:
    """Return the history of every item, by item id in ascending order, each in the order of time.

    Args:
        rounds: The records that each round brought, in the order of the rounds.
        adjudicators: The campaign's.
        rule: How the annotators' votes are combined.
    """
    labels = [resolve(rounds[: round_ + 1], adjudicators, rule).labels for round_ in range(len(rounds))]
    brought: dict[str, dict[int, list[Record]]] = {}
    for round_, records in enumerate(rounds):
        for record in records:
            brought.setdefault(record["item_id"], {}).setdefault(round_, []).append(record)
    return {item_id: _history(brought[item_id], labels) for item_id in sorted(brought)}


def difference(before: LabelSnapshot, after: LabelSnapshot) -> Difference:
    """Return what a later snapshot adds to and changes in an earlier one."""
    added = {item: label for item, label in after.labels.items() if item not in before.labels}
    both = {item: (before.labels[item], label) for item, label in after.labels.items() if item in before.labels}
    return Difference(added, {item: labels for item, labels in both.items() if labels[0] != labels[1]})


def _history(brought: dict[int, list[Record]], labels: Sequence[Mapping[str, Label]]) -> list[Entry]:
    entries: list[Entry] = []
    before: Label | None = None
    seen: list[Record] = []
    for round_ in sorted(brought):
        records = sorted(brought[round_], key=lambda record: (time_of(record), record["annotator"]))
        label = labels[round_][records[0]["item_id"]]
        for record in (one for one in records if one not in seen):
            later = [after for after in sorted(brought) if after > round_ and record not in brought[after]]
            replaced_in = later[0] if later else None
            entries.append(Entry(record, round_, _effect(record, label, before), before, replaced_in))
        before, seen = label, records
    return entries


def _effect(record: Record, label: Label, before: Label | None) -> Effect:
    if record["label"] != label:
        return "outvoted"
    if before is None:
        return "labels"
    return "confirms" if label == before else "corrects"
